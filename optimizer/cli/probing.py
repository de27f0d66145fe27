"""A few rollouts of the committed harness on train tasks, to know what one takes."""

from __future__ import annotations

from time import monotonic

import anyio

from optimizer.cli.compose import Watchers, Workplace, evaluator_of
from optimizer.cli.estimating import PerRollout
from optimizer.cli.progress import Narrator
from optimizer.cli.replaying import replay_ledger
from optimizer.cli.running import unwrapped
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import HarnessError
from optimizer.domain.rollout import Rollout, RolloutJob


def probe_rollouts(workplace: Workplace, n: int) -> PerRollout:
    """Run n train tasks once and average. Recorded beside the replays, so probing again costs nothing.

    Raises:
        HarnessError: every one of them crashed.
    """
    tree = workplace.repo.head().harness_tree
    train = [task for task in workplace.benchmark.tasks() if task.split == "train"][:n]
    jobs = [RolloutJob(tree=tree, task=task, purpose="replay", trial=0) for task in train]
    narrator = Narrator(limits=BudgetLimits(rollouts=len(jobs)), is_simulated=workplace.is_simulated)
    watchers = Watchers(note=narrator.note, rollout=narrator.rollout)

    async def measured() -> tuple[tuple[Rollout, ...], float]:
        with replay_ledger(workplace) as ledger:
            async with evaluator_of(workplace, ledger, Budget(BudgetLimits()), watchers) as evaluator:
                started = monotonic()
                return await evaluator.run(jobs), monotonic() - started

    with unwrapped():
        rollouts, _ = anyio.run(measured)
    narrator.close()
    if all(rollout.status == "crashed" for rollout in rollouts):
        raise HarnessError(f"all {len(rollouts)} probed rollouts crashed: {rollouts[0].note}")
    return PerRollout(
        input_tokens=sum(r.usage.input_tokens for r in rollouts) / len(rollouts),
        output_tokens=sum(r.usage.output_tokens for r in rollouts) / len(rollouts),
        wall_s=sum(r.wall_s for r in rollouts) / len(rollouts),
        source=f"measured on {len(rollouts)} train tasks",
    )
