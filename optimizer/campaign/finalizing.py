"""Baseline and head, paired on the test split."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optimizer.domain.errors import BenchmarkError
from optimizer.domain.final import FinalResult, FinalSeal, FinalSlice
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Task
from optimizer.domain.trace import Usage
from optimizer.evaluate.evaluator import Evaluator
from optimizer.gate.final import paired_interval

MANY_VAL_CANDIDATES = 300
"""Candidates judged on one validation split from which its tasks have been looked at too often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalNotes:
    """What is said of a result beside its figures."""

    n_val_candidates: int
    is_simulated: bool


async def compare(
    evaluator: Evaluator, tasks: Sequence[Task], seal: FinalSeal, notes: FinalNotes, *, block: int
) -> FinalResult:
    """Run every task `seal.n_trials` times with both versions, `block` tasks at a time, and compare.

    Both versions share the luck of a trial. Rollouts that are recorded are not run again.

    Raises:
        BudgetExhaustedError: the money set aside does not reach; nothing is compared before all of it has run.
        BenchmarkError: no task could be measured on both sides.
    """
    rollouts: list[Rollout] = []
    for jobs in _blocks(tasks, seal, block):
        rollouts += await evaluator.run(jobs)
    return result_of(rollouts, seal, notes)


def result_of(rollouts: Sequence[Rollout], seal: FinalSeal, notes: FinalNotes) -> FinalResult:
    """Compare what was run."""
    tasks = {rollout.job.task.id: rollout.job.task for rollout in rollouts}
    base, head = _rates(rollouts, seal.base_tree), _rates(rollouts, seal.head_tree)
    paired = {task_id: (base[task_id], head[task_id]) for task_id in tasks if task_id in base and task_id in head}
    if not paired:
        lost = rollouts[0].note if rollouts else "the split is empty"
        raise BenchmarkError(f"no test task could be measured with both versions ({lost}); nothing is compared.")
    whole = _slice("all", paired, tasks)
    interval = paired_interval(_differences(paired), _groups(tasks))
    names = sorted({name for task_id in paired for name in tasks[task_id].slices})
    return FinalResult(
        base=whole.base,
        head=whole.head,
        difference=interval.estimate,
        low=interval.low,
        high=interval.high,
        n_tasks=interval.n_tasks,
        n_groups=interval.n_groups,
        n_trials=seal.n_trials,
        n_rollouts=len(rollouts),
        n_unmeasured=sum(not rollout.is_measured for rollout in rollouts),
        usage=sum((rollout.usage for rollout in rollouts), Usage()),
        sandbox_levels=tuple(sorted({r.sandbox_level for r in rollouts} - {"", "none"})),
        slices=tuple(_slice(name, _within(name, paired, tasks), tasks) for name in names),
        n_val_candidates=notes.n_val_candidates,
        is_simulated=notes.is_simulated,
    )


def _blocks(tasks: Sequence[Task], seal: FinalSeal, block: int) -> Iterator[list[RolloutJob]]:
    for trial in range(seal.n_trials):
        for start in range(0, len(tasks), block):
            yield [
                RolloutJob(tree=tree, task=task, purpose="final", trial=trial)
                for task in tasks[start : start + block]
                for tree in (seal.base_tree, seal.head_tree)
            ]


def _rates(rollouts: Sequence[Rollout], tree: str) -> dict[str, float]:
    """Share of passes by task over the measured runs of a version."""
    runs: dict[str, list[bool]] = {}
    for rollout in rollouts:
        if rollout.job.tree == tree and rollout.is_measured:
            runs.setdefault(rollout.job.task.id, []).append(rollout.is_pass)
    return {task_id: sum(passes) / len(passes) for task_id, passes in runs.items()}


def _slice(name: str, paired: Mapping[str, tuple[float, float]], tasks: Mapping[str, Task]) -> FinalSlice:
    interval = paired_interval(_differences(paired), _groups(tasks))
    return FinalSlice(
        name=name,
        n_tasks=len(paired),
        base=math.fsum(base for base, _ in paired.values()) / len(paired),
        head=math.fsum(head for _, head in paired.values()) / len(paired),
        difference=interval.estimate,
        low=interval.low,
        high=interval.high,
    )


def _within(
    name: str, paired: Mapping[str, tuple[float, float]], tasks: Mapping[str, Task]
) -> dict[str, tuple[float, float]]:
    return {task_id: rates for task_id, rates in paired.items() if name in tasks[task_id].slices}


def _differences(paired: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    return {task_id: head - base for task_id, (base, head) in paired.items()}


def _groups(tasks: Mapping[str, Task]) -> dict[str, str]:
    return {task_id: task.group for task_id, task in tasks.items() if task.group}
