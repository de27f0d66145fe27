"""The regression suite in the gate: a case is broken by repeats, never by one run."""

from __future__ import annotations

import math
from dataclasses import dataclass

MAX_RUNS = 3
"""Runs of one case at most: it is repeated only while it has not passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRuns:
    """How a candidate did on one active case."""

    case_id: str
    task_id: str
    n_passes: int
    n_runs: int
    """Measured runs; 0 when infrastructure alone failed."""
    expected: float
    """Its own pass-rate estimate on accepted versions, 0.0 to 1.0."""
    is_pinned: bool = False
    weight: float = 1.0
    """How much it counts, above 0."""

    @property
    def name(self) -> str:
        """The case and its task, for people."""
        return f"case {self.case_id} (task {self.task_id})"

    @property
    def is_broken(self) -> bool:
        """Failed every one of the repeats, which a stable case would hardly do by chance (under 5 %)."""
        by_chance = (1 - self.expected) ** self.n_runs if self.n_runs else 1.0
        enough = self.n_runs >= MAX_RUNS if self.is_pinned else self.n_runs > 0 and by_chance < 0.05
        return self.n_passes == 0 and enough


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteVerdict:
    """The suite as a whole."""

    n_held: int
    n_cases: int
    """Measured cases."""
    broken: tuple[str, ...]
    """Tasks of broken cases."""
    is_passed: bool
    note: str
    named: tuple[str, ...] = ()
    """The broken cases, each with its task."""


def judge_suite(cases: tuple[CaseRuns, ...], *, required_rate: float, n_suite: int = 0) -> SuiteVerdict:
    """No pinned case may break, and of the others at most a share of 1 - required_rate (0 to 1), by number and weight.

    A weight can only make it stricter: that light cases hold does not make up for a heavy one. `n_suite` is the size of
    the whole suite where these are the first cases of it; how much of it may break is counted over all.
    """
    measured = [case for case in cases if case.n_runs]
    broken = [case for case in measured if case.is_broken]
    pinned = [case for case in broken if case.is_pinned]
    n_counted = max(len(measured), n_suite)
    allowed = math.floor((1 - required_rate) * n_counted + 1e-9)
    heaviest = max((case.weight for case in measured), default=1.0)
    weight = sum(case.weight for case in measured) + heaviest * (n_counted - len(measured))
    is_light = sum(case.weight for case in broken) <= (1 - required_rate) * weight + 1e-9
    held = len(measured) - len(broken)
    named = tuple(case.name for case in broken)
    note = f"suite {held}/{len(measured)}"
    if pinned:
        note += f", pinned {', '.join(case.task_id for case in pinned)} broken"
    elif named:
        note += f", broken: {', '.join(named)}"
    return SuiteVerdict(
        n_held=held,
        n_cases=len(measured),
        broken=tuple(case.task_id for case in broken),
        is_passed=not pinned and len(broken) <= allowed and is_light,
        note=note,
        named=named,
    )
