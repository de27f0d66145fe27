"""How a ledger file is opened, and the one place where SQLite and the disk saying no becomes a LedgerError."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from optimizer.domain.errors import LedgerError
from optimizer.ledger.codec import SqlValue
from optimizer.ledger.schema import APPLICATION_ID, MAJOR, TABLES, USER_VERSION, schema_sql

FILE_NAME = "ledger.sqlite"
_FULL = "there is no space left for {path} (or a file size limit is reached): free space, then `hone resume`; {kept}"
_READ_ONLY = "{path} cannot be written: make the folder and its files writable for this user, then `hone resume`"
_KEPT = "everything recorded so far is kept"
_REMEDIES = {
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": "reading or writing {path} failed ({error}): check the disk and its free space, then `hone resume`",
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_CANTOPEN": "{path} cannot be opened: check that the folder exists and that this user may use it",
    "SQLITE_CORRUPT": "{path} is damaged ({error}): restore it from a copy, or start a new campaign",
    "SQLITE_NOTADB": "{path} is not a ledger: name the folder of a campaign",
    "SQLITE_BUSY": "{path} is locked by another program that writes to it: close that program, then `hone resume`",
}
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say about `path` into a LedgerError with a remedy.

    Errors of the sqlite3 module itself (a closed connection, a wrong thread) are mistakes of ours and pass through.

    Raises:
        LedgerError: instead of sqlite3.Error and OSError.
    """
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None)
        if name is None:
            raise
        primary = "_".join(str(name).split("_")[:2])
        remedy = _REMEDIES.get(primary, "the ledger {path} says: {error}")
        raise LedgerError(remedy.format(path=path, error=f"{error}, {name}", kept=_KEPT)) from error
    except OSError as error:
        remedy = _FULL if error.errno in _DISK_FULL else "{path} cannot be used: {error}"
        raise LedgerError(remedy.format(path=path, error=error.strerror or error, kept=_KEPT)) from error


def create_database(path: Path, campaign_sql: str, campaign: Mapping[str, SqlValue]) -> None:
    """Write a ledger with its first row. It is not in WAL mode yet, so that it is one file and can be renamed."""
    with closing(_connect(f"{path.absolute().as_uri()}?mode=rwc")) as database:
        database.execute("BEGIN")
        for statement in schema_sql():
            database.execute(statement)
        database.execute(campaign_sql, campaign)
        database.execute("COMMIT")


def open_writer(path: Path) -> sqlite3.Connection:
    """The one read-write connection of a campaign.

    Raises:
        LedgerError: there is no ledger, or it is not one this version can write.
    """
    with translated(path):
        if not path.exists():
            message = f"there is no campaign in {path.parent} (no {FILE_NAME}): start one with `hone run`"
            raise LedgerError(message)
        database = _checked(f"{path.absolute().as_uri()}?mode=rw", path)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")  # the store checkpoints, after the blobs are on disk
        database.execute("PRAGMA cache_size = -16000")
        database.execute("PRAGMA recursive_triggers = ON")  # INSERT OR REPLACE meets the delete trigger too
        database.execute("PRAGMA busy_timeout = 5000")
        _add_tables(database)
        return database


def _add_tables(database: sqlite3.Connection) -> None:
    """Bring a ledger of an older minor version up to this one: minor versions only add tables and indexes."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    there = {row["name"] for row in database.execute("SELECT name FROM sqlite_schema").fetchall()}
    missing = [
        statement
        for table in TABLES
        for statement in (table.index_statements() if table.name in there else table.statements())
        if table.name not in there or statement.split()[5] not in there
    ]
    if not missing and version >= USER_VERSION:
        return
    database.execute("BEGIN IMMEDIATE")
    for statement in missing:
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {max(version, USER_VERSION)}")
    database.execute("COMMIT")


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection to a campaign that runs, died or is over.

    A database in WAL mode wants its `-wal` and `-shm` files; where the last writer has removed them and this user may
    not create them, the file cannot change any more and is read as immutable. With a `-wal` beside it, immutable would
    show an old state, so it is never used then.

    Raises:
        LedgerError: there is no ledger, or it is not one this version can read.
    """
    with translated(path):
        if not path.exists():
            message = f"there is no campaign in {path.parent} (no {FILE_NAME}): name the folder of a campaign"
            raise LedgerError(message)
        uri = f"{path.absolute().as_uri()}?mode=ro"
        try:
            return _reading(uri, path)
        except sqlite3.OperationalError:
            if path.with_name(f"{path.name}-wal").exists():
                raise
            return _reading(f"{uri}&immutable=1", path)


def _reading(uri: str, path: Path) -> sqlite3.Connection:
    database = _checked(uri, path)
    database.execute("PRAGMA query_only = 1")
    database.execute("PRAGMA busy_timeout = 2000")
    return database


def _checked(uri: str, path: Path) -> sqlite3.Connection:
    """A connection that has read something: the first read shows whether the file is a ledger and WAL can be had."""
    database = _connect(uri)
    try:
        _check_version(database, path)
    except BaseException:
        database.close()
        raise
    return database


def _check_version(database: sqlite3.Connection, path: Path) -> None:
    """Refuse what is no ledger, and a ledger of another major version."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        message = f"{path} is not a ledger: name the folder of a campaign"
        raise LedgerError(message)
    if version // 1000 == MAJOR:
        return
    written = f"ledger version {version // 1000}.{version % 1000}, this one reads {MAJOR}.x"
    if version // 1000 > MAJOR:
        message = f"{path} was written by a newer hone ({written}): upgrade hone to open it"
    else:
        message = f"{path} was written by an older hone ({written}): open it with the version that wrote it"
    raise LedgerError(message)


def _connect(uri: str) -> sqlite3.Connection:
    database = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=256)
    database.row_factory = sqlite3.Row
    database.text_factory = _text
    return database


def _text(stored: bytes) -> str:
    """Text as it was recorded, lone surrogates included."""
    return str(stored, "utf-8", "surrogatepass")
