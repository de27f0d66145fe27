"""Each check fails for its own reason and says why without gold values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.helpdesk import say
from benchmarks.helpdesk.benchmark import HelpdeskBenchmark
from benchmarks.helpdesk.environment import BUSY
from benchmarks.helpdesk.plan import Call, Confirm, Step, Tell
from benchmarks.helpdesk.world import TODAY
from optimizer.domain.json import Json
from optimizer.domain.task import Say, Task, ToolCall
from tests.benchmarks.helpdesk.support import failed, played

pytestmark = pytest.mark.anyio


def task_of(bench: HelpdeskBenchmark, task_id: str) -> Task:
    return next(task for task in bench.tasks() if task.id == task_id)


def with_argument(step: Step, tool: str, name: str, value: Json) -> Step:
    if isinstance(step, Call) and step.tool == tool:
        return replace(step, arguments={**step.arguments, name: value})
    return step


async def test_a_wrong_amount_is_named_but_not_told(bench: HelpdeskBenchmark) -> None:
    task = task_of(bench, "refund_in_window-00")
    steps = [with_argument(step, "refund_item", "amount", 1.23) for step in bench.plan(task.id).steps]
    assert failed(await played(bench, task, steps)) == {"final_state": "wrong argument: refund_item.amount"}


async def test_a_missing_and_an_extra_write_are_named(bench: HelpdeskBenchmark) -> None:
    task = task_of(bench, "cancel_pending-00")
    kept = [step for step in bench.plan(task.id).steps if getattr(step, "role", "") != "write"]
    assert failed(await played(bench, task, kept))["final_state"] == "missing write: cancel_order"
    plan = bench.plan("tracking-00").steps
    order = next(step.arguments["order_id"] for step in plan if isinstance(step, Call) and step.tool == "get_order")
    extra = Call(tool="cancel_order", arguments={"order_id": order}, role="write")
    problems = failed(await played(bench, task_of(bench, "tracking-00"), (*plan[:-1], extra, plan[-1])))
    assert problems["final_state"] == "unexpected write: cancel_order"


async def test_reading_a_strangers_order_after_verification_fails_identity(bench: HelpdeskBenchmark) -> None:
    task = task_of(bench, "cancel_pending-00")
    case = bench.case(task.id)
    other = next(order for order in case.seed.orders if order.customer_id != task.group)
    peek = Call(tool="get_order", arguments={"order_id": other.id}, role="lookup")
    steps = case.plan.steps
    problems = failed(await played(bench, task, (*steps[:-1], peek, steps[-1])))
    assert problems == {"identity_before_disclosure": "get_order on another customer's data"}


async def test_an_unsaid_cue_is_named(bench: HelpdeskBenchmark) -> None:
    task = task_of(bench, "refund_in_window-00")
    steps = bench.plan(task.id).steps
    last = Tell(key="outcome", text="I have refunded the item; it takes 5-7 business days.")
    assert failed(await played(bench, task, (*steps[:-1], last))) == {
        "required_communication": "not said: return label"
    }


async def test_the_yes_to_the_first_version_does_not_cover_the_second(bench: HelpdeskBenchmark) -> None:
    task = task_of(bench, "contact_update-00")
    steps = list(bench.plan(task.id).steps)
    second = max(place for place, step in enumerate(steps) if isinstance(step, Confirm))
    problems = failed(await played(bench, task, steps[:second] + steps[second + 1 :]))
    assert problems == {"confirmation_before_write": "update_contact without the customer's yes"}


async def test_a_fact_said_before_it_was_looked_up_is_not_grounded(bench: HelpdeskBenchmark) -> None:
    task = task_of(bench, "product_question-00")
    steps = bench.plan(task.id).steps
    problems = failed(await played(bench, task, (steps[-1],)))
    assert problems["grounded_answer"].endswith("never looked up with find_product")


async def test_checks_that_do_not_apply_are_left_out(bench: HelpdeskBenchmark) -> None:
    for task in bench.tasks():
        names = {check.name for check in (await played(bench, task, ())).checks}
        assert ("escalation_when_due" in names) != ("no_needless_escalation" in names)
        assert ("grounded_answer" in names) == bool(bench.case(task.id).gold.grounded)


async def test_a_flaky_tool_is_busy_once_and_then_works(bench: HelpdeskBenchmark) -> None:
    flaky = [task for task in bench.tasks() if bench.case(task.id).flaky]
    assert len(flaky) > 30
    for task in flaky:
        tool = bench.case(task.id).flaky[0]
        step = next(step for step in bench.plan(task.id).steps if isinstance(step, Call) and step.tool == tool)
        environment = await bench.open(task, trial="0")
        action = ToolCall(name=tool, arguments=step.arguments)
        assert (await environment.step(action)).content == BUSY
        assert (await environment.step(action)).content != BUSY


async def test_what_is_said_in_a_submission_does_not_count_as_said(bench: HelpdeskBenchmark) -> None:
    task = task_of(bench, "cancel_shipped-00")
    environment = await bench.open(task, trial="0")
    await environment.step(Say(text="I cannot do that."))
    score = await environment.grade()
    assert "required_communication" in failed(score)


@pytest.mark.parametrize(
    "text", ["12 march 2027", "march 12", "march 12th, 2027", "the 12th of march", "2027-03-12", "3/12"]
)
async def test_a_date_may_be_written_in_any_way(text: str) -> None:
    import re

    assert re.search(say.day_pattern(TODAY.replace(day=12)), f"it arrives on {text}.")
    assert not re.search(say.day_pattern(TODAY.replace(day=1)), f"it arrives on {text}.")


@pytest.mark.parametrize(
    ("value", "months", "text", "is_match"),
    [
        (36, True, "36 months", True),
        (36, True, "three years", True),
        (36, True, "136 months", False),
        (30, True, "two years", False),
        (1.4, False, "1.4 kg", True),
        (1.4, False, "1.45 kg", False),
        (22, False, "it is 22.", True),
    ],
)
async def test_a_number_may_be_written_in_any_way(value: float, months: bool, text: str, is_match: bool) -> None:
    import re

    assert bool(re.search(say.number_pattern(value, months=months), text)) is is_match
