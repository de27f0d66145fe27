"""The race of one candidate: each stage only if still worth it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Task
from optimizer.domain.trace import Usage
from optimizer.evaluate.evaluator import Evaluator, EvaluatorSettings
from optimizer.evaluate.race import Contest, Outcomes, Race, is_solved
from optimizer.gate.decide import decide
from optimizer.gate.guard import TrunkRecord
from optimizer.gate.policy import Policy
from tests.evaluate.fakes import FakeExecutor, MemoryLog, rollout_of, tasks

pytestmark = pytest.mark.anyio

TRAIN = tasks("train", 6)
VAL = tasks("val", 30, "val")
NEW, OLD = "n" * 40, "o" * 40


def case(task_id: str, passes: int = 20, runs: int = 20) -> EvalCase:
    return EvalCase(
        id=f"case-{task_id}",
        task_id=task_id,
        cluster_id=1,
        failure_id="f",
        rollout_id="r",
        check="c",
        state="active",
        n_runs=runs,
        n_passes=passes,
    )


def trunk_run(task: Task, *, is_pass: bool) -> Rollout:
    job = RolloutJob(tree=OLD, task=task, purpose="val", trial=0)
    return replace(rollout_of(job, "passed" if is_pass else "failed"), trace_sha="sha")


async def race(plan, *, suite=(), usage=None, pinned=frozenset(), holds=is_solved) -> tuple[Outcomes, FakeExecutor]:
    executor = FakeExecutor(plan, usage=usage)
    settings = EvaluatorSettings(concurrency=4, infra_retries=0, max_usd=1, max_tokens=1)
    evaluator = Evaluator(executor, MemoryLog(), Budget(BudgetLimits()), settings)
    val = {task.id: i % 2 == 0 for i, task in enumerate(VAL)}
    contest = Contest(
        candidate=3,
        tree=NEW,
        trunk_tree=OLD,
        targets=TRAIN[:4],
        suite=tuple(suite),
        pinned=pinned,
        record=TrunkRecord(cells={}).measured(val),
        trunk_val={task.id: trunk_run(task, is_pass=val[task.id]) for task in VAL},
        tasks={task.id: task for task in (*TRAIN, *VAL)},
        seed=1,
        holds=holds,
    )
    return await Race(evaluator, Policy(), contest).run(), executor


def fixes_targets(job: RolloutJob, _: int):
    if job.purpose == "target":
        return "passed" if job.tree == NEW else "failed"
    return "passed" if job.purpose == "suite" or int(job.task.id.removeprefix("val")) % 2 == 0 else "failed"


async def test_an_edit_that_fixes_its_targets_and_keeps_validation_is_accepted():
    outcomes, _ = await race(fixes_targets)
    decision = decide(outcomes.evidence, Policy())
    assert decision.verdict == "accept"
    assert decision.reason_code == "target"
    assert outcomes.evidence.n_rollouts == 4 + 4 + 30


async def test_a_candidate_that_crashes_costs_one_pair():
    outcomes, executor = await race(lambda job, _: "crashed" if job.tree == NEW else "failed")
    assert decide(outcomes.evidence, Policy()).reason_code == "crash"
    assert len(executor.executed) == 2


async def test_an_edit_that_fixes_nothing_never_reaches_validation():
    outcomes, executor = await race(lambda job, _: "passed" if job.tree == OLD else "failed")
    assert decide(outcomes.evidence, Policy()).reason_code == "noise"
    assert all(job.purpose == "target" for job in executor.executed)


async def test_a_broken_stable_case_is_repeated_and_then_rejects_by_name_before_validation():
    def plan(job, n):
        return "failed" if job.purpose == "suite" else fixes_targets(job, n)

    outcomes, executor = await race(plan, suite=[case("train5")])
    decision = decide(outcomes.evidence, Policy())
    assert decision.reason_code == "suite"
    assert "breaks case case-train5 (task train5)" in decision.reason
    assert sum(job.purpose == "suite" for job in executor.executed) == 3
    assert not any(job.purpose == "val" for job in executor.executed)


async def test_a_case_that_passes_on_repeat_is_held():
    def plan(job, n):
        return ("passed" if job.trial else "failed") if job.purpose == "suite" else fixes_targets(job, n)

    outcomes, _ = await race(plan, suite=[case("train5")])
    assert decide(outcomes.evidence, Policy()).verdict == "accept"
    assert outcomes.evidence.suite_runs == {"case-train5": (1, 2)}


def narrow(task_id: str) -> EvalCase:
    return replace(case(task_id), id=f"check-{task_id}", layer="deterministic")


async def never(_: EvalCase, rollout: Rollout) -> bool:
    return rollout.job.task.id not in {"train0", "train4"}


async def test_a_check_is_read_off_the_runs_of_the_targets_and_rejects_before_the_suite_costs_anything():
    def plan(job, n):
        """One target is fixed, so that it takes four rounds to be sure."""
        return "failed" if job.purpose == "target" and job.task.id != "train1" else fixes_targets(job, n)

    outcomes, executor = await race(plan, suite=[narrow("train0"), case("train5")], holds=never)
    decision = decide(outcomes.evidence, Policy())
    assert decision.reason_code == "suite"
    assert "breaks case check-train0 (task train0)" in decision.reason
    assert {job.purpose for job in executor.executed} == {"target"}
    assert outcomes.evidence.suite_runs == {"check-train0": (0, 4)}


async def test_a_check_that_failed_in_one_run_of_the_targets_is_repeated_before_it_counts():
    outcomes, executor = await race(fixes_targets, suite=[narrow("train0"), case("train5")], holds=never)
    assert decide(outcomes.evidence, Policy()).reason_code == "suite"
    assert [job.task.id for job in executor.executed if job.purpose == "suite"].count("train0") == 3
    assert outcomes.evidence.suite_runs["check-train0"] == (0, 4)


async def test_a_check_that_held_in_a_run_of_the_targets_needs_no_run_of_its_own():
    async def holds(each: EvalCase, rollout: Rollout) -> bool:
        return each.layer == "deterministic" or rollout.is_pass

    suite = [narrow("train0"), narrow("train4"), case("train5")]
    outcomes, executor = await race(fixes_targets, suite=suite, holds=holds)
    assert decide(outcomes.evidence, Policy()).verdict == "accept"
    assert {job.task.id for job in executor.executed if job.purpose == "suite"} == {"train4", "train5"}
    assert outcomes.evidence.suite_runs["check-train0"][0] > 0


async def test_infrastructure_errors_on_validation_enter_neither_side():
    def plan(job, n):
        return "infra_error" if job.purpose == "val" and job.task.id in {"val0", "val2"} else fixes_targets(job, n)

    outcomes, _ = await race(plan)
    assert outcomes.evidence.validation.n == 28
    assert {"val0", "val2"}.isdisjoint(outcomes.evidence.val)
    assert decide(outcomes.evidence, Policy()).verdict == "accept"


async def test_when_too_much_is_lost_the_verdict_is_inconclusive_and_never_a_rejection():
    outcomes, _ = await race(lambda job, _: "infra_error" if job.tree == NEW and job.purpose == "target" else "passed")
    assert decide(outcomes.evidence, Policy()).verdict == "inconclusive"


async def test_a_wholly_replayed_validation_run_is_a_zero_difference_and_no_news_of_the_trunk():
    replayed = Usage(n_calls=3, n_replayed_calls=3)
    outcomes, _ = await race(fixes_targets, usage=replayed)
    post = outcomes.evidence.validation
    assert post.mean == 0.0
    assert outcomes.evidence.val == {}
    assert outcomes.evidence.n_replayed == post.n


async def test_a_replayed_run_whose_outcome_changed_without_a_word_to_the_model_still_counts():
    replayed = Usage(n_calls=3, n_replayed_calls=3)
    outcomes, _ = await race(lambda job, n: fixes_targets(job, n) if job.purpose != "val" else "failed", usage=replayed)
    assert outcomes.evidence.validation.mean < 0
    assert decide(outcomes.evidence, Policy()).verdict == "reject"


async def test_a_clear_loss_on_validation_ends_the_race_after_a_block_or_two():
    outcomes, executor = await race(lambda job, n: "failed" if job.purpose == "val" else fixes_targets(job, n))
    assert decide(outcomes.evidence, Policy()).reason_code == "val"
    assert sum(job.purpose == "val" for job in executor.executed) <= 20
