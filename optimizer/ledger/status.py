"""The state of a campaign at a glance, without counting any large table."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections import Counter

from optimizer.domain.budget import BudgetLimits, Spend
from optimizer.domain.trace import Usage
from optimizer.ledger.candidates import verdict_counts
from optimizer.ledger.finals import final_rows, n_val_candidates
from optimizer.ledger.intents import uncertain_spend
from optimizer.ledger.nouns import Nouns
from optimizer.ledger.sessions import elapsed_s
from optimizer.ledger.snapshots import LATEST_CASES, LATEST_CLUSTERS
from optimizer.ledger.totals import rollout_totals
from optimizer.ledger.views import CampaignState, SessionView, StatusView

STALE_S = 15.0
DEAD_S = 600.0
_RATE_ROLLOUTS = 100

_SESSION = """
    SELECT session.*, (SELECT max(beat_at) FROM heartbeat WHERE session_id = session.id) AS beat_at,
        (SELECT ended_at FROM session_end WHERE session_id = session.id) AS ended_at,
        (SELECT reason FROM session_end WHERE session_id = session.id) AS reason
    FROM session ORDER BY id DESC LIMIT 1
"""


_END = """
    SELECT reason_code, text FROM campaign_end
    WHERE session_id = (SELECT coalesce(max(id), 0) FROM session) ORDER BY seq DESC LIMIT 1
"""


def read_status(database: sqlite3.Connection, nouns: Nouns, now: float) -> StatusView:
    """Everything the status line and the Overview need; `now` is Unix time in seconds."""
    row = database.execute(_SESSION).fetchone()
    session = None if row is None else _session(row)
    totals = rollout_totals(database)
    clusters = Counter(cluster["state"] for cluster in database.execute(LATEST_CLUSTERS).fetchall())
    cases = Counter(case["state"] for case in database.execute(LATEST_CASES).fetchall())
    state = _state(session, row["reason"] if row is not None else None, now)
    end = database.execute(_END).fetchone()
    return StatusView(
        header=nouns.header(),
        state=state,
        session=session,
        heartbeat_age_s=None if session is None else max(0.0, now - session.seen_at),
        elapsed_s=elapsed_s(database),
        n_batches=_one(database, "SELECT count(*) FROM batch"),
        counts=verdict_counts(database),
        clusters=tuple(sorted(clusters.items())),
        n_cases=cases.total(),
        n_suite=cases["active"],
        val_baseline=_val(database, "ASC"),
        val_now=_val(database, "DESC"),
        spent=_spent(database),
        uncertain=uncertain_spend(database, is_running=state in {"running", "stale"}),
        limits=BudgetLimits() if row is None else _limits(row),
        sandbox_levels=_levels(database),
        n_rollouts=totals.n_rollouts,
        n_calls=totals.usage.n_calls,
        n_replayed_calls=totals.usage.n_replayed_calls,
        usage=totals.usage,
        n_unpriced_rollouts=totals.n_unpriced,
        usd_saved=_saved(totals.usage),
        rollouts_per_minute=_rate(database),
        end_code=None if end is None else end["reason_code"],
        end_text=None if end is None else end["text"],
        n_val_candidates=n_val_candidates(database),
        final=next(reversed(final_rows(database)), None),
    )


def _session(row: sqlite3.Row) -> SessionView:
    return SessionView(
        id=row["id"],
        pid=row["pid"],
        host=row["host"],
        started_at=row["started_at"],
        seen_at=max(row["ended_at"] or 0.0, row["beat_at"] or 0.0, row["started_at"]),
        is_ended=row["ended_at"] is not None,
    )


def _state(session: SessionView | None, end_reason: CampaignState | None, now: float) -> CampaignState:
    if session is None:
        return "new"
    if end_reason is not None:
        return end_reason
    age_s = now - session.seen_at
    if age_s > DEAD_S or (session.host == socket.gethostname() and not _is_alive(session.pid)):
        return "died"
    return "stale" if age_s > STALE_S else "running"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _limits(row: sqlite3.Row) -> BudgetLimits:
    return BudgetLimits(
        usd=row["limit_usd"],
        tokens=row["limit_tokens"],
        rollouts=row["limit_rollouts"],
        candidates=row["limit_candidates"],
        hours=row["limit_hours"],
    )


def _spent(database: sqlite3.Connection) -> Spend:
    row = database.execute("SELECT * FROM spend ORDER BY seq DESC LIMIT 1").fetchone()
    if row is None:
        return Spend()
    return Spend(usd=row["usd"], tokens=row["tokens"], rollouts=row["rollouts"], candidates=row["candidates"])


def _val(database: sqlite3.Connection, order: str) -> float | None:
    row = database.execute(f"SELECT value FROM trunk ORDER BY seq {order} LIMIT 1").fetchone()  # noqa: S608 - ASC, DESC
    return None if row is None else float(row["value"])


def _saved(usage: Usage) -> float | None:
    n_paid = usage.n_calls - usage.n_replayed_calls
    if usage.usd is None or n_paid <= 0:
        return None
    return usage.usd / n_paid * usage.n_replayed_calls


def _rate(database: sqlite3.Connection) -> float | None:
    """Rollouts per minute between the first and the last of the latest 100."""
    query = "SELECT recorded_at FROM rollout ORDER BY rowid DESC LIMIT ?"
    times = [row["recorded_at"] for row in database.execute(query, (_RATE_ROLLOUTS,)).fetchall()]
    if len(times) < 2 or times[0] <= times[-1]:
        return None
    return 60.0 * (len(times) - 1) / float(times[0] - times[-1])


def _levels(database: sqlite3.Connection) -> tuple[str, ...]:
    """Sandbox levels of the first rollout and of the latest 100, in order; a rollout that never got one has none."""
    ends = (("ASC", 1), ("DESC", _RATE_ROLLOUTS))
    queries = (f"SELECT sandbox_level FROM rollout ORDER BY rowid {order} LIMIT {n}" for order, n in ends)  # noqa: S608
    found = {row["sandbox_level"] for query in queries for row in database.execute(query).fetchall()}
    return tuple(sorted(found - {"", "none"}))


def _one(database: sqlite3.Connection, query: str) -> int:
    (number,) = database.execute(query).fetchone()
    return int(number)
