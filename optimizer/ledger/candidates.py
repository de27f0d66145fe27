"""Reads of candidates: pages, the tree, one in full."""

from __future__ import annotations

import sqlite3
from typing import get_args

from optimizer.domain.candidate import Verdict
from optimizer.ledger.codec import SqlValue
from optimizer.ledger.nouns import Nouns
from optimizer.ledger.snapshots import cases_of_tasks, latest_cluster
from optimizer.ledger.views import (
    AcceptedRow,
    CandidateDetail,
    CandidateFilter,
    CandidateRow,
    CandidateStatus,
    Node,
    Page,
    ReasonCount,
    ResultRow,
    ScoreBucket,
    VerdictCounts,
)

_STATUS = "coalesce(d.verdict, iif(p.refusal_code IS NULL, 'running', 'refused'))"
_ROWS = f"""
    SELECT p.n, p.batch, p.cluster_id, {_STATUS} AS status, d.verdict,
        coalesce(d.reason_code, p.refusal_code) AS reason_code, coalesce(d.reason, p.refusal_reason) AS reason,
        p.title, iif(p.is_proposed, p.rung, NULL) AS rung, p.proposer, c.parent_n,
        coalesce(a.commit_sha, c.commit_sha) AS "commit", d.val_before, d.val_after, d.val_low, d.val_high,
        coalesce(d.n_fixed, 0) AS n_fixed, coalesce(d.n_broken, 0) AS n_broken,
        coalesce(d.n_rollouts, 0) AS n_rollouts, d.usd, coalesce(d.input_tokens + d.output_tokens, 0) AS tokens,
        p.usd AS proposal_usd, d.recorded_at AS decided_at
    FROM proposal p LEFT JOIN candidate c ON c.n = p.n LEFT JOIN decision d ON d.candidate = p.n
        LEFT JOIN accepted a ON a.candidate = p.n
"""  # noqa: S608 - a constant
_IN_STATUS = {
    "accept": "p.n IN (SELECT candidate FROM decision WHERE verdict = :status)",
    "reject": "p.n IN (SELECT candidate FROM decision WHERE verdict = :status)",
    "inconclusive": "p.n IN (SELECT candidate FROM decision WHERE verdict = :status)",
    "refused": "p.refusal_code IS NOT NULL AND d.candidate IS NULL",
    "running": "p.refusal_code IS NULL AND d.candidate IS NULL",
}
_FOR_REASON = (
    "p.n IN (SELECT candidate FROM decision WHERE reason_code = :reason"
    " UNION ALL SELECT n FROM proposal WHERE refusal_code = :reason)"
)
_WITH_TEXT = "(p.title LIKE :text ESCAPE '\\' OR coalesce(d.reason, p.refusal_reason) LIKE :text ESCAPE '\\')"


def candidate_page(database: sqlite3.Connection, wanted: CandidateFilter, page: Page) -> tuple[CandidateRow, ...]:
    """One window of the log."""
    conditions, values = _conditions(wanted)
    order, beyond = ("DESC", "<") if page.is_newest_first else ("ASC", ">")
    if page.after is not None:
        conditions.append(f"p.n {beyond} :after")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"{_ROWS} {where} ORDER BY p.n {order} LIMIT :limit"
    rows = database.execute(query, {**values, "after": page.after, "limit": page.limit}).fetchall()
    return tuple(CandidateRow(**dict(zip(row.keys(), row, strict=True))) for row in rows)


def _conditions(wanted: CandidateFilter) -> tuple[list[str], dict[str, SqlValue]]:
    conditions = [] if wanted.status is None else [_IN_STATUS[wanted.status]]
    if wanted.reason_code is not None:
        conditions.append(_FOR_REASON)
    if wanted.cluster_id is not None:
        conditions.append("p.cluster_id = :cluster")
    if wanted.text is not None:
        conditions.append(_WITH_TEXT)
    text = None if wanted.text is None else like_pattern(wanted.text)
    return conditions, {
        "status": wanted.status,
        "reason": wanted.reason_code,
        "cluster": wanted.cluster_id,
        "text": text,
    }


