from __future__ import annotations

from dataclasses import replace

import anyio
import httpx
import openai
import pytest

from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import ConfigError, LedgerError, ModelError, ModelUnavailableError
from optimizer.domain.recording import RecordedCall
from optimizer.domain.trace import Usage
from optimizer.gateway.caps import RolloutCaps
from optimizer.gateway.recorder import MemoryCallRecorder
from tests.gateway.test_chat import HI, sdk
from tests.gateway.world import OTHER_TREE, ROUTE, FakeUpstream, World, ask, completion, error_of, job

pytestmark = pytest.mark.anyio

PAID = Usage(input_tokens=10, output_tokens=5, usd=0.00002, n_calls=1)
FREE = Usage(n_calls=1, n_replayed_calls=1)


async def one_call(world: World, *, tree: str, trial: int = 0) -> Usage:
    async with world.open(job(tree, trial=trial)) as (door, http):
        assert (await ask(http)).status_code == 200
        return door.recording().usage


async def test_another_version_with_the_same_request_is_served_the_recording_for_nothing(world: World) -> None:
    assert await one_call(world, tree="a" * 40) == PAID
    assert await one_call(world, tree=OTHER_TREE) == FREE
    assert len(world.upstream.asked) == 1


async def test_the_same_rollout_after_a_kill_counts_its_own_calls_once_and_not_as_replayed(world: World) -> None:
    assert await one_call(world, tree="a" * 40) == PAID
    world.upstream = FakeUpstream()
    assert await one_call(world, tree="a" * 40) == PAID
    assert world.upstream.asked == []


async def test_another_trial_has_its_own_luck(world: World) -> None:
    await one_call(world, tree="a" * 40)
    assert await one_call(world, tree=OTHER_TREE, trial=1) == PAID
    assert len(world.upstream.asked) == 2


async def test_luck_need_not_be_shared(world: World) -> None:
    world.route = replace(ROUTE, is_luck_shared=False)
    await one_call(world, tree="a" * 40)
    assert await one_call(world, tree=OTHER_TREE) == PAID
    assert await one_call(world, tree=OTHER_TREE) == PAID
    assert len(world.upstream.asked) == 2


async def test_a_replayed_answer_is_byte_identical(world: World) -> None:
    world.upstream.answer = lambda _, n: completion(f"é {n}")
    async with world.open(job()) as (_, http):
        first = [(await ask(http)).content for _ in range(3)]
    async with world.open(job(OTHER_TREE)) as (_, http):
        again = [(await ask(http)).content for _ in range(3)]
    assert first == again
    assert len(set(first)) == 3


async def test_two_rollouts_that_want_one_call_at_the_same_time_buy_it_once(world: World) -> None:
    world.upstream.holds = True
    gateway = world.gateway()
    usages: list[Usage] = []

    async def rollout(tree: str) -> None:
        async with gateway.open(job(tree), world.environment) as door, sdk(door) as client:
            await client.chat.completions.create(model="m-1", messages=HI)
            usages.append(door.recording().usage)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rollout, "a" * 40)
        tasks.start_soon(rollout, OTHER_TREE)
        await world.upstream.arrived.wait()
        world.upstream.go.set()
    assert sorted(usages, key=lambda usage: usage.tokens) == [FREE, PAID]
    assert len(world.upstream.asked) == 1


