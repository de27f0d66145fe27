"""Many campaigns at once: what is played, and what the averages over campaigns say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from optimizer.gate.guard import TARGET_ROUTE
from optimizer.gate.policy import Policy
from optimizer.gate.target import TargetRule
from tests.gate.sim.campaign import Contender, Season, play
from tests.gate.sim.rivals import gepa
from tests.gate.sim.world import Vector, WorldRule

TRIAL = Contender(name="trial", policy=Policy())
PUBLISHED = Contender(name="published", policy=Policy(rule="published"))
LITERAL = replace(PUBLISHED, name="published, literal", is_literal=True)
PAIRED = Contender(name="paired-kse", policy=Policy(rule="paired-kse"))
GEPA = Contender(name="GEPA minibatch", policy=Policy(rule="published"), course=gepa)
HALVING = Contender(name="successive halving", policy=Policy(rule="published"), n_racers=8)

"""Eight candidates at a time."""


def _knob(name: str, *, target: TargetRule | None = None, accept_at: float = 0.5, val_passes: int = 1) -> Contender:
    policy = Policy(
        target=target or TargetRule(),
        target_route=replace(TARGET_ROUTE, accept_at=accept_at),
        val_passes=val_passes,
    )
    return Contender(name=name, policy=policy)


KNOBS = (
    _knob("default"),
    _knob("confidence .8", target=TargetRule(alpha=0.2)),
    _knob("confidence .95", target=TargetRule(alpha=0.05)),
    _knob("confidence .99", target=TargetRule(alpha=0.01)),
    _knob("strictness .6", accept_at=0.6),
    _knob("strictness .7", accept_at=0.7),
    _knob("strictness .8", accept_at=0.8),
    _knob("effort 2", target=TargetRule(max_rollouts=36), val_passes=2),
    _knob("effort 3", target=TargetRule(max_rollouts=36), val_passes=3),
)
"""The default with one setting turned, as the command line builds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One rule in one regime."""

    world: WorldRule
    contender: Contender
    seeds: range
    budget: float | None = None
    candidates: int | None = None


def played(cells: Sequence[Cell], *, n_processes: int, chunk: int = 5) -> list[list[Season]]:
    """All campaigns of all cells, in order; equal seeds give equal campaigns however many processes there are."""
    jobs = [
        (number, replace(cell, seeds=cell.seeds[start : start + chunk]))
        for number, cell in enumerate(cells)
        for start in range(0, len(cell.seeds), chunk)
    ]
    seasons: list[list[Season]] = [[] for _ in cells]
    if n_processes == 1:
        results: Iterable[list[Season]] = map(_play, [job for _, job in jobs])
    else:
        with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(_play, [job for _, job in jobs]))
    for (number, _), result in zip(jobs, results, strict=True):
        seasons[number] += result
    return seasons


def _play(cell: Cell) -> list[Season]:
    return [
        play(cell.world, cell.contender, seed=seed, budget=cell.budget, candidates=cell.candidates)
        for seed in cell.seeds
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Averages over campaigns, in points and per cent where no unit is named."""

    gain: float
    se: float
    """Standard error of the gain."""
    false_accepts: float
    """Share of accepted edits whose true effect is zero or less."""
    harmful: float
    """Share of accepted edits that cost more than half a point."""
    missed: float
    """Share of edits worth a point or more that were not accepted."""
    below_start: float
    """Share of campaigns that ended below their start."""
    n_accepted: float
    n_candidates: float
    claim_minus_val: float
    claim_minus_truth: float
    """The claimed gain less the true one on the population."""
    gate_rollouts: float


def summary(seasons: Sequence[Season]) -> Summary:
    """What a cell came to."""
    everyone = [each for season in seasons for each in season.judged]
    accepted = [each for each in everyone if each.is_accepted]
    worthy = [each for each in everyone if each.effect >= 0.01]
    gains = np.array([season.gain for season in seasons])
    n = len(seasons)
    return Summary(
        gain=float(gains.mean()),
        se=float(gains.std(ddof=1) / n**0.5),
        false_accepts=_share(each.effect <= 0 for each in accepted),
        harmful=_share(each.effect < -0.005 for each in accepted),
        missed=_share(not each.is_accepted for each in worthy),
        below_start=_share(season.gain < 0 for season in seasons),
        n_accepted=len(accepted) / n,
        n_candidates=len(everyone) / n,
        claim_minus_val=100 * _mean(season.claim - season.end_val for season in seasons),
        claim_minus_truth=100
        * _mean(season.claim - season.start_val + season.start - season.end for season in seasons),
        gate_rollouts=_mean(sum(each.n_rollouts for each in season.judged) for season in seasons),
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean([float(value) for value in values]))


def _share(claims: Iterable[bool]) -> float:
    held = [bool(claim) for claim in claims]
    return 100 * sum(held) / len(held) if held else 0.0


def true_path(seasons: Sequence[Season], grid: Vector) -> Vector:
    """Mean true val gain, in points, after each amount of budget of the grid."""
    paths = []
    for season in seasons:
        spent = np.array([0.0, *(each.spent for each in season.judged)])
        truth = np.array([season.start_val, *(each.truth for each in season.judged)])
        paths.append(truth[np.searchsorted(spent, grid, side="right") - 1] - season.start_val)
    mean: Vector = 100 * np.mean(paths, axis=0)
    return mean


def budget_to_match(seasons: Sequence[Season], other: Sequence[Season], budget: float) -> float:
    """Share of the budget after which these seasons have reached the true val gain that the others end with."""
    goal = 100 * _mean(season.end_val - season.start_val for season in other)
    grid = np.linspace(0, budget, 401)
    reached = np.flatnonzero(true_path(seasons, grid) >= goal)
    return float(grid[reached[0]] / budget) if len(reached) else float("inf")