def like_pattern(text: str) -> str:
    """A LIKE pattern, with backslash as its escape, that finds `text` literally and anywhere."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"


def candidate_tree(database: sqlite3.Connection) -> tuple[Node, ...]:
    """All candidates with parent and status, by number; read from indexes alone."""
    status: dict[int, CandidateStatus] = dict.fromkeys(
        _numbers(database, "SELECT n FROM proposal ORDER BY n"), "running"
    )
    for n in _numbers(database, "SELECT n FROM proposal WHERE refusal_code IS NOT NULL"):
        status[n] = "refused"
    for verdict in get_args(Verdict):
        for n in _numbers(database, "SELECT candidate FROM decision WHERE verdict = ?", verdict):
            status[n] = verdict
    parents: dict[int, int | None] = dict(database.execute("SELECT n, parent_n FROM candidate").fetchall())
    return tuple(Node(n=n, parent_n=parents.get(n), status=each) for n, each in status.items())


def _numbers(database: sqlite3.Connection, query: str, *values: str) -> list[int]:
    return [n for (n,) in database.execute(query, values).fetchall()]


def numbers_by_val(database: sqlite3.Connection) -> tuple[int, ...]:
    """Numbers of measured candidates, best val estimate first."""
    query = "SELECT candidate FROM decision WHERE val_after IS NOT NULL ORDER BY val_after DESC, candidate DESC"
    return tuple(n for (n,) in database.execute(query).fetchall())


def numbers_by_reason(database: sqlite3.Connection, reason_code: str) -> tuple[int, ...]:
    """Numbers of the candidates a reason decided, ascending."""
    query = "SELECT candidate FROM decision WHERE reason_code = ? ORDER BY candidate"
    return tuple(n for (n,) in database.execute(query, (reason_code,)).fetchall())


def reason_counts(database: sqlite3.Connection) -> tuple[ReasonCount, ...]:
    """How often each reason decided, most frequent first."""
    query = (
        "SELECT verdict, reason_code, count(*) AS n FROM decision GROUP BY reason_code, verdict"
        " ORDER BY n DESC, reason_code"
    )
    rows = database.execute(query).fetchall()
    return tuple(ReasonCount(verdict=row["verdict"], reason_code=row["reason_code"], n=row["n"]) for row in rows)


def verdict_counts(database: sqlite3.Connection) -> VerdictCounts:
    """How many candidates ended how."""
    decided = dict(tuple(row) for row in database.execute("SELECT verdict, count(*) FROM decision GROUP BY verdict"))
    (n_asked,) = database.execute("SELECT count(*) FROM proposal").fetchone()
    (n_refused,) = database.execute(
        "SELECT count(*) FROM proposal p LEFT JOIN decision d ON d.candidate = p.n"
        " WHERE p.refusal_code IS NOT NULL AND d.candidate IS NULL"
    ).fetchone()
    return VerdictCounts(
        accepted=decided.get("accept", 0),
        rejected=decided.get("reject", 0),
        inconclusive=decided.get("inconclusive", 0),
        refused=n_refused,
        running=max(0, n_asked - n_refused - sum(decided.values())),
    )


def candidate_detail(database: sqlite3.Connection, nouns: Nouns, n: int) -> CandidateDetail | None:
    """Everything about one candidate; None when there is none of this number."""
    record = nouns.proposal(n)
    if record is None:
        return None
    (row,) = candidate_page(database, CandidateFilter(), Page(after=n - 1, limit=1))
    candidate = nouns.candidate(n)
    accepted = database.execute("SELECT position, commit_sha FROM accepted WHERE candidate = ?", (n,)).fetchone()
    results = database.execute(
        "SELECT * FROM task_result WHERE candidate = ? ORDER BY split, task_id, purpose, trial", (n,)
    )
    measured = tuple(result_row(found) for found in results.fetchall())
    failed_in_suite = frozenset(each.task_id for each in measured if each.purpose == "suite" and not each.is_passed)
    return CandidateDetail(
        row=row,
        proposal=record.proposal,
        refusal=record.refusal,
        proposal_usage=record.usage,
        diff=None if candidate is None else candidate.diff,
        decision=nouns.decision(n),
        results=measured,
        cluster=latest_cluster(database, row.cluster_id),
        broken_cases=cases_of_tasks(database, failed_in_suite),
        position=None if accepted is None else accepted["position"],
        accepted_commit=None if accepted is None else accepted["commit_sha"],
    )


def candidate_flips(database: sqlite3.Connection, n: int) -> tuple[ResultRow, ...]:
    """Results in which a candidate differs from the trunk."""
    query = (
        "SELECT * FROM task_result WHERE candidate = ? AND is_passed <> base_passed"
        " ORDER BY split, task_id, purpose, trial"
    )
    return tuple(result_row(found) for found in database.execute(query, (n,)).fetchall())


def task_history(database: sqlite3.Connection, task_id: str, limit: int) -> tuple[ResultRow, ...]:
    """Latest results on a task, newest first."""
    query = "SELECT * FROM task_result WHERE task_id = ? ORDER BY candidate DESC, purpose, trial LIMIT ?"
    return tuple(result_row(found) for found in database.execute(query, (task_id, limit)).fetchall())


def result_row(row: sqlite3.Row) -> ResultRow:
    """A row of `task_result`."""
    base = row["base_passed"]
    return ResultRow(
        candidate=row["candidate"],
        split=row["split"],
        task_id=row["task_id"],
        purpose=row["purpose"],
        trial=row["trial"],
        is_passed=bool(row["is_passed"]),
        base_passed=None if base is None else bool(base),
        rollout_id=row["rollout_id"],
    )


def accepted_rows(database: sqlite3.Connection) -> tuple[AcceptedRow, ...]:
    """The campaign's branch, oldest first."""
    rows = database.execute(
        "SELECT a.position, a.candidate, a.commit_sha, p.title, d.val_after, a.recorded_at FROM accepted a"
        " JOIN proposal p ON p.n = a.candidate LEFT JOIN decision d ON d.candidate = a.candidate ORDER BY a.position"
    ).fetchall()
    return tuple(
        AcceptedRow(
            position=row["position"],
            candidate=row["candidate"],
            commit=row["commit_sha"],
            title=row["title"],
            val_after=row["val_after"],
            recorded_at=row["recorded_at"],
        )
        for row in rows
    )


def score_buckets(database: sqlite3.Connection, n_buckets: int) -> tuple[ScoreBucket, ...]:
    """Val estimates of all measured candidates in at most `n_buckets` groups of consecutive numbers."""
    (last,) = database.execute("SELECT coalesce(max(candidate), 0) FROM decision").fetchone()
    query = (
        "SELECT min(candidate), max(candidate), min(val_after), max(val_after), count(*) FROM decision"
        " WHERE val_after IS NOT NULL GROUP BY (candidate - 1) / ? ORDER BY 1"
    )
    width = max(1, -(-last // n_buckets))
    return tuple(
        ScoreBucket(first_n=first, last_n=end, low=low, high=high, n_measured=n)
        for first, end, low, high, n in database.execute(query, (width,)).fetchall()
    )
