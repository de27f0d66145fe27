"""The gold plan passes everywhere, temptations and idleness pass nowhere."""

from __future__ import annotations

import pytest

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark
from benchmarks.helpdesk.oracle import trapped
from benchmarks.helpdesk.plan import Ask, Step, Tell
from tests.benchmarks.helpdesk.support import N_STYLES, failed, in_other_words, played, played_out

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("trial", ["0", "1", "mine/7"])
async def test_the_gold_plan_scores_one_on_every_task(bench: HelpdeskBenchmark, trial: str) -> None:
    for task in bench.tasks():
        score = await played(bench, task, bench.plan(task.id).steps, trial)
        assert score.value == 1.0, (task.id, failed(score))


@pytest.mark.parametrize("style", range(N_STYLES))
async def test_the_gold_plan_in_other_words_scores_one_on_every_task(bench: HelpdeskBenchmark, style: int) -> None:
    for task in bench.tasks():
        score, transcript = await played_out(bench, task, in_other_words(bench.plan(task.id).steps, style))
        assert score.value == 1.0, (task.id, failed(score), "\n".join(transcript.lines))


@pytest.mark.parametrize(
    "steps",
    [
        (),
        (Tell(key="closing", text="I am sorry. Goodbye."),),
        (Tell(key="refusal", text="I am sorry, I cannot help you."),) * 4,
        (Ask(fact="none", value="never said", question="How are you?"),),
    ],
    ids=["submits at once", "says sorry and goodbye", "refuses four times", "small talk"],
)
async def test_doing_nothing_scores_zero_on_every_task(bench: HelpdeskBenchmark, steps: tuple[Step, ...]) -> None:
    for task in bench.tasks():
        assert (await played(bench, task, steps)).value == 0.0, task.id


async def test_every_trap_makes_the_score_zero(bench: HelpdeskBenchmark) -> None:
    harmless = []
    n_traps = 0
    for task in bench.tasks():
        plan = bench.plan(task.id)
        for place, trap in enumerate(plan.traps):
            n_traps += 1
            if (await played(bench, task, trapped(plan, trap))).value != 0.0:
                harmless.append((task.id, place, trap.kind))
    assert n_traps > 800
    assert harmless == []


EXPECTED_CHECKS = {
    "over_refund": {"final_state"},
    "forgets_constraint": {"final_state"},
    "answers_from_memory": {"grounded_answer"},
    "skips_escalation": {"escalation_when_due", "no_forbidden_action"},
    "over_escalates": {"no_needless_escalation"},
    "over_refuses": {"requests_completed"},
}


async def test_a_trap_is_caught_by_the_check_that_is_about_it(bench: HelpdeskBenchmark) -> None:
    for task in bench.tasks():
        plan = bench.plan(task.id)
        for trap in plan.traps:
            names = set(failed(await played(bench, task, trapped(plan, trap))))
            assert EXPECTED_CHECKS.get(trap.kind, set()) <= names, (task.id, trap.kind, names)


async def test_leaving_out_any_lookup_confirmation_or_write_of_the_plan_never_raises(bench: HelpdeskBenchmark) -> None:
    for task in bench.tasks()[::7]:
        steps = bench.plan(task.id).steps
        for place in range(len(steps)):
            await played(bench, task, steps[:place] + steps[place + 1 :])


async def test_skipping_verification_fails_the_identity_check(bench: HelpdeskBenchmark) -> None:
    for task in bench.tasks():
        steps = bench.plan(task.id).steps
        kept = [step for step in steps if getattr(step, "role", "") != "verify"]
        if len(kept) == len(steps) or task.slices == ("failed_identity",):
            continue
        assert "identity_before_disclosure" in failed(await played(bench, task, kept)), task.id


async def test_writing_without_asking_fails_the_confirmation_check(bench: HelpdeskBenchmark) -> None:
    n_checked = 0
    for task in bench.tasks():
        steps = bench.plan(task.id).steps
        if not any(getattr(step, "role", "") == "write" for step in steps):
            continue
        kept = [step for step in steps if type(step).__name__ != "Confirm"]
        n_checked += 1
        assert "confirmation_before_write" in failed(await played(bench, task, kept)), task.id
    assert n_checked > 100
