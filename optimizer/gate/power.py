"""What a split of tasks with this much noise can show, and what it cannot.

Noise is E[p(1 - p)] over tasks: the variance of one run that chance alone makes (for tau2-bench agents 0.06 to 0.13).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from optimizer.gate.target import Pair, TargetRule, TargetTest, judge_target

Z_FOUND = 1.6448536269514722 + 0.8416212335729143
"""Standard errors between no effect and one found in 80 % of cases by a one-sided test at 5 %."""
Z_INTERVAL = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class FlakyTask:
    """A task that the same harness passes and fails."""

    task_id: str
    n_passes: int
    n_runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitNoise:
    """One harness against itself on one split."""

    n_tasks: int
    n_runs: int
    """Measured runs of all tasks together."""
    mean: float
    """Pass rate, 0.0 to 1.0."""
    noise: float
    """Unbiased estimate of E[p(1 - p)], 0.0 to 0.25 and, by chance, a little above."""
    rerun_rate: float | None
    """Share of failing runs whose task passes when it is simply run again; None when nothing failed."""
    flaky: tuple[FlakyTask, ...]
    """By task id."""


def noise_of_split(counts: Mapping[str, tuple[int, int]]) -> SplitNoise:
    """Read the noise off passes and measured runs by task; tasks with fewer than two runs say nothing.

    Raises ValueError when no task has two runs.
    """
    known = {task_id: (passes, n) for task_id, (passes, n) in counts.items() if n >= 2}
    if not known:
        raise ValueError("no task was measured twice, so nothing is known of the noise; run more trials")
    each = [passes * (n - passes) / (n * (n - 1)) for passes, n in known.values()]
    mean = math.fsum(passes / n for passes, n in known.values()) / len(known)
    noise = math.fsum(each) / len(known)
    return SplitNoise(
        n_tasks=len(known),
        n_runs=sum(n for _, n in known.values()),
        mean=mean,
        noise=noise,
        rerun_rate=min(1.0, noise / (1 - mean)) if mean < 1 else None,
        flaky=tuple(
            FlakyTask(task_id=task_id, n_passes=passes, n_runs=n)
            for task_id, (passes, n) in sorted(known.items())
            if 0 < passes < n
        ),
    )


def cautious_noise(split: SplitNoise) -> float:
    """The noise, or the little that may have gone unseen in so few runs."""
    return min(0.25, max(split.noise, 0.5 / split.n_runs))


def detectable(noise: float, n_tasks: int, n_trials: int = 1) -> float:
    """Least true difference that one paired comparison finds in 80 % of cases (one-sided, 5 %)."""
    return min(1.0, Z_FOUND * math.sqrt(2 * noise / (n_tasks * n_trials)))


def tasks_needed(noise: float, difference: float) -> int:
    """Tasks on which one paired comparison finds a difference as `detectable` says."""
    return math.ceil(2 * noise * (Z_FOUND / difference) ** 2)


def half_interval(noise: float, n_tasks: int, n_trials: int) -> float:
    """Half of the 95 % interval of a paired difference if all tasks gain alike; unequal gains widen it."""
    return min(1.0, Z_INTERVAL * math.sqrt(2 * noise / (n_tasks * n_trials)))


def target_power(rule: TargetRule, *, base: float, lifted: float, n_targets: int = 6) -> float:
    """Chance that the target test passes an edit that lifts `n_targets` alike tasks from one pass rate to another.

    Exact: every course of rounds is followed through the test itself, courses that stand alike together.
    """
    power = 0.0
    standing: list[tuple[tuple[tuple[Pair, ...], ...], float]] = [((), 1.0)]
    while standing:
        live: dict[TargetTest, tuple[tuple[tuple[Pair, ...], ...], float]] = {}
        for rounds, chance in standing:
            for pairs, weight in _rounds(base, lifted, n_targets):
                test = judge_target((*rounds, pairs), rule)
                if test.state == "passed":
                    power += chance * weight
                elif test.state == "continue":
                    alike = replace(test, e_value=round(test.e_value, 12))
                    path, mass = live.get(alike, ((*rounds, pairs), 0.0))
                    live[alike] = (path, mass + chance * weight)
        standing = list(live.values())
    return power


def _rounds(base: float, lifted: float, n: int) -> Iterator[tuple[tuple[Pair, ...], float]]:
    """Every number of wins and losses of one round with its chance; a tie is written as two fails."""
    win, loss = lifted * (1 - base), base * (1 - lifted)
    for n_wins in range(n + 1):
        for n_losses in range(n + 1 - n_wins):
            n_ties = n - n_wins - n_losses
            ways = math.comb(n, n_wins) * math.comb(n - n_wins, n_losses)
            weight = ways * win**n_wins * loss**n_losses * (1 - win - loss) ** n_ties
            kinds = [(True, False)] * n_wins + [(False, True)] * n_losses + [(False, False)] * n_ties
            yield tuple(Pair(task_id=f"t{i}", candidate=c, trunk=t) for i, (c, t) in enumerate(kinds)), weight
