"""No kill hides money: what is about to be paid for is on record before it is asked."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from optimizer.domain.errors import ModelError, ModelUnavailableError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext, UpstreamReply
from optimizer.gateway.recorder import MemoryCallRecorder
from tests.gateway.accounting import KEY, check, two_sessions
from tests.gateway.test_accounting import ignore_the_cut
from tests.gateway.world import FakeUpstream, World, ask
from tests.ledger.samples import HEADER

pytestmark = pytest.mark.anyio


async def test_the_intent_is_written_before_the_provider_is_asked_and_settled_with_the_answer(world: World) -> None:
    calls = MemoryCallRecorder()
    seen: list[int] = []

    class Watching(FakeUpstream):
        async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:
            seen.extend(intent.worst_case.output_tokens for intent in calls.open.values())
            return await super().chat(request, context)

    world.calls, world.upstream = calls, Watching()
    async with world.open() as (_, http):
        assert (await ask(http)).status_code == 200
    assert seen == [100]
    assert calls.open == {}


async def test_a_simulated_model_leaves_no_intent(world: World) -> None:
    class Refusing(MemoryCallRecorder):
        def intend(self, call: object) -> int:
            raise AssertionError

    world.calls, world.upstream = Refusing(), FakeUpstream(is_external=False)
    async with world.open() as (_, http):
        assert (await ask(http)).status_code == 200


@pytest.mark.parametrize("failure", [ModelError("too long"), ModelUnavailableError("529")])
async def test_a_refused_call_is_not_counted_as_spent(world: World, failure: ModelError) -> None:
    calls = MemoryCallRecorder()
    world.calls = calls
    world.upstream.failure = failure
    async with world.open() as (_, http):
        await ask(http)
    assert calls.open == {}


async def test_a_call_cut_off_by_the_end_of_its_rollout_stays_open(world: World) -> None:
    calls = MemoryCallRecorder()
    world.calls, world.upstream = calls, FakeUpstream(holds=True)
    async with anyio.create_task_group() as tasks, world.open() as (_, http):
        tasks.start_soon(ignore_the_cut, http)
        await world.upstream.arrived.wait()
    assert len(calls.open) == 1


def test_300_mixed_calls_with_faults_and_a_kill_agree_with_the_providers_books(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    books = two_sessions(tmp_path / "night", HEADER, n_calls=300)
    check(books)
    said = capfd.readouterr()
    assert KEY not in said.out + said.err
    assert all(KEY.encode() not in path.read_bytes() for path in (tmp_path / "night").rglob("*") if path.is_file())
