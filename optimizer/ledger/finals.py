"""The sealed test: leave to open it, and what came of it."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import asdict, dataclass

from optimizer.domain.final import FinalResult, FinalSeal, FinalSlice
from optimizer.ledger import schema
from optimizer.ledger.codec import dump_json
from optimizer.ledger.connection import translated
from optimizer.ledger.nouns import usage_from
from optimizer.ledger.rows import usage_columns
from optimizer.ledger.store import Row, Store
from optimizer.ledger.table import has_table

_SEAL_FIELDS = tuple(name for name in FinalSeal.__dataclass_fields__ if name != "is_untouched")
_NUMBERS = (
    "base",
    "head",
    "difference",
    "low",
    "high",
    "n_tasks",
    "n_groups",
    "n_trials",
    "n_rollouts",
    "n_unmeasured",
    "n_val_candidates",
)
_COST = (
    "SELECT count(*) AS n, count(usd) AS n_priced, coalesce(sum(usd), 0.0) AS usd FROM rollout"
    " WHERE tree = ? AND purpose = 'val'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRow:
    """A seal that was broken, with its result once there is one."""

    seal: FinalSeal
    result: FinalResult | None
    """None while its rollouts are not all there: it can be resumed."""
    opened_at: float
    recorded_at: float | None


class Finals:
    """The writer's side. Used from one thread; every method raises LedgerError like the ledger itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, seal: FinalSeal) -> None:
        """Keep that the test split is about to be run: from here on it is spent."""
        row: Row = {name: getattr(seal, name) for name in _SEAL_FIELDS}
        opened: Row = {"is_untouched": seal.is_untouched, "opened_at": time.time()}
        self._store.record(schema.FINAL_SEAL, {**row, **opened})

    def record(self, seal: FinalSeal, result: FinalResult) -> None:
        """Keep the result."""
        row: Row = {name: getattr(result, name) for name in _NUMBERS}
        rest: Row = {
            "n": seal.n,
            "sandbox_levels": dump_json(list(result.sandbox_levels)),
            "slices": dump_json([asdict(each) for each in result.slices]),
            "is_simulated": result.is_simulated,
            "recorded_at": time.time(),
        }
        self._store.record(schema.FINAL_RESULT, {**row, **rest, **usage_columns(result.usage)})

    def rows(self) -> tuple[FinalRow, ...]:
        """All seals broken so far, oldest first."""
        with translated(self._store.path):
            return final_rows(self._store.database)


def final_rows(database: sqlite3.Connection) -> tuple[FinalRow, ...]:
    """All seals broken so far, oldest first."""
    if not has_table(database, "final_seal"):
        return ()
    return tuple(_row(database, row) for row in database.execute("SELECT * FROM final_seal ORDER BY n").fetchall())


def n_val_candidates(database: sqlite3.Connection) -> int:
    """Candidates that were judged on validation."""
    (number,) = database.execute("SELECT count(*) FROM decision WHERE val_after IS NOT NULL").fetchone()
    return int(number)


def usd_per_rollout(database: sqlite3.Connection, tree: str) -> float | None:
    """Mean cost of a tree's validation runs; None when there is none, or one without a price."""
    row = database.execute(_COST, (tree,)).fetchone()
    return float(row["usd"]) / row["n"] if row["n"] and row["n"] == row["n_priced"] else None


def _row(database: sqlite3.Connection, row: sqlite3.Row) -> FinalRow:
    fields = {name: row[name] for name in _SEAL_FIELDS}
    seal = FinalSeal(**fields, is_untouched=bool(row["is_untouched"]))
    found = database.execute("SELECT * FROM final_result WHERE n = ?", (seal.n,)).fetchone()
    return FinalRow(
        seal=seal,
        result=None if found is None else _result(found),
        opened_at=row["opened_at"],
        recorded_at=None if found is None else found["recorded_at"],
    )


def _result(row: sqlite3.Row) -> FinalResult:
    return FinalResult(
        **{name: row[name] for name in _NUMBERS},
        usage=usage_from(row),
        sandbox_levels=tuple(json.loads(row["sandbox_levels"])),
        slices=tuple(FinalSlice(**each) for each in json.loads(row["slices"])),
        is_simulated=bool(row["is_simulated"]),
    )
