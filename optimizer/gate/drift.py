"""Has the model behind the trunk changed? A sequential test of sentinels against the trunk's pooled record.

A sentinel is a fresh run of the trunk on a validation task that its record knows. While nothing has changed it passes
with the record's probability, so a bet on it gains nothing on average; two bets run side by side, on better and on
worse, and their mean is the evidence. It is a test martingale: P(it ever reaches 1/alpha without a change) <= alpha, if
the record's rates are right (Waudby-Smith & Ramdas, arXiv 2010.09686). The rates are estimates, pulled towards one half
by the guard's prior; how often the test errs with them is measured in its tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.gate.guard import BETA, Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule:
    """Settings of the test."""

    alpha: float = 0.01
    """Bound on the chance of a false alarm over a whole campaign; in (0, 1)."""
    stake: float = 0.5
    """Share of the evidence bet on each sentinel; in (0, 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """One fresh run of the trunk, and what its record was then."""

    cell: Cell
    is_pass: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTest:
    """Where the test stands."""

    state: int
    """-1: the trunk has become worse; 1: better; 0: no change is shown."""
    e_value: float
    """Mean of both bets; 1/alpha is needed."""
    n_sentinels: int
    surplus: float
    """Passes beyond those that the record expected."""


def judge_drift(sentinels: Sequence[Sentinel], rule: DriftRule) -> DriftTest:
    """Read the test off all sentinels since the epoch began, in order; it stays where it first ended."""
    better = worse = 1.0
    surplus = 0.0
    for n, sentinel in enumerate(sentinels, start=1):
        gap = sentinel.is_pass - expected(sentinel.cell)
        better *= 1 + rule.stake * gap
        worse *= 1 - rule.stake * gap
        surplus += gap
        if (better + worse) / 2 >= 1 / rule.alpha:
            state = 1 if better > worse else -1
            return DriftTest(state=state, e_value=(better + worse) / 2, n_sentinels=n, surplus=surplus)
    return DriftTest(state=0, e_value=(better + worse) / 2, n_sentinels=len(sentinels), surplus=surplus)


def expected(cell: Cell) -> float:
    """Pass probability by the record, never quite 0 or 1."""
    return min(1.0, max(0.0, (cell.passes + BETA) / (cell.runs + 2 * BETA)))
