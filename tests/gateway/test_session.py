from __future__ import annotations

import json
from functools import partial

import anyio
import httpx
import pytest

from optimizer.domain.json import Json
from optimizer.domain.task import Say, Submit, ToolCall
from optimizer.gateway.caps import RolloutCaps
from tests.gateway.world import World, ask, error_of

pytestmark = pytest.mark.anyio


async def step(http: httpx.AsyncClient, **body: Json) -> httpx.Response:
    return await http.post("/session/step", json=body)


async def test_the_session_shows_the_opening_and_the_model_and_no_identity(world: World) -> None:
    async with world.open() as (_, http):
        shown = await http.get("/session")
    assert shown.status_code == 200
    assert shown.json() == {
        "protocol": 1,
        "model": "m-1",
        "instructions": "Help.",
        "policy": "Be kind.",
        "tools": [{"name": "look", "description": "Look.", "parameters": {"type": "object"}}],
        "first_message": "Hi héllo",
    }
    assert "secret" not in shown.text


async def test_a_whole_conversation_is_answered_and_recorded_in_order(world: World) -> None:
    async with world.open() as (door, http):
        looked = await step(http, tool="look", arguments={"at": "désk"})
        missed = await step(http, tool="fly", arguments={})
        spoke = await step(http, say="hello")
        ended = await http.post("/session/submit", json={"answer": "42"})
        record = door.recording()
    assert looked.json() == {"source": "tool", "content": "you see a desk", "is_error": False, "is_final": False}
    assert missed.json()["is_error"] is True
    assert spoke.json()["source"] == "user"
    assert ended.json() == {"source": "end", "content": "", "is_error": False, "is_final": True}
    assert world.environment.steps == [
        ToolCall(name="look", arguments={"at": "désk"}),
        ToolCall(name="fly", arguments={}),
        Say(text="hello"),
        Submit(answer="42"),
    ]
    shown = [(span.index, span.kind, span.name, span.input, span.output, span.is_error) for span in record.spans]
    assert shown == [
        (0, "tool_call", "look", {"at": "désk"}, "you see a desk", False),
        (1, "tool_call", "fly", {}, "Error: no tool fly", True),
        (2, "user_turn", "user", "hello", "you said hello", False),
        (3, "submit", "submit", "42", "", False),
    ]
    assert record.is_over
    assert record.infra is None


async def test_arguments_and_answer_may_be_left_out(world: World) -> None:
    async with world.open() as (_, http):
        assert (await step(http, tool="look")).status_code == 200
        assert (await http.post("/session/submit", json={})).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tool": "look", "say": "both"},
        {"tool": 3},
        {"tool": "look", "arguments": [1]},
        {"tool": "look", "arguments": "{}"},
        {"tool": ""},
        {"say": None},
        {"tool": "look", "extra": 1},
    ],
)
async def test_a_step_of_another_shape_is_a_400_that_shows_the_right_one(world: World, body: Json) -> None:
    async with world.open() as (_, http):
        refused = await http.post("/session/step", json=body)
    assert refused.status_code == 400
    assert "tool" in error_of(refused)["message"]
    assert world.environment.steps == []


async def test_after_the_end_steps_are_a_409(world: World) -> None:
    async with world.open() as (_, http):
        assert (await step(http, say="bye")).json()["is_final"] is True
        late = [await step(http, tool="look"), await http.post("/session/submit", json={})]
    assert [one.status_code for one in late] == [409, 409]
    assert {error_of(one)["code"] for one in late} == {"conversation_over"}
    assert len(world.environment.steps) == 1


async def test_steps_sent_at_once_reach_the_environment_one_by_one(world: World) -> None:
    async with world.open() as (door, http):
        async with anyio.create_task_group() as tasks:
            for n in range(20):
                tasks.start_soon(partial(step, http, say=str(n)))
        spans = door.recording().spans
    assert world.environment.most_inside == 1
    assert len(spans) == 20
    assert [span.index for span in spans] == list(range(20))


async def test_the_step_cap_is_a_429_and_submitting_is_still_possible(world: World) -> None:
    world.caps = RolloutCaps(max_steps=2)
    async with world.open() as (door, http):
        codes = [(await step(http, say="x")).status_code for _ in range(4)]
        submitted = await http.post("/session/submit", json={})
        record = door.recording()
    assert codes == [200, 200, 429, 429]
    assert submitted.status_code == 200
    assert record.cap_hit == "max_steps"


async def test_a_benchmark_fault_voids_the_rollout_even_when_the_harness_swallows_it(world: World) -> None:
    async with world.open() as (door, http):
        failed = await step(http, tool="broken")
        after = await ask(http)
        record = door.recording()
    assert failed.status_code == 502
    assert error_of(failed)["code"] == "benchmark_fault"
    assert "database" not in failed.text
    assert record.infra == "benchmark fault: database gone"
    assert after.status_code == 502
    assert world.upstream.asked == []


async def test_a_crash_of_ours_is_a_500_an_infra_fault_and_no_more(world: World) -> None:
    async with world.open() as (door, http):
        failed = await step(http, tool="bug")
        record = door.recording()
    assert failed.status_code == 500
    assert "oops" not in failed.text
    assert record.infra == "gateway fault: ZeroDivisionError: oops"


async def test_unknown_paths_and_methods_say_what_there_is(world: World) -> None:
    async with world.open() as (_, http):
        lost = await http.get("/v1/models")
        wrong = await http.get("/session/step")
        head = await http.head("/session/step")
        again = await http.get("/session?x=1")
    assert lost.status_code == 404
    assert "/v1/chat/completions" in error_of(lost)["message"]
    assert wrong.status_code == 405
    assert head.status_code == 405
    assert again.status_code == 200


async def test_replies_are_plain_json_with_any_text(world: World) -> None:
    async with world.open() as (_, http):
        reply = await step(http, say="\U0001f600 \u2028 \x00")
    assert json.loads(reply.content)["content"] == "you said \U0001f600 \u2028 \x00"
