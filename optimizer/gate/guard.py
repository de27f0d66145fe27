"""The validation guard: is the edit more likely an improvement than a loss on held-out tasks?

The candidate is compared, task by task, with the *pooled* record of the trunk, never with the best score ever seen;
the difference is shrunk towards a prior centred at (almost) no change, because most edits change little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PRIOR_SD = 0.03
"""Standard deviation of true edit effects, in score; results are flat between .02 and .05."""
EXTRA_VARIANCE = 0.02
"""Added to the observed variance of differences, against luckily equal small samples."""
BETA = 0.15
"""Both parameters of the prior of a task's pass probability: a single run moves it most of the way, as tau2-bench's
mean p(1 - p) of 0.1 asks."""
BLOCK = 10
"""Validation tasks between two looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """What some differences say about the true one."""

    mean: float
    """Observed mean difference d."""
    variance: float
    """Sampling variance v of that mean."""
    shrunk: float
    """Posterior mean mu."""
    p_better: float
    """Posterior probability that the true difference is above zero."""
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the observed mean difference."""
        half = 1.96 * math.sqrt(self.variance)
        return self.mean - half, self.mean + half


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRule:
    """Settings of one route through validation."""

    prior_mean: float
    reject_below: float
    """P(better) under this ends the race with a rejection."""
    accept_at: float
    """P(better) needed once every task has been seen."""
    accept_early: float = 0.95


TARGET_ROUTE = GuardRule(prior_mean=0.0, reject_below=0.25, accept_at=0.50)
BROAD_ROUTE = GuardRule(prior_mean=-0.005, reject_below=0.40, accept_at=0.80)


def posterior(
    differences: tuple[float, ...], prior_mean: float, *, noise: tuple[float, ...] | None = None
) -> Posterior:
    """Shrink the mean of per-task differences (each in [-1, 1]); at least one is needed.

    `noise` are the variances that chance alone gives each difference, known before the candidate ran. With them the
    verdict is monotone: no pass of the candidate can count against it. Without them the spread is taken from the
    differences themselves, where one more pass may look like more noise.
    """
    n = len(differences)
    d = math.fsum(differences) / n
    spread = max(0.0, math.fsum(x * x for x in differences) / n - d * d) if noise is None else math.fsum(noise) / n
    v = (spread + EXTRA_VARIANCE) / n
    w = PRIOR_SD**2 / (PRIOR_SD**2 + v)
    mu = prior_mean + w * (d - prior_mean)
    p = 0.5 * math.erfc(-mu / math.sqrt(w * v) / math.sqrt(2))
    return Posterior(mean=d, variance=v, shrunk=mu, p_better=p, n=n)


def judge_guard(post: Posterior, rule: GuardRule, *, is_complete: bool) -> Literal["continue", "accept", "reject"]:
    """Verdict after a block of validation tasks."""
    if post.p_better > rule.accept_early:
        return "accept"
    if post.p_better < rule.reject_below:
        return "reject"
    if not is_complete:
        return "continue"
    return "accept" if post.p_better >= rule.accept_at else "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What is known of the trunk on one validation task."""

    passes: float
    """Discounted number of passes s."""
    runs: float
    """Discounted number of runs n; above 0."""

    @property
    def rate(self) -> float:
        """Estimated pass probability."""
        return self.passes / self.runs


def noise_of(cell: Cell, n_runs: int) -> float:
    """Variance that chance gives (rate of n candidate runs) - (rate of the cell) where the edit changes nothing.

    The pass probability is the cell's, pulled towards one half by a Beta prior that is U-shaped as real agents' tasks
    are: most are passed nearly always or hardly ever.
    """
    p = min(1.0, max(0.0, (cell.passes + BETA) / (cell.runs + 2 * BETA)))
    return p * (1 - p) * (1 / n_runs + 1 / cell.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkRecord:
    """The pooled record of the accepted version on every validation task; each update makes a new record."""

    cells: Mapping[str, Cell]

    @property
    def estimate(self) -> float:
        """Mean estimated pass rate: the internal estimate shown to people, never a result."""
        return math.fsum(cell.rate for cell in self.cells.values()) / len(self.cells) if self.cells else 0.0

    def measured(self, outcomes: Mapping[str, bool]) -> TrunkRecord:
        """Add runs of the trunk itself."""
        return self._plus({task: (int(passed), 1) for task, passed in outcomes.items()}, 0.0)

    def after_accept(self, runs: Mapping[str, tuple[int, int]]) -> TrunkRecord:
        """The candidate becomes the trunk: old evidence counts half, its own (passes, runs) count in full."""
        halved = TrunkRecord(
            cells={task: Cell(passes=cell.passes / 2, runs=cell.runs / 2) for task, cell in self.cells.items()}
        )
        return halved._plus(runs, 0.0)

    def after_reject(self, runs: Mapping[str, tuple[int, int]], shrunk: float) -> TrunkRecord:
        """A rejected candidate's (passes, runs) also measure the trunk, less the difference it is believed to make."""
        return self._plus(runs, shrunk)

    def stale(self) -> tuple[str, ...]:
        """Tasks whose evidence has faded so far that the trunk must be run again."""
        return tuple(sorted(task for task, cell in self.cells.items() if cell.runs < 0.5))

    def _plus(self, runs: Mapping[str, tuple[int, int]], less: float) -> TrunkRecord:
        cells = dict(self.cells)
        for task, (passes, n) in runs.items():
            old = cells.get(task, Cell(passes=0.0, runs=0.0))
            cells[task] = _capped(Cell(passes=old.passes + passes - n * less, runs=old.runs + n))
        return TrunkRecord(cells=cells)


def _capped(cell: Cell, limit: float = 12.0) -> Cell:
    if cell.runs <= limit:
        return cell
    return Cell(passes=cell.passes * limit / cell.runs, runs=limit)
