"""Anthropic messages and OpenAI responses on the door, asked by the real SDKs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import anthropic
import anyio
import openai
import pytest
from anthropic.types import MessageParam, ToolParam
from openai.types.responses import FunctionToolParam, ResponseInputItemParam

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import CallContext, UpstreamReply, WireFormat
from optimizer.domain.trace import Usage
from tests.gateway.sdks import async_anthropic, async_openai, sync_anthropic, sync_openai
from tests.gateway.world import OTHER_TREE, TOOL, FakeUpstream, World, completion, error_of, job, look_call

pytestmark = pytest.mark.anyio

HI: list[MessageParam] = [{"role": "user", "content": "hi"}]
PIXEL = "iVBORw0KGgo="
SCHEMA: dict[str, object] = {"type": "object", "properties": {"at": {"type": "string", "default": None}}}
LOOK: list[ToolParam] = [{"name": "look", "description": "Look.", "input_schema": SCHEMA}]
LOOK_OPENAI: list[FunctionToolParam] = [
    {"type": "function", "name": "look", "description": "Look.", "parameters": SCHEMA, "strict": None}
]


def talkative(world: World) -> None:
    world.upstream.answer = lambda _, __: completion("sée", calls=[look_call("a"), {**look_call("b"), "id": "call-2"}])


async def test_anthropic_messages_get_text_tool_calls_and_usage(world: World) -> None:
    talkative(world)
    async with world.open() as (door, _), async_anthropic(door) as client:
        reply = await client.messages.create(model="m-1", max_tokens=50, messages=HI, system="Be kind.", tools=LOOK)
        spans = door.recording().spans
    assert [block.type for block in reply.content] == ["text", "tool_use", "tool_use"]
    text, first, _second = reply.content
    assert text.type == "text"
    assert text.text == "sée"
    assert first.type == "tool_use"
    assert (first.id, first.name, first.input) == ("call-1", "look", {"at": "a"})
    assert reply.stop_reason == "tool_use"
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (10, 5)
    sent = world.upstream.asked[0]
    assert sent["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}]
    assert sent["tools"] == [TOOL]
    assert sent["max_tokens"] == 50
    assert spans[0].usage.tokens == 15


async def test_openai_responses_get_text_tool_calls_and_usage(world: World) -> None:
    talkative(world)
    async with world.open() as (door, _), async_openai(door) as client:
        reply = await client.responses.create(
            model="m-1", max_output_tokens=50, input="hi", instructions="Be kind.", tools=LOOK_OPENAI, store=False
        )
    assert reply.output_text == "sée"
    calls = [item for item in reply.output if item.type == "function_call"]
    assert [(call.call_id, call.name, call.arguments) for call in calls] == [
        ("call-1", "look", '{"at": "a"}'),
        ("call-2", "look", '{"at": "b"}'),
    ]
    assert reply.status == "completed"
    assert reply.usage is not None
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (10, 5, 15)
    sent = world.upstream.asked[0]
    assert sent["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}]
    assert sent["tools"] == [TOOL]
    assert sent["max_tokens"] == 50


async def test_a_streamed_message_adds_up_to_the_plain_one(world: World) -> None:
    talkative(world)
    async with world.open() as (door, _), async_anthropic(door) as client:
        plain = await client.messages.create(model="m-1", max_tokens=50, messages=HI)
        async with client.messages.stream(model="m-1", max_tokens=50, messages=HI) as stream:
            words = [piece async for piece in stream.text_stream]
            final = await stream.get_final_message()
        raw = [
            event.type
            async for event in await client.messages.create(model="m-1", max_tokens=50, messages=HI, stream=True)
        ]
    assert "".join(words) == "sée"
    assert [block.to_dict() for block in final.content] == [block.to_dict() for block in plain.content]
    assert final.stop_reason == "tool_use"
    assert (final.usage.input_tokens, final.usage.output_tokens) == (10, 5)
    assert (raw[0], raw[-1]) == ("message_start", "message_stop")


async def test_a_streamed_response_adds_up_to_the_plain_one(world: World) -> None:
    talkative(world)
    async with world.open() as (door, _), async_openai(door) as client:
        plain = await client.responses.create(model="m-1", input="hi")
        async with client.responses.stream(model="m-1", input="hi") as stream:
            deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
            final = await stream.get_final_response()
        raw = [event async for event in await client.responses.create(model="m-1", input="hi", stream=True)]
    assert "".join(deltas) == "sée"
    assert final.output_text == "sée"
    assert [item.type for item in final.output] == [item.type for item in plain.output]
    assert final.usage == plain.usage
    assert [event.sequence_number for event in raw] == list(range(len(raw)))
    assert (raw[0].type, raw[-1].type) == ("response.created", "response.completed")


async def test_the_sync_sdks_work_from_a_thread(world: World) -> None:
    async with world.open() as (door, _):

        def calls() -> list[str]:
            with sync_openai(door) as client:
                found = [client.responses.create(model="m-1", input="one").output_text]
                with client.responses.stream(model="m-1", input="two") as stream:
                    found.append(stream.get_final_response().output_text)
            with sync_anthropic(door) as claude:
                block = claude.messages.create(model="m-1", max_tokens=9, messages=HI).content[0]
                assert block.type == "text"
                found.append(block.text)
                with claude.messages.stream(model="m-1", max_tokens=8, messages=HI) as events:
                    found.append(events.get_final_text())
            return found

        assert await anyio.to_thread.run_sync(calls) == [f"answer {n}" for n in range(4)]


async def test_one_conversation_is_the_same_call_in_every_format(world: World) -> None:
    async with world.open() as (door, http), async_openai(door) as client:
        await client.chat.completions.create(model="m-1", max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    async with world.open(job(OTHER_TREE)) as (door, _), async_anthropic(door) as claude, async_openai(door) as client:
        reply = await claude.messages.create(model="m-1", max_tokens=9, messages=HI)
        usage = door.recording().usage
    assert reply.content[0].type == "text"
    assert reply.content[0].text == "answer 0"
    assert usage.n_replayed_calls == 1
    assert len(world.upstream.asked) == 1
    assert http.is_closed


async def test_an_anthropic_tool_loop_with_images_echoes_back(world: World) -> None:
    talkative(world)
    async with world.open() as (door, _), async_anthropic(door) as client:
        first = await client.messages.create(model="m-1", max_tokens=50, messages=HI, tools=LOOK)
        talk: list[MessageParam] = [
            *HI,
            {"role": "assistant", "content": first.content},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call-1", "content": "a desk"},
                    {"type": "tool_result", "tool_use_id": "call-2", "content": "gone", "is_error": True},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "text", "text": "and this?", "cache_control": {"type": "ephemeral"}},
                ],
            },
        ]
        await client.messages.create(model="m-1", max_tokens=50, messages=talk, tools=LOOK, tool_choice={"type": "any"})
    sent = world.upstream.asked[1]
    assert sent["tool_choice"] == "required"
    calls: list[Json] = [
        {"id": "call-1", "type": "function", "function": {"name": "look", "arguments": '{"at":"a"}'}},
        {"id": "call-2", "type": "function", "function": {"name": "look", "arguments": '{"at":"b"}'}},
    ]
    assert sent["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "sée", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call-1", "content": "a desk"},
        {"role": "tool", "tool_call_id": "call-2", "content": "Error: gone"},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                {"type": "text", "text": "and this?"},
            ],
        },
    ]


async def test_a_responses_tool_loop_with_images_echoes_back(world: World) -> None:
    talkative(world)
    url = f"data:image/png;base64,{PIXEL}"
    async with world.open() as (door, _), async_openai(door) as client:
        first = await client.responses.create(model="m-1", input="hi", tools=LOOK_OPENAI)
        echoed: list[ResponseInputItemParam] = [item.to_dict() for item in first.output]  # type: ignore[misc]
        talk: list[ResponseInputItemParam] = [
            {"role": "user", "content": "hi"},
            *echoed,
            {"type": "function_call_output", "call_id": "call-1", "output": "a desk"},
            {"type": "function_call_output", "call_id": "call-2", "output": "gone"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "and this?"},
                    {"type": "input_image", "image_url": url, "detail": "low"},
                ],
            },
        ]
        await client.responses.create(
            model="m-1", input=talk, tools=LOOK_OPENAI, tool_choice={"type": "function", "name": "look"}
        )
    sent = world.upstream.asked[1]
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert sent["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "sée", "tool_calls": [look_call("a"), {**look_call("b"), "id": "call-2"}]},
        {"role": "tool", "tool_call_id": "call-1", "content": "a desk"},
        {"role": "tool", "tool_call_id": "call-2", "content": "gone"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "and this?"},
                {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
            ],
        },
    ]


MESSAGES: JsonObject = {"model": "m-1", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
RESPONSES: JsonObject = {"model": "m-1", "input": "x"}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("messages", {**MESSAGES, "metadata": {"user_id": "x"}}, "'metadata' is not allowed"),
        ("messages", {**MESSAGES, "container": "x"}, "'container' is not allowed"),
        ("messages", {**MESSAGES, "model": "m-2"}, "'m-1'"),
        ("messages", {**MESSAGES, "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ("messages", {**MESSAGES, "top_k": 5}, "no top_k"),
        ("messages", {**MESSAGES, "thinking": {"type": "enabled", "budget_tokens": 5000}}, "no thinking"),
        (
            "messages",
            {**MESSAGES, "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url"}}]}]},
            "source",
        ),
        ("messages", {"model": "m-1", "messages": MESSAGES["messages"]}, "max_tokens"),
        ("responses", {**RESPONSES, "store": True}, "store"),
        ("responses", {**RESPONSES, "previous_response_id": "r"}, "'previous_response_id' is not allowed"),
        ("responses", {**RESPONSES, "background": True}, "'background' is not allowed"),
        ("responses", {**RESPONSES, "tools": [{"type": "web_search"}]}, "tools.0"),
        ("responses", {**RESPONSES, "input": [{"type": "item_reference", "id": "x"}]}, "input"),
        ("responses", {**RESPONSES, "model": "m-2"}, "'m-1'"),
        (
            "responses",
            {
                **RESPONSES,
                "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://x/"}]}],
            },
            "data:image/",
        ),
    ],
)
async def test_what_is_not_allowed_is_a_400_that_says_so(world: World, path: str, body: JsonObject, said: str) -> None:
    async with world.open() as (_, http):
        refused = await http.post(f"/v1/{path}", json=body)
    assert refused.status_code == 400
    assert said in error_of(refused)["message"]
    assert world.upstream.asked == []


async def test_refusals_are_the_sdks_own_errors(world: World) -> None:
    world.caps = replace(world.caps, max_calls=0)
    async with world.open() as (door, _), async_anthropic(door) as claude, async_openai(door) as client:
        with pytest.raises(anthropic.BadRequestError, match="not available here"):
            await claude.messages.create(model="claude-9", max_tokens=5, messages=HI)
        with pytest.raises(anthropic.RateLimitError, match="max_calls"):
            await claude.messages.create(model="m-1", max_tokens=5, messages=HI)
        with pytest.raises(openai.RateLimitError, match="max_calls"):
            await client.responses.create(model="m-1", input="x")


NATIVE_MESSAGE: JsonObject = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-x",
    "content": [
        {"type": "thinking", "thinking": "hmm", "signature": "sig"},
        {"type": "redacted_thinking", "data": "zzz"},
        {"type": "text", "text": "sée"},
        {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "a"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 5},
}
NATIVE_RESPONSE: JsonObject = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-x",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "zzz"},
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "sée", "annotations": [], "logprobs": []}],
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    },
}


@dataclass
class NativeFake(FakeUpstream):
    """Speaks all three formats itself."""

    native_formats: frozenset[WireFormat] = frozenset({"chat", "messages", "responses"})
    sent: list[tuple[WireFormat, JsonObject]] = field(default_factory=list)

    async def send(self, wire: WireFormat, request: JsonObject, context: CallContext) -> UpstreamReply:
        self.sent.append((wire, request))
        body = NATIVE_MESSAGE if wire == "messages" else NATIVE_RESPONSE
        usage = Usage(input_tokens=10, cached_tokens=4, output_tokens=5, usd=0.00002, n_calls=1)
        return UpstreamReply(body=body, usage=usage)


async def test_a_native_messages_upstream_gets_the_request_as_it_is_and_thinking_comes_back(world: World) -> None:
    native = NativeFake()
    world.upstream = native
    asked = {"type": "enabled", "budget_tokens": 1024}
    async with world.open() as (door, _), async_anthropic(door) as client:
        plain = await client.messages.create(
            model="m-1",
            max_tokens=90,
            messages=HI,
            thinking={"type": "enabled", "budget_tokens": 1024},
            extra_body={"top_k": 3},
        )
        async with client.messages.stream(model="m-1", max_tokens=90, messages=HI) as stream:
            final = await stream.get_final_message()
        spans = door.recording().spans
    assert native.sent[0] == (
        "messages",
        {"model": "m-1", "max_tokens": 90, "messages": HI, "thinking": asked, "top_k": 3},
    )
    assert [block.type for block in plain.content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert [block.to_dict() for block in final.content] == [block.to_dict() for block in plain.content]
    assert isinstance(spans[0].output, dict)
    assert spans[0].output["content"] == "sée"
    assert isinstance(spans[0].input, dict)
    assert spans[0].input["messages"] == [{"role": "user", "content": "hi"}]


async def test_a_native_responses_upstream_keeps_nothing_and_reasoning_comes_back(world: World) -> None:
    native = NativeFake()
    world.upstream = native
    async with world.open() as (door, _), async_openai(door) as client:
        plain = await client.responses.create(model="m-1", input="hi", include=["reasoning.encrypted_content"])
        async with client.responses.stream(model="m-1", input="hi") as stream:
            final = await stream.get_final_response()
        echoed: list[ResponseInputItemParam] = [item.to_dict() for item in plain.output]  # type: ignore[misc]
        await client.responses.create(model="m-1", input=echoed)
    assert native.sent[0][1]["store"] is False
    assert native.sent[0][1]["max_output_tokens"] == 100
    assert [item.type for item in plain.output] == [item.type for item in final.output] == ["reasoning", "message"]
    again = native.sent[2][1]["input"]
    assert isinstance(again, list)
    assert again[0] == {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "zzz"}


async def test_a_native_call_is_recorded_and_replayed(world: World) -> None:
    native = NativeFake()
    world.upstream = native
    for tree in ("a" * 40, OTHER_TREE):
        async with world.open(job(tree)) as (door, _), async_anthropic(door) as client:
            reply = await client.messages.create(model="m-1", max_tokens=9, messages=HI)
            usage = door.recording().usage
        assert json.loads(reply.to_json())["id"] == "msg_1"
    assert usage.n_replayed_calls == 1
    assert len(native.sent) == 1
