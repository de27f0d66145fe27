"""The written side of a ledger file: rows inserted or found equal, blobs before rows, one commit per record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from optimizer.domain.errors import LedgerError
from optimizer.ledger.blobs import PackWriter, blob_sha
from optimizer.ledger.codec import SqlValue, bindable
from optimizer.ledger.connection import FILE_NAME, open_writer, translated
from optimizer.ledger.schema import BLOB, TABLES
from optimizer.ledger.table import Table

Row: TypeAlias = Mapping[str, SqlValue]
PAGES_PER_CHECKPOINT = 1200
"""Keeps the write-ahead log below 8 MiB, and the price of syncing it to the disk rare."""


class Store:
    """The single writer's hand on a ledger. Used from one thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._sql = {table.name: table.insert_sql for table in TABLES}
        self._pages = 0
        self._rows = 0
        self.database = open_writer(self.path)
        try:
            with translated(self.path):
                self._packs = self._open_packs()
        except BaseException:
            self.database.close()
            raise

    def _open_packs(self) -> PackWriter:
        last = self.database.execute(
            "SELECT pack, max(offset + length) AS last FROM blob GROUP BY pack ORDER BY pack DESC"
        )
        row = last.fetchone()
        return PackWriter(self.folder, pack=row["pack"] if row else 1, recorded_end=row["last"] if row else 0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All rows of one record, or none; committed on leaving, which survives a kill of the process.

        Raises:
            LedgerError: the disk is full, the file cannot be written, or a row contradicts a recorded one.
        """
        with translated(self.path):
            try:
                self.database.execute("BEGIN IMMEDIATE")
                yield
                self.database.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
            self._checkpoint_when_due()

    def insert(self, table: Table, row: Row) -> bool:
        """Insert a row; True when it is new, False when an equal one is there.

        Raises:
            LedgerError: a row with this key and other content is there.
        """
        bound = {name: bindable(value) for name, value in row.items()}
        try:
            self.database.execute(self._sql[table.name], bound)
        except sqlite3.IntegrityError:
            self._require_equal(table, row, bound)
            return False
        return True

    def record(self, table: Table, row: Row) -> None:
        """One row as a record of its own. Raises LedgerError like `transaction` and `insert`."""
        with self.transaction():
            self.insert(table, row)

    def insert_new(self, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows that cannot be there yet."""
        bound = [{name: bindable(value) for name, value in row.items()} for row in rows]
        self.database.executemany(self._sql[table.name], bound)

    def put_blob(self, payload: bytes, kind: str) -> str:
        """Keep a payload once; its address."""
        sha = blob_sha(payload)
        self.put_addressed_blob(sha, payload, kind)
        return sha

    def put_addressed_blob(self, sha: str, payload: bytes, kind: str) -> bool:
        """Keep a payload whose address is known; True when it is new."""
        is_new = not self.has_blob(sha)
        if is_new:
            place = self._packs.append(payload)
            row = {"sha": sha, "pack": place.pack, "offset": place.offset, "length": place.length, "kind": kind}
            self.database.execute(self._sql[BLOB.name], row)
        return is_new

    def has_blob(self, sha: str) -> bool:
        """Whether a payload is kept."""
        return self.database.execute("SELECT 1 FROM blob WHERE sha = ?", (sha,)).fetchone() is not None

    def close(self) -> None:
        """Fold the write-ahead log into the file and close; never fails, since everything is committed already."""
        with suppress(sqlite3.Error, OSError):
            self._checkpoint()
        with suppress(sqlite3.Error):
            self.database.close()
        with suppress(OSError):
            self._packs.close()

    def _checkpoint_when_due(self) -> None:
        """Each commit logs about six pages, and one more for every three rows."""
        n_rows = self.database.total_changes
        self._pages += 6 + (n_rows - self._rows) // 3
        self._rows = n_rows
        if self._pages > PAGES_PER_CHECKPOINT:
            self._pages = 0
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Rows reach the main file only after the blobs they point to are on the disk."""
        self._packs.sync()
        self.database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _roll_back(self) -> None:
        if self.database.in_transaction:
            with suppress(sqlite3.Error):
                self.database.execute("ROLLBACK")

    def _require_equal(self, table: Table, row: Row, bound: Row) -> None:
        key = {name: bound[name] for name in table.key}
        found = self.database.execute(table.select_sql, key).fetchone()
        place = f"{table.name} {', '.join(f'{name}={row[name]!r}' for name in table.key)}"
        if found is None:
            message = (
                f"{place} breaks a rule of the ledger: {', '.join(table.unique) or 'a column'} repeats or is missing"
            )
            raise LedgerError(message)
        for column in table.compared:
            if found[column.name] != row[column.name]:
                raise LedgerError(_contradiction(place, column.name, found[column.name], row[column.name]))


def _contradiction(place: str, column: str, recorded: SqlValue, given: SqlValue) -> str:
    return (
        f"this campaign was recorded with other settings or another version: column {column} of {place} is"
        f" {_brief(recorded)} in the ledger and {_brief(given)} now. Resume with the recorded settings and version,"
        " or start a new campaign."
    )


def _brief(value: SqlValue) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
