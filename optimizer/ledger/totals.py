"""What all rollouts together took, without adding up all rollouts: a tally row every 256, and the few after it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from optimizer.domain.trace import Usage
from optimizer.ledger.codec import USAGE_FIELDS
from optimizer.ledger.nouns import usage_from

TALLY_ROLLOUTS = 256

_TALLY = "SELECT * FROM tally ORDER BY n_rollouts DESC LIMIT 1"
_TAIL = (
    "SELECT count(*) AS n_rollouts, count(*) - count(usd) AS n_unpriced, "  # noqa: S608 - names of fields
    + ", ".join(f"coalesce(sum({name}), 0) AS {name}" for name in USAGE_FIELDS)
    + " FROM rollout WHERE rowid > ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutTotals:
    """Sums over all rollouts of a campaign."""

    n_rollouts: int
    n_unpriced: int
    """Rollouts whose price is unknown; `usage.usd` is the sum over the others."""
    usage: Usage


def rollout_totals(database: sqlite3.Connection) -> RolloutTotals:
    """Sums up to the latest rollout. Rows are numbered in order of arrival and never removed."""
    tally = database.execute(_TALLY).fetchone()
    tail = database.execute(_TAIL, (0 if tally is None else tally["n_rollouts"],)).fetchone()
    if tally is None:
        return _totals(tail)
    before, after = _totals(tally), _totals(tail)
    return RolloutTotals(
        n_rollouts=before.n_rollouts + after.n_rollouts,
        n_unpriced=before.n_unpriced + after.n_unpriced,
        usage=before.usage + after.usage,
    )


def _totals(row: sqlite3.Row) -> RolloutTotals:
    return RolloutTotals(n_rollouts=row["n_rollouts"], n_unpriced=row["n_unpriced"], usage=usage_from(row))
