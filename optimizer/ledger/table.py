"""Tables as values, and the SQL that makes them insert-only.

Columns that hold times, places in pack files or process numbers are never compared; everything else is content.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

NOT_COMPARED = frozenset({"wall_s", "cpu_s", "pid", "host", "pack", "offset", "length", "body"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    name: str
    type: str
    is_nullable: bool

    @property
    def is_compared(self) -> bool:
        """Whether two records of the same event must agree here."""
        return self.name not in NOT_COMPARED and not self.name.endswith("_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One insert-only table."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    unique: tuple[str, ...] = ()
    """Single columns beside the key that never repeat."""
    indexes: tuple[str, ...] = ()
    """Column lists, with an optional `WHERE`."""
    is_compact: bool = False
    """Stored by key without a row number."""
    is_content: bool = True
    """False for what differs between two equal campaigns: sessions, heartbeats, tallies in order of arrival."""

    @property
    def compared(self) -> tuple[Column, ...]:
        """Columns in which two records of the same event must agree."""
        return tuple(column for column in self.columns if column.is_compared)

    @property
    def insert_sql(self) -> str:
        """Insert with named parameters; text is cast because a lone surrogate is bound as bytes."""
        values = ", ".join(_parameter(column) for column in self.columns)
        return f"INSERT INTO {self.name} ({self._names}) VALUES ({values})"  # noqa: S608 - names are constants of schema.py

    @property
    def select_sql(self) -> str:
        """One row by its key, named parameters."""
        where = " AND ".join(f"{name} = :{name}" for name in self.key)
        return f"SELECT {self._names} FROM {self.name} WHERE {where}"  # noqa: S608 - names are constants of schema.py

    @property
    def _names(self) -> str:
        return ", ".join(column.name for column in self.columns)

    def statements(self) -> Iterator[str]:
        """SQL that creates the table, its indexes and its triggers."""
        columns = ", ".join(_definition(column) for column in self.columns)
        unique = "".join(f", UNIQUE ({name})" for name in self.unique)
        compact = ", WITHOUT ROWID" if self.is_compact else ""
        yield f"CREATE TABLE {self.name} ({columns}, PRIMARY KEY ({', '.join(self.key)}){unique}) STRICT{compact}"
        yield from self.index_statements()
        refuse = f"BEGIN SELECT RAISE(ABORT, 'the ledger is insert-only: {self.name}'); END"
        yield f"CREATE TRIGGER {self.name}_no_update BEFORE UPDATE ON {self.name} {refuse}"
        yield f"CREATE TRIGGER {self.name}_no_delete BEFORE DELETE ON {self.name} {refuse}"
        for number, key in enumerate((self.key, *((name,) for name in self.unique))):
            same = " AND ".join(f"{name} = NEW.{name}" for name in key)
            exists = f"EXISTS (SELECT 1 FROM {self.name} WHERE {same})"  # noqa: S608 - constants again
            yield f"CREATE TRIGGER {self.name}_no_replace_{number} BEFORE INSERT ON {self.name} WHEN {exists} {refuse}"

    def index_statements(self) -> Iterator[str]:
        """SQL that creates those of its indexes that are missing."""
        for number, index in enumerate(self.indexes):
            listed, _, where = index.partition(" WHERE ")
            condition = f" WHERE {where}" if where else ""
            yield f"CREATE INDEX IF NOT EXISTS {self.name}_{number} ON {self.name} ({listed}){condition}"


def _parameter(column: Column) -> str:
    return f"CAST(:{column.name} AS TEXT)" if column.type == "TEXT" else f":{column.name}"


def _definition(column: Column) -> str:
    return f"{column.name} {column.type}{'' if column.is_nullable else ' NOT NULL'}"


def columns(specs: str) -> tuple[Column, ...]:
    """Columns from `name TYPE, name TYPE?, ...`; a question mark after the type allows NULL."""
    parsed = (spec.split() for spec in specs.split(", "))
    return tuple(Column(name=name, type=kind.rstrip("?"), is_nullable=kind.endswith("?")) for name, kind in parsed)


def has_table(database: sqlite3.Connection, name: str) -> bool:
    """False for a table that came with a later minor version than the ledger's, and no writer has opened it since."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return database.execute(query, (name,)).fetchone() is not None
