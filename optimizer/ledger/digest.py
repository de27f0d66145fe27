"""The comparable content of a ledger: what two runs with equal settings and seed agree on, killed or not."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from optimizer.ledger.codec import SqlValue, to_bytes
from optimizer.ledger.connection import FILE_NAME, open_reader, translated
from optimizer.ledger.schema import TABLES
from optimizer.ledger.table import Table

_ROWS_PER_READ = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentRow:
    """The compared columns of one row."""

    table: str
    key: tuple[SqlValue, ...]
    columns: tuple[tuple[str, SqlValue], ...]
    """Names and values, times and places left out."""


def content_rows(folder: Path, *, without: frozenset[str] = frozenset()) -> Iterator[ContentRow]:
    """Every comparable row, by table and key; `without` names tables to leave out.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
    """
    path = folder / FILE_NAME
    with translated(path), closing(open_reader(path)) as database:
        for table in sorted(TABLES, key=lambda table: table.name):
            if table.is_content and table.name not in without:
                yield from _rows(database, table)


def content_digest(folder: Path, *, without: frozenset[str] = frozenset()) -> str:
    """Hash of all comparable content (64 hex digits). Not for a ledger that is being written to.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=32)
    for row in content_rows(folder, without=without):
        digest.update(to_bytes(repr((row.table, row.key, row.columns))))
        digest.update(b"\x00")
    return digest.hexdigest()


def _rows(database: sqlite3.Connection, table: Table) -> Iterator[ContentRow]:
    names = tuple(column.name for column in table.compared)
    query = f"SELECT {', '.join(names)} FROM {table.name} ORDER BY {', '.join(table.key)}"  # noqa: S608 - schema.py
    cursor = database.execute(query)
    while page := cursor.fetchmany(_ROWS_PER_READ):
        for row in page:
            columns = tuple(zip(names, tuple(row), strict=True))
            yield ContentRow(table=table.name, key=tuple(row[name] for name in table.key), columns=columns)
