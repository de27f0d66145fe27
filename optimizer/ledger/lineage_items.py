"""Single items of a lineage: found by an id or the beginning of one, and told in a line."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping

from optimizer.ledger.codec import SqlValue
from optimizer.ledger.lineage_view import LineageItem, LineageKind

MIN_PREFIX = 4
"""Shorter beginnings of an id mean nothing."""
MAX_CHOICES = 12
_BEHIND = "\U0010ffff"
_PREFIXED: Mapping[LineageKind, str] = {
    "rollout": "SELECT id FROM rollout WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
    "failure": "SELECT id FROM failure WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
    "case": "SELECT DISTINCT id FROM eval_case WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
    "trace": "SELECT DISTINCT trace_sha FROM rollout WHERE trace_sha >= ? AND trace_sha < ? ORDER BY trace_sha LIMIT ?",
    "commit": "SELECT commit_sha FROM accepted WHERE commit_sha >= ? AND commit_sha < ? ORDER BY commit_sha LIMIT ?",
}
_CANDIDATE_COMMIT = (
    "SELECT n FROM candidate WHERE commit_sha >= ? AND commit_sha < ?"
    " AND NOT EXISTS (SELECT 1 FROM accepted WHERE accepted.commit_sha = candidate.commit_sha)"
    " ORDER BY commit_sha LIMIT ?"
)
_CLUSTER = "SELECT * FROM cluster WHERE id = ? ORDER BY batch DESC, step DESC LIMIT 1"
_CASE = "SELECT * FROM eval_case WHERE id = ? ORDER BY batch DESC, step DESC LIMIT 1"
_CANDIDATE = (
    "SELECT p.n, p.batch, p.title, p.refusal_code, p.refusal_reason, d.verdict, d.reason_code, d.reason, d.val_before,"
    " d.val_after, c.commit_sha FROM proposal p LEFT JOIN candidate c ON c.n = p.n"
    " LEFT JOIN decision d ON d.candidate = p.n WHERE p.n = ?"
)
_COMMIT = (
    "SELECT a.commit_sha, a.position, a.candidate, p.title, p.batch FROM accepted a"
    " JOIN proposal p ON p.n = a.candidate WHERE a.commit_sha = ?"
)
_ROLLOUT = (
    "SELECT r.id, r.tree, r.task_id, r.purpose, r.trial, r.status, r.trace_sha, c.n AS candidate FROM rollout r"
    " LEFT JOIN candidate c ON c.tree = r.tree WHERE r.id = ?"
)


class Items:
    """Finds items through one connection."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._find: Mapping[LineageKind, Callable[[str], LineageItem | None]] = {
            "trace": self._trace,
            "rollout": self._rollout,
            "failure": self._failure,
            "cluster": self._cluster,
            "case": self._case,
            "candidate": self._candidate,
            "decision": self._decision,
            "commit": self._commit,
        }

    def find(self, kind: LineageKind, item_id: str) -> LineageItem | None:
        """The item of exactly this id; None when there is none."""
        return self._find[kind](item_id)

    def named(self, asked: str) -> tuple[LineageItem, ...]:
        """What an id may mean: one item when it is whole or a number, else all it is the beginning of."""
        kind, colon, rest = asked.strip().partition(":")
        text = rest if colon else kind
        kinds = tuple(each for each in self._find if not colon or each == kind)
        exact = (self.find(each, text) for each in kinds if each != "decision" or colon)
        whole = tuple(item for item in exact if item is not None)
        return _preferred(whole) if whole else self._beginning(text.lower(), kinds)

    def _beginning(self, prefix: str, kinds: tuple[LineageKind, ...]) -> tuple[LineageItem, ...]:
        if len(prefix) < MIN_PREFIX or not re.fullmatch(r"[0-9a-z]+", prefix):
            return ()
        found: list[LineageItem | None] = []
        span = (prefix, prefix + _BEHIND, MAX_CHOICES)
        for kind in kinds:
            query = _PREFIXED.get(kind)
            if query is not None:
                found += [self.find(kind, row[0]) for row in self._database.execute(query, span).fetchall()]
        if "candidate" in kinds:
            found += [self._candidate(str(row["n"])) for row in self._database.execute(_CANDIDATE_COMMIT, span)]
        return tuple(dict.fromkeys(item for item in found if item is not None))

    def _row(self, query: str, value: SqlValue) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._database.execute(query, (value,)).fetchone()
        return row

    def _trace(self, sha: str) -> LineageItem | None:
        row = self._row("SELECT count(*) AS n FROM rollout WHERE trace_sha = ?", sha)
        if row is None or not row["n"]:
            return None
        spans = self._row("SELECT count(*) AS n FROM trace_event WHERE trace_sha = ?", sha)
        return LineageItem(kind="trace", id=sha, text=f"{spans['n'] if spans else 0} spans")

    def _rollout(self, rollout_id: str) -> LineageItem | None:
        row = self._row(_ROLLOUT, rollout_id)
        if row is None:
            return None
        harness = "the base" if row["candidate"] is None else f"candidate {row['candidate']}"
        text = f"{row['status']}: task {row['task_id']}, {row['purpose']}/{row['trial']}, harness of {harness}"
        return LineageItem(kind="rollout", id=rollout_id, text=text)

    def _failure(self, failure_id: str) -> LineageItem | None:
        row = self._row("SELECT * FROM failure WHERE id = ?", failure_id)
        if row is None:
            return None
        text = f"{row['symptom']} [{row['label']}] on {row['task_id']}"
        return LineageItem(kind="failure", id=failure_id, text=text, batch=row["batch"])

    def _cluster(self, cluster_id: str) -> LineageItem | None:
        number = cluster_id.lower().removeprefix("k")
        row = self._row(_CLUSTER, int(number)) if _is_number(number) else None
        if row is None:
            return None
        text = f"{row['state']}: {row['name']} [{row['label']}], {row['n_failures']} failures"
        return LineageItem(kind="cluster", id=f"k{row['id']}", text=text, batch=row["batch"])

    def _case(self, case_id: str) -> LineageItem | None:
        row = self._row(_CASE, case_id)
        if row is None:
            return None
        text = f"{row['state']}, {row['layer']}: {row['check_name']} on {row['task_id']}; {row['note']}"
        return LineageItem(kind="case", id=case_id, text=text, batch=row["batch"])

    def _candidate(self, n: str) -> LineageItem | None:
        row = self._row(_CANDIDATE, int(n)) if _is_number(n) else None
        if row is None:
            return None
        commit = f" ({row['commit_sha'][:10]})" if row["commit_sha"] else ""
        text = f"{row['title'] or 'no proposal'}{commit}"
        return LineageItem(kind="candidate", id=str(row["n"]), text=text, batch=row["batch"])

    def _decision(self, n: str) -> LineageItem | None:
        row = self._row(_CANDIDATE, int(n)) if _is_number(n) else None
        if row is None or (row["verdict"] is None and row["refusal_code"] is None):
            return None
        verdict, code = row["verdict"] or "refused", row["reason_code"] or row["refusal_code"]
        text = f"{verdict} ({code}): {row['reason'] or row['refusal_reason']}"
        return LineageItem(kind="decision", id=str(row["n"]), text=text, batch=row["batch"])

    def _commit(self, sha: str) -> LineageItem | None:
        row = self._row(_COMMIT, sha)
        if row is None:
            return None
        text = f"number {row['position']} on the branch: {row['title']}"
        return LineageItem(kind="commit", id=sha, text=text, batch=row["batch"])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _preferred(items: tuple[LineageItem, ...]) -> tuple[LineageItem, ...]:
    """A bare number is a candidate before it is a cluster."""
    if {item.kind for item in items} == {"cluster", "candidate"}:
        return tuple(item for item in items if item.kind == "candidate")
    return items