class FussyRecorder(MemoryCallRecorder):
    """Knows what had been recorded by the time it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = False

    def record(self, call: RecordedCall, *, intent: int | None = None) -> None:
        if self.is_full:
            raise LedgerError("disk full")
        super().record(call, intent=intent)


async def test_a_call_that_cannot_be_recorded_is_not_delivered(world: World) -> None:
    calls = FussyRecorder()
    calls.is_full = True
    world.calls = calls
    async with world.open() as (door, http):
        refused = await ask(http)
        record = door.recording()
    assert refused.status_code == 500
    assert "answer" not in refused.text
    assert record.infra == "gateway fault: LedgerError: disk full"
    assert record.usage.output_tokens == 100  # it was paid for, and how much is not on record


@pytest.mark.parametrize(
    ("caps", "cap", "n_served"),
    [
        (RolloutCaps(max_calls=2), "max_calls", 2),
        (RolloutCaps(max_tokens=160), "max_tokens", 3),  # a call holds 25 + 100 and takes 15
        (RolloutCaps(max_usd=0.00028), "max_usd", 3),  # a call holds 0.000225 and takes 0.00002
    ],
)
async def test_a_call_that_would_pass_a_cap_is_a_429(world: World, caps: RolloutCaps, cap: str, n_served: int) -> None:
    world.caps = caps
    async with world.open() as (door, http):
        replies = [await ask(http) for _ in range(n_served + 2)]
        record = door.recording()
    assert [reply.status_code for reply in replies] == [200] * n_served + [429] * 2
    assert error_of(replies[-1])["code"] == "rollout_budget"
    assert record.cap_hit == cap
    assert len(world.upstream.asked) == n_served
    assert record.usage.n_calls == n_served


async def test_replayed_calls_meet_the_caps_where_paid_ones_do(world: World) -> None:
    world.caps = RolloutCaps(max_tokens=160)
    for tree in ("a" * 40, OTHER_TREE):
        async with world.open(job(tree)) as (door, http):
            codes = [(await ask(http)).status_code for _ in range(5)]
            assert codes == [200, 200, 200, 429, 429]
            assert door.recording().cap_hit == "max_tokens"


async def test_calls_in_flight_are_held_against_the_caps(world: World) -> None:
    world.caps = RolloutCaps(max_tokens=200)
    world.upstream.holds = True
    async with world.open() as (_, http), anyio.create_task_group() as tasks:
        tasks.start_soon(ask, http, "first")
        await world.upstream.arrived.wait()
        assert (await ask(http, "second")).status_code == 429
        world.upstream.go.set()


async def test_refusals_fill_no_memory(world: World) -> None:
    world.caps = RolloutCaps(max_calls=0)
    async with world.open() as (door, http):
        for _ in range(40):
            await ask(http)
        assert len(door.recording().spans) == 20


async def test_an_exhausted_campaign_is_a_402_and_no_call(world: World) -> None:
    budget = Budget(BudgetLimits(tokens=100))
    world.account = budget
    async with world.open() as (door, http):
        refused = await ask(http)
        record = door.recording()
    assert refused.status_code == 402
    assert error_of(refused)["code"] == "campaign_budget"
    assert record.infra is None
    assert world.upstream.asked == []


async def test_the_account_is_settled_to_what_was_paid_and_nothing_stays_reserved(world: World) -> None:
    budget = Budget(BudgetLimits(usd=1.0))
    world.account = budget
    await one_call(world, tree="a" * 40)
    await one_call(world, tree=OTHER_TREE)
    assert budget.spent.usd == pytest.approx(0.00002)
    assert budget.spent.tokens == 15
    assert budget.reserved.usd == pytest.approx(0.0)
    assert budget.reserved.tokens == 0


async def test_an_unreachable_model_is_a_502_without_detail_and_voids_the_rollout(world: World) -> None:
    world.upstream.failure = ModelUnavailableError("529 after 6 tries at https://inner.example")
    async with world.open() as (door, http):
        async with sdk(door) as client:
            with pytest.raises(openai.InternalServerError):
                await client.chat.completions.create(model="m-1", messages=HI)
        after = await http.get("/session")
        record = door.recording()
    assert len(world.upstream.asked) == 1  # the SDK is told not to retry on its own
    assert after.status_code == 502
    assert "inner.example" not in after.text
    assert record.infra == "model unavailable: 529 after 6 tries at https://inner.example"


async def test_a_request_the_provider_refuses_is_the_harnesss_own_400(world: World) -> None:
    world.upstream.failure = ModelError("context length exceeded")
    async with world.open() as (door, http):
        refused = await ask(http)
        record = door.recording()
    assert refused.status_code == 400
    assert "context length exceeded" in error_of(refused)["message"]
    assert record.infra is None
    assert record.spans[0].is_error


async def test_a_reply_that_is_no_completion_is_an_infrastructure_fault(world: World) -> None:
    world.upstream.answer = lambda _, __: {"choices": []}
    async with world.open() as (door, http):
        assert (await ask(http)).status_code == 502
        assert door.recording().infra is not None


@pytest.mark.parametrize("is_external", [True, False])
async def test_a_call_cut_off_by_the_end_of_the_rollout_counts_as_spent_where_it_may_be_billed(
    world: World, is_external: bool
) -> None:
    budget = Budget(BudgetLimits())
    world.account = budget
    world.upstream = FakeUpstream(is_external=is_external, holds=True)
    async with anyio.create_task_group() as tasks:
        async with world.open() as (door, http):
            tasks.start_soon(ignore_the_cut, http)
            await world.upstream.arrived.wait()
        record = door.recording()
    assert len(record.spans) == 1
    assert record.spans[0].is_error
    assert (record.usage.output_tokens == 100) is is_external
    assert budget.spent.tokens == record.usage.tokens
    assert (record.usage.usd or 0) == pytest.approx(budget.spent.usd)
    assert budget.reserved.tokens == 0


async def ignore_the_cut(http: httpx.AsyncClient) -> None:
    try:
        await ask(http)
    except (httpx.HTTPError, RuntimeError):
        return


async def test_a_usd_cap_on_a_model_without_a_price_is_refused_up_front(world: World) -> None:
    world.route = replace(ROUTE, price=None)
    with pytest.raises(ConfigError, match="no price is known for model 'm-1'"):
        world.gateway()
    world.caps = RolloutCaps(max_usd=None)
    world.gateway()


async def test_an_unknown_cost_stays_unknown(world: World) -> None:
    world.route = replace(ROUTE, price=None)
    world.caps = RolloutCaps(max_usd=None)
    world.upstream = UnpricedUpstream()
    assert (await one_call(world, tree="a" * 40)).usd is None


class UnpricedUpstream(FakeUpstream):
    async def chat(self, request, context):  # type: ignore[no-untyped-def]
        reply = await super().chat(request, context)
        return replace(reply, usage=replace(reply.usage, usd=None))
