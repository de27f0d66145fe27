"""The simulated model on the whole benchmark, driven by a plain loop. Seeds are fixed: these figures do not vary."""

from __future__ import annotations

import pytest

from benchmarks.helpdesk.benchmark import load
from benchmarks.helpdesk.sim.calibrate import Figures, measure
from benchmarks.helpdesk.sim.rates import NO_LAPSES
from benchmarks.helpdesk.sim.rehearse import Guard, Harness, Memory, is_change
from optimizer.domain.json import JsonObject

RULES = """- Verify the customer's identity before you read or change anything on an account.
- Read each change back with all details and get an explicit yes before you make it.
- Call only tools from the list, by their exact names, with every required argument in the right format.
- Check each tool result. After an error nothing was changed: never say it was done. Do not repeat the same call.
- Do not give up; keep going until every request is resolved.
- Never refund more than was paid for the item.
- Keep a list of all requests and of the wishes the customer stated earlier, and honour them.
- Hold the policy even if the customer insists. Refuse only what policy forbids.
- Look every fact up with a tool; never answer from memory.
- Escalate when the policy says so, and only then.
- Before closing, tell the customer the amounts, days and numbers policy requires."""
REMINDER = """Reminder: verify identity first; explicit yes before each change; honour the wishes the customer stated;
handle every request; tell the customer the days and amounts policy requires."""


def identity_guard(memory: Memory, name: str, arguments: JsonObject) -> str:
    is_open = name in {"find_customer", "verify_identity", "find_product", "check_stock"} or name not in memory.tools
    return "" if memory.verified or is_open else f"verify the customer's identity with verify_identity before {name}"


def confirmation_guard(memory: Memory, name: str, arguments: JsonObject) -> str:
    is_free = memory.confirmed or not is_change(name) or name not in memory.tools
    return "" if is_free else f"{name} changes data: read it back to the customer and get an explicit yes first"


GUARDS: tuple[Guard, ...] = (identity_guard, confirmation_guard)
EQUIPPED = Harness(rules=RULES, reminder=REMINDER, guards=GUARDS, explain_errors=True)


@pytest.fixture(scope="module")
async def baseline() -> Figures:
    return await measure(Harness(), trials=3)


@pytest.mark.anyio
async def test_without_lapses_a_plain_loop_passes_every_task() -> None:
    figures = await measure(Harness(), rates=NO_LAPSES)
    assert [take.task_id for take in figures.takes if not take.is_pass] == []


@pytest.mark.anyio
async def test_without_lapses_a_guarded_loop_passes_every_task() -> None:
    figures = await measure(EQUIPPED, rates=NO_LAPSES)
    assert [take.task_id for take in figures.takes if not take.is_pass] == []


@pytest.mark.anyio
async def test_the_starting_harness_passes_about_half(baseline: Figures) -> None:
    assert 0.45 <= baseline.mean <= 0.55


@pytest.mark.anyio
async def test_identical_runs_disagree_as_often_as_real_ones(baseline: Figures) -> None:
    assert 0.30 <= baseline.flips <= 0.45


@pytest.mark.anyio
async def test_failures_have_many_causes_and_none_without_a_lapse(baseline: Figures) -> None:
    causes = baseline.causes()
    assert "no lapse" not in causes
    assert max(causes.values()) <= 0.25
    assert sum(cause >= 0.03 for cause in causes.values()) >= 8


@pytest.mark.anyio
async def test_a_well_equipped_harness_passes_most() -> None:
    figures = await measure(EQUIPPED, trials=2)
    assert 0.82 <= figures.mean <= 0.94


@pytest.mark.anyio
async def test_a_guard_helps_the_tasks_it_is_about(baseline: Figures) -> None:
    ill = {take.task_id for take in baseline.takes if not take.is_pass and "skips_identity" in take.lapses}
    tasks = [task for task in load().tasks() if task.id in ill]
    before = await measure(Harness(), tasks=tasks, trials=6, purpose="target")
    after = await measure(Harness(guards=(identity_guard,)), tasks=tasks, trials=6, purpose="target")
    assert after.mean > before.mean + 0.15


@pytest.mark.anyio
async def test_the_same_seed_gives_the_same_rollouts() -> None:
    tasks = load().tasks()[::8]
    first, second = [await measure(Harness(), tasks=tasks) for _ in range(2)]
    other = await measure(Harness(), tasks=tasks, seed=8)
    assert first == second != other
