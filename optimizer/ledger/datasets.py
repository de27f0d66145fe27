"""Versions of the regression suite, and the cases as they stood in each."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from optimizer.domain.dataset import DatasetEntry, DatasetVersion, Pedigree
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Failure
from optimizer.ledger.snapshots import case_of, failure_of
from optimizer.ledger.table import has_table

_CASE_THEN = "SELECT * FROM eval_case WHERE id = ? AND (batch, step) <= (?, ?) ORDER BY batch DESC, step DESC LIMIT 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRow:
    """A version with where it was made."""

    n: int
    """1, 2, ... in the order they were made."""
    batch: int
    step: int
    version: DatasetVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCase:
    """A case as it stood in a version, with what it was made from."""

    entry: DatasetEntry
    split: str | None
    """Of its task; None when that was never run, as of a made-up variation that waits."""
    case: EvalCase | None
    """None when the ledger has no case of this id at this point."""
    failure: Failure | None
    trace_sha: str | None


def dataset_rows(database: sqlite3.Connection) -> tuple[DatasetRow, ...]:
    """All versions, oldest first."""
    if not has_table(database, "dataset"):
        return ()
    rows = database.execute("SELECT * FROM dataset ORDER BY batch, step").fetchall()
    return tuple(_row(n, row) for n, row in enumerate(rows, start=1))


def dataset_cases(database: sqlite3.Connection, dataset: DatasetRow) -> tuple[DatasetCase, ...]:
    """The cases of a version as they stood then, in its order."""
    return tuple(_case_then(database, dataset, entry) for entry in dataset.version.entries)


def _case_then(database: sqlite3.Connection, dataset: DatasetRow, entry: DatasetEntry) -> DatasetCase:
    found = database.execute(_CASE_THEN, (entry.case_id, dataset.batch, dataset.step)).fetchone()
    case = None if found is None else case_of(found)
    task = database.execute("SELECT split FROM task WHERE id = ?", (entry.task_id,)).fetchone()
    failed = None if case is None else _failure(database, case.failure_id)
    rollout = None if case is None else _trace_sha(database, case.rollout_id)
    return DatasetCase(
        entry=entry, split=None if task is None else task["split"], case=case, failure=failed, trace_sha=rollout
    )


def _failure(database: sqlite3.Connection, failure_id: str) -> Failure | None:
    row = database.execute("SELECT *, NULL AS cluster_id FROM failure WHERE id = ?", (failure_id,)).fetchone()
    return None if row is None else failure_of(row).failure


def _trace_sha(database: sqlite3.Connection, rollout_id: str) -> str | None:
    row = database.execute("SELECT trace_sha FROM rollout WHERE id = ?", (rollout_id,)).fetchone()
    return None if row is None else row["trace_sha"]


def _row(n: int, row: sqlite3.Row) -> DatasetRow:
    entries = tuple(
        DatasetEntry(case_id=case_id, case_hash=case_hash, task_id=task_id)
        for case_id, case_hash, task_id in json.loads(row["entries"])
    )
    pedigree = Pedigree(**json.loads(row["pedigree"]))
    version = DatasetVersion(id=row["id"], parent=row["parent"], entries=entries, pedigree=pedigree)
    return DatasetRow(n=n, batch=row["batch"], step=row["step"], version=version)
