"""Made-up neighbours of a train task, kept in distribution by checks before any rollout is paid for."""

from __future__ import annotations

from optimizer.domain.task import Benchmark, CaseSource, Score, Task
from optimizer.evals.decontam import HeldOut
from optimizer.evals.openings import opening_text

SYNTHETIC = "synthetic"
"""Slice that every made-up task has."""
TRIED = 4
"""Neighbours looked at until one fits."""


async def fitting_variation(source: CaseSource, benchmark: Benchmark, task: Task, held: HeldOut) -> Task | None:
    """The first neighbour that fits; None when none does.

    Raises:
        BenchmarkError: one cannot be opened.
    """
    gold = await source.gold_score(task)
    for neighbour in source.variations(task, n=TRIED, seed=0):
        text = await opening_text(benchmark, neighbour)
        is_new = text != await opening_text(benchmark, task) and not held.leak(text, neighbour.group)
        if is_new and _is_kin(task, neighbour) and _is_as_solvable(gold, await source.gold_score(neighbour)):
            return neighbour
    return None


def _is_kin(task: Task, neighbour: Task) -> bool:
    """The same family, in train, tagged, and under a name of its own."""
    slices = set(neighbour.slices)
    return neighbour.split == "train" and slices == {*task.slices, SYNTHETIC} and neighbour.id != task.id


def _is_as_solvable(gold: Score | None, other: Score | None) -> bool:
    """Where there is gold, it is perfect, and is graded by the same checks."""
    if gold is None or other is None:
        return gold is other
    return other.value == 1.0 and _names(gold) == _names(other)


def _names(score: Score) -> frozenset[str]:
    return frozenset(check.name for check in score.checks)
