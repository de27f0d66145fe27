"""Blocks of rollouts: memo, budget, retries."""

from __future__ import annotations

import pytest

from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import BudgetExhaustedError, InfrastructureError
from optimizer.domain.rollout import RolloutJob
from optimizer.evaluate.evaluator import Evaluator, EvaluatorSettings
from tests.evaluate.fakes import FakeExecutor, MemoryLog, tasks

pytestmark = pytest.mark.anyio

SETTINGS = EvaluatorSettings(concurrency=4, infra_retries=2, max_usd=0.05, max_tokens=1000)


def jobs(n: int, tree: str = "t" * 40) -> list[RolloutJob]:
    return [RolloutJob(tree=tree, task=task, purpose="mine", trial=0) for task in tasks("a", n)]


def build(plan, limits=None, log=None):
    executor = FakeExecutor(plan)
    budget = Budget(limits or BudgetLimits())
    return Evaluator(executor, log or MemoryLog(), budget, SETTINGS), executor, budget


async def test_outcomes_come_back_in_the_order_of_the_jobs():
    evaluator, _, _ = build(lambda job, _: "passed" if job.task.id in {"a1", "a3"} else "failed")
    assert [r.is_pass for r in await evaluator.run(jobs(5))] == [False, True, False, True, False]


async def test_a_recorded_rollout_is_not_run_again_but_is_settled_once_by_a_resumed_campaign():
    log = MemoryLog()
    first, executor, budget = build(lambda *_: "passed", log=log)
    await first.run(jobs(3))
    await first.run(jobs(3))
    resumed, idle, second_budget = build(lambda *_: "passed", log=log)
    await resumed.run(jobs(3))
    assert len(executor.executed) == 3
    assert idle.executed == []
    assert budget.spent == second_budget.spent
    assert budget.spent.rollouts == 3


async def test_what_infrastructure_lost_is_tried_again_and_then_counts_as_its_last_try():
    evaluator, executor, _ = build(lambda _, n: "infra_error" if n < 2 else "passed")
    (outcome,) = await evaluator.run(jobs(1))
    assert outcome.is_pass
    assert len(executor.executed) == 3


async def test_after_all_retries_a_lost_rollout_is_unmeasured():
    evaluator, _, _ = build(lambda job, _: "infra_error" if job.task.id == "a0" else "passed")
    outcome, _ = await evaluator.run(jobs(2))
    assert not outcome.is_measured
    assert outcome.score is None


async def test_a_block_that_is_lost_as_a_whole_is_not_recorded_so_that_a_resume_runs_it_again():
    log = MemoryLog()
    evaluator, _, budget = build(lambda *_: "infra_error", log=log)
    with pytest.raises(InfrastructureError, match="none of 3"):
        await evaluator.run(jobs(3))
    assert log.kept == {}
    assert budget.spent.rollouts == 0
    mended, _, _ = build(lambda *_: "passed", log=log)
    assert all(r.is_pass for r in await mended.run(jobs(3)))


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (BudgetLimits(rollouts=5), "rollouts"),
        (BudgetLimits(usd=0.2), "usd"),
        (BudgetLimits(tokens=4500), "tokens"),
    ],
)
async def test_a_block_that_might_not_be_affordable_is_not_begun(limits, name):
    evaluator, executor, budget = build(lambda *_: "passed", limits)
    with pytest.raises(BudgetExhaustedError) as caught:
        await evaluator.run(jobs(6))
    assert caught.value.limit == name
    assert executor.executed == []
    assert budget.spent.rollouts == 0


async def test_reservations_are_returned_so_that_the_whole_budget_can_be_used():
    evaluator, executor, budget = build(lambda *_: "passed", BudgetLimits(usd=0.51))
    for tree in "abcdef":
        await evaluator.run(jobs(5, tree * 40))
    assert len(executor.executed) == 30
    assert budget.spent.usd == pytest.approx(0.30)
    assert budget.reserved.usd == pytest.approx(0.0)
