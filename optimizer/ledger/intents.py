"""Model calls that were about to be paid for: money that a kill between question and answer would hide.

An intent is written before an external call, and its end with the answer. What is open when a session starts belongs to
a process that is gone. If the rollout of such a call is recorded, its usage holds the worst case already (the call was
cut off by the end of its rollout); if not, nobody knows what the call took: it counts as spent, at its worst case.

Every attempt at a call has an intent of its own. One that was sent and broke off (time-out, half a stream, a 5xx) ends
as `lost` at once and counts the same way; its rollout's usage does not hold it, so that a provider's bad hour changes
no measurement.
"""

from __future__ import annotations

import sqlite3
import time

from optimizer.domain.budget import Spend
from optimizer.domain.recording import IntendedCall
from optimizer.ledger import schema
from optimizer.ledger.store import Row, Store

_OPEN = """
    SELECT id, usd, tokens, EXISTS (SELECT 1 FROM rollout WHERE rollout.id = call_intent.rollout_id) AS is_counted
    FROM call_intent WHERE NOT EXISTS (SELECT 1 FROM call_intent_end WHERE call_intent_end.id = call_intent.id)
    ORDER BY id
"""
_UNCERTAIN = """
    SELECT coalesce(sum(usd), 0.0) AS usd, coalesce(sum(tokens), 0) AS tokens
    FROM call_intent JOIN call_intent_end USING (id) WHERE outcome IN ('uncertain', 'lost')
"""


class Intents:
    """The writer's side. Used from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        (last,) = store.database.execute("SELECT coalesce(max(id), 0) FROM call_intent").fetchone()
        self._last = int(last)

    def begin(self, call: IntendedCall) -> int:
        """Keep that a call is about to be made; its number."""
        self._last += 1
        row: Row = {
            "id": self._last,
            "luck": call.luck,
            "request_hash": call.request_hash,
            "occurrence": call.occurrence,
            "rollout_id": call.rollout_id,
            "usd": call.worst_case.usd,
            "tokens": call.worst_case.tokens,
            "recorded_at": time.time(),
        }
        self._store.record(schema.CALL_INTENT, row)
        return self._last

    def end(self, intent: int, outcome: str) -> None:
        """Keep how a call ended; inside a transaction of the store."""
        self._store.insert(schema.CALL_INTENT_END, {"id": intent, "outcome": outcome, "ended_at": time.time()})

    def close_open(self) -> None:
        """Settle what an earlier process has left open; before this one makes its first call."""
        with self._store.transaction():
            for row in self._store.database.execute(_OPEN).fetchall():
                self.end(row["id"], "in_rollout" if row["is_counted"] else "uncertain")


def uncertain_spend(database: sqlite3.Connection, *, is_running: bool) -> Spend:
    """What may have been spent without a record. Calls of a running process are under way, until they are lost."""
    if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'call_intent_end'").fetchone():
        return Spend()  # a ledger of version 1.0
    row = database.execute(_UNCERTAIN).fetchone()
    settled = Spend(usd=row["usd"], tokens=row["tokens"])
    left = () if is_running else database.execute(_OPEN).fetchall()
    lost = (Spend(usd=one["usd"] or 0.0, tokens=one["tokens"]) for one in left if not one["is_counted"])
    return sum(lost, settled)
