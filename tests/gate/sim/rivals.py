"""Two rules from the field, for comparison only: GEPA's minibatch test and successive halving. Neither is shipped."""

from __future__ import annotations

import math

from optimizer.gate.course import Contest, Course, Want, pair_wants, pairs_of
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import TrunkRecord, posterior
from optimizer.gate.policy import Policy
from tests.gate.sim.world import Edit, Vector, World, chance

MINIBATCH = 3


def gepa(contest: Contest, policy: Policy) -> Course:
    """Strictly more passes than the parent on a minibatch of three; then the whole of validation, once.

    The child is kept when its validation score is at least the best so far.
    """
    evidence = Evidence(
        candidate=contest.candidate,
        rule=policy.rule,
        n_val_tasks=len(contest.val_order),
        trunk_estimate=contest.record.estimate,
        best_val=contest.best_val,
    )
    batch = contest.targets[:MINIBATCH]
    pairs = pairs_of(batch, 0, (yield pair_wants(batch, 0)))
    score = sum(bool(pair.candidate) - bool(pair.trunk) for pair in pairs)
    if score <= 0:
        return evidence
    outcomes = yield tuple(Want(side="candidate", purpose="val", task=task, trial=0) for task in contest.val_order)
    val = {want.task: (int(bool(outcome.is_pass)), 1) for want, outcome in outcomes.items()}
    return Evidence(
        candidate=contest.candidate,
        rule=policy.rule,
        val=val,
        validation=posterior(differences(contest.record, val), 0.0),
        n_val_tasks=len(val),
        trunk_estimate=contest.record.estimate,
        score=math.fsum(passes for passes, _ in val.values()) / len(val),
        best_val=contest.best_val,
        is_admitted=sum(passes for passes, _ in val.values()) >= contest.best_val * len(val) - 1e-9,
    )


def halving(world: World, record: TrunkRecord, edits: list[Edit]) -> tuple[Edit, Evidence, int]:
    """Race candidates on growing shares of validation, dropping the worse half; the winner is adopted if it is ahead.

    Returns it with its evidence and what the race cost.
    """
    names = list(record.cells)
    order = [names[i] for i in world.luck.permutation(len(names))]
    runs: list[dict[str, tuple[int, int]]] = [{} for _ in edits]
    alive = list(range(len(edits)))
    n_rungs = math.ceil(math.log2(len(edits))) + 1
    for rung in range(n_rungs):
        n_tasks = math.ceil(len(order) / 2 ** (n_rungs - 1 - rung))
        for i in alive:
            new = [task for task in order[:n_tasks] if task not in runs[i]]
            runs[i] |= _run(world, chance(world.logits + edits[i].change), new)
        alive.sort(key=lambda i: -math.fsum(differences(record, runs[i])) / len(runs[i]))
        alive = alive[: max(1, len(alive) // 2)] if rung < n_rungs - 1 else alive[:1]
    best = alive[0]
    post = posterior(differences(record, runs[best]), 0.0)
    evidence = Evidence(
        candidate=best,
        rule="published",
        val=runs[best],
        validation=post,
        n_val_tasks=len(names),
        trunk_estimate=record.estimate,
        score=0.0,
        best_val=0.0,
        is_admitted=post.mean > 0,
    )
    return edits[best], evidence, sum(map(len, runs))


def differences(record: TrunkRecord, val: dict[str, tuple[int, int]]) -> tuple[float, ...]:
    """Rate of a candidate's runs less the pooled trunk's, task by task."""
    return tuple(passes / n - record.cells[task].rate for task, (passes, n) in val.items())


def _run(world: World, p: Vector, tasks: list[str]) -> dict[str, tuple[int, int]]:
    return {task: (int(world.luck.random() < p[world.val.start + int(task[1:])]), 1) for task in tasks}
