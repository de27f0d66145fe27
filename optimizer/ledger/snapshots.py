"""Clusters and eval cases: each change of theirs is a row, and the latest row is how they stand."""

from __future__ import annotations

import json
import sqlite3

from optimizer.domain.dataset import DatasetEntry, DatasetVersion, Pedigree
from optimizer.domain.evalcase import EvalCase, Verification
from optimizer.domain.failure import Cluster, Failure, FailureContext
from optimizer.ledger.views import CaseRow, ClusterSnapshot, FailureRow

_LATEST = """
    WITH RECURSIVE ids(id) AS (
        SELECT min(id) FROM {table}
        UNION ALL SELECT (SELECT min(id) FROM {table} WHERE id > ids.id) FROM ids WHERE ids.id IS NOT NULL
    )
    SELECT t.*, (SELECT min(batch) FROM {table} WHERE id = ids.id) AS made_batch
    FROM ids JOIN {table} t ON t.id = ids.id AND (t.batch, t.step) =
        (SELECT batch, step FROM {table} WHERE id = ids.id ORDER BY batch DESC, step DESC LIMIT 1)
"""
LATEST_CLUSTERS = _LATEST.format(table="cluster")
LATEST_CASES = _LATEST.format(table="eval_case")
_CASES_OF_TASK = """
    SELECT t.* FROM (SELECT DISTINCT id FROM eval_case WHERE task_id = ?) ids
    JOIN eval_case t ON t.id = ids.id AND (t.batch, t.step) =
        (SELECT batch, step FROM eval_case WHERE id = ids.id ORDER BY batch DESC, step DESC LIMIT 1)
    ORDER BY t.id
"""
_FAILURES = (
    "SELECT f.*, (SELECT min(cluster_id) FROM cluster_member WHERE failure_id = f.id) AS cluster_id FROM failure f"
)


def latest_clusters(database: sqlite3.Connection) -> tuple[Cluster, ...]:
    """All clusters as they stand, by number."""
    return tuple(_cluster(row) for row in database.execute(LATEST_CLUSTERS).fetchall())


def latest_cluster(database: sqlite3.Connection, cluster_id: int) -> Cluster | None:
    """One cluster as it stands; None when there is none of this number."""
    query = "SELECT * FROM cluster WHERE id = ? ORDER BY batch DESC, step DESC LIMIT 1"
    row = database.execute(query, (cluster_id,)).fetchone()
    return None if row is None else _cluster(row)


def cluster_history(database: sqlite3.Connection, cluster_id: int) -> tuple[ClusterSnapshot, ...]:
    """Every change of a cluster, oldest first."""
    rows = database.execute("SELECT * FROM cluster WHERE id = ? ORDER BY batch, step", (cluster_id,)).fetchall()
    return tuple(ClusterSnapshot(batch=row["batch"], step=row["step"], cluster=_cluster(row)) for row in rows)


def absorbed_by(database: sqlite3.Connection, cluster_id: int) -> tuple[int, ...]:
    """Clusters that stand merged into this one, by number."""
    query = (
        "SELECT DISTINCT id FROM cluster c WHERE parent = ?1 AND ?1 ="
        " (SELECT parent FROM cluster l WHERE l.id = c.id ORDER BY batch DESC, step DESC LIMIT 1) ORDER BY id"
    )
    return tuple(row["id"] for row in database.execute(query, (cluster_id,)).fetchall())


def latest_cases(database: sqlite3.Connection) -> tuple[CaseRow, ...]:
    """All eval cases as they stand, by id."""
    rows = database.execute(LATEST_CASES).fetchall()
    cases = ((row, case_of(row)) for row in rows)
    return tuple(
        CaseRow(batch=row["batch"], made_batch=row["made_batch"], case=case, pass_rate=case.pass_rate)
        for row, case in cases
    )


def cases_of_tasks(database: sqlite3.Connection, task_ids: frozenset[str]) -> tuple[EvalCase, ...]:
    """Cases of some tasks that are in the regression suite, or were, as they stand; by task and id."""
    rows = [database.execute(_CASES_OF_TASK, (task_id,)).fetchall() for task_id in sorted(task_ids)]
    cases = (case_of(row) for found in rows for row in found)
    return tuple(case for case in cases if case.state not in {"candidate", "verified"})


def datasets(database: sqlite3.Connection) -> tuple[DatasetVersion, ...]:
    """All versions of the regression suite, oldest first."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'dataset'").fetchone():
        return ()  # a ledger of an earlier minor version that no writer has opened since
    rows = database.execute("SELECT * FROM dataset ORDER BY batch, step").fetchall()
    return tuple(_dataset(row) for row in rows)


def failures_of_batch(database: sqlite3.Connection, batch: int | None, limit: int) -> tuple[FailureRow, ...]:
    """Failures seen in a batch, or the latest of all, newest batch first."""
    where = "" if batch is None else "WHERE f.batch = :batch"
    query = f"{_FAILURES} {where} ORDER BY f.batch DESC, f.id LIMIT :limit"
    rows = database.execute(query, {"batch": batch, "limit": limit}).fetchall()
    return tuple(failure_of(row) for row in rows)


def failures_of_cluster(database: sqlite3.Connection, cluster_id: int, limit: int) -> tuple[FailureRow, ...]:
    """Failures of a cluster, newest batch first."""
    query = (
        "SELECT f.*, m.cluster_id FROM cluster_member m JOIN failure f ON f.id = m.failure_id WHERE m.cluster_id = ?"
        " ORDER BY f.batch DESC, f.id LIMIT ?"
    )
    return tuple(failure_of(row) for row in database.execute(query, (cluster_id, limit)).fetchall())


def _cluster(row: sqlite3.Row) -> Cluster:
    fields = {name: row[name] for name in Cluster.__dataclass_fields__}
    return Cluster(**(fields | {"failing_tasks": tuple(json.loads(row["failing_tasks"]))}))


def case_of(row: sqlite3.Row) -> EvalCase:
    """A row of `eval_case`."""
    fields = {name: row[name] for name in EvalCase.__dataclass_fields__ if name != "check"}
    nested = {
        "slices": tuple(json.loads(row["slices"])),
        "verification": Verification(**json.loads(row["verification"])),
    }
    return EvalCase(**(fields | nested), check=row["check_name"])


def failure_of(row: sqlite3.Row) -> FailureRow:
    """A row of `failure` with its cluster's id."""
    fields = {name: row[name] for name in Failure.__dataclass_fields__ if name != "check"}
    context = json.loads(row["context"])
    nested = {"context": FailureContext(**(context | {"tools": tuple(context["tools"])}))}
    failure = Failure(**(fields | nested), check=row["check_name"])
    return FailureRow(batch=row["batch"], cluster_id=row["cluster_id"], failure=failure)


def _dataset(row: sqlite3.Row) -> DatasetVersion:
    entries = tuple(
        DatasetEntry(case_id=case_id, case_hash=case_hash, task_id=task_id)
        for case_id, case_hash, task_id in json.loads(row["entries"])
    )
    pedigree = Pedigree(**json.loads(row["pedigree"]))
    return DatasetVersion(id=row["id"], parent=row["parent"], entries=entries, pedigree=pedigree)
