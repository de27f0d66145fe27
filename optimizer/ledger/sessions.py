"""Who worked on a campaign, and when: the only rows that differ between two equal campaigns."""

from __future__ import annotations

import sqlite3
import time

from optimizer.domain.budget import BudgetLimits
from optimizer.ledger import schema
from optimizer.ledger.records import SessionEnd
from optimizer.ledger.store import Row, Store

_ELAPSED = (
    "SELECT coalesce(sum(max(0.0, coalesce((SELECT ended_at FROM session_end WHERE session_id = id),"
    " (SELECT max(beat_at) FROM heartbeat WHERE session_id = id), started_at) - started_at)), 0.0) FROM session"
)


class Sessions:
    """The session of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._id = 0
        self._beats = 0

    def start(self, pid: int, host: str, limits: BudgetLimits) -> int:
        """Begin a session; its number."""
        with self._store.transaction():
            (last,) = self._store.database.execute("SELECT coalesce(max(id), 0) FROM session").fetchone()
            self._id, self._beats = last + 1, 0
            row: Row = {"id": self._id, "started_at": time.time(), "pid": pid, "host": host}
            allowed: Row = {
                "limit_usd": limits.usd,
                "limit_tokens": limits.tokens,
                "limit_rollouts": limits.rollouts,
                "limit_candidates": limits.candidates,
                "limit_hours": limits.hours,
            }
            self._store.insert(schema.SESSION, {**row, **allowed})
        return self._id

    @property
    def id(self) -> int:
        """Number of the session; 0 before it has begun."""
        return self._id

    def heartbeat(self) -> None:
        """One sign of life."""
        self._beats += 1
        self._store.record(schema.HEARTBEAT, {"session_id": self._id, "seq": self._beats, "beat_at": time.time()})

    def end(self, reason: SessionEnd) -> None:
        """End the session."""
        self._store.record(schema.SESSION_END, {"session_id": self._id, "ended_at": time.time(), "reason": reason})


def elapsed_s(database: sqlite3.Connection) -> float:
    """Seconds of all sessions, each from its start to its end or last heartbeat."""
    (seconds,) = database.execute(_ELAPSED).fetchone()
    return float(seconds)
