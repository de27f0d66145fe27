from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from optimizer.domain.json import Json
from optimizer.gateway.chat_request import ModelRoute
from optimizer.gateway.door import Door
from optimizer.models.prices import ModelPrice
from tests.gateway.world import TOOL, World, ask, completion, error_of, look_call

pytestmark = pytest.mark.anyio

HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
LOOK: list[ChatCompletionToolParam] = [{"type": "function", "function": {"name": "look", "parameters": {}}}]


@asynccontextmanager
async def sdk(door: Door) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(door.socket)))
    async with openai.AsyncOpenAI(base_url="http://127.0.0.1:8377/v1", api_key="sk-hidden", http_client=http) as client:
        yield client


async def test_the_async_sdk_gets_text_and_tool_calls(world: World) -> None:
    world.upstream.answer = lambda _, n: completion(None, calls=[look_call()]) if n else completion("héllo")
    async with world.open() as (door, _), sdk(door) as client:
        text = await client.chat.completions.create(model="m-1", messages=HI)
        tool = await client.chat.completions.create(model="m-1", messages=HI, tools=LOOK)
    assert text.choices[0].message.content == "héllo"
    calls = tool.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.arguments == '{"at": "desk"}'
    assert tool.choices[0].finish_reason == "tool_calls"
    assert tool.usage is not None
    assert tool.usage.total_tokens == 15


async def test_the_sync_sdk_works_from_a_thread(world: World) -> None:
    async with world.open() as (door, _):

        def call() -> str | None:
            http = httpx.Client(transport=httpx.HTTPTransport(uds=str(door.socket)))
            with openai.OpenAI(base_url="http://127.0.0.1:8377/v1", api_key="x", http_client=http) as client:
                return client.chat.completions.create(model="m-1", messages=HI).choices[0].message.content

        assert await anyio.to_thread.run_sync(call) == "answer 0"


async def test_a_streamed_answer_adds_up_to_the_plain_one(world: World) -> None:
    world.upstream.answer = lambda _, __: completion("sée", calls=[look_call("a"), {**look_call("b"), "id": "call-2"}])
    async with world.open() as (door, _), sdk(door) as client:
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="m-1", messages=HI, tools=LOOK, stream=True, stream_options={"include_usage": True}
            )
        ]
        async with client.chat.completions.stream(model="m-1", messages=HI) as stream:
            final = await stream.get_final_completion()
        spans = door.recording().spans
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "sée"
    pieces = [piece for delta in deltas for piece in delta.tool_calls or ()]
    assert [(piece.index, piece.id, piece.function and piece.function.arguments) for piece in pieces] == [
        (0, "call-1", '{"at": "a"}'),
        (1, "call-2", '{"at": "b"}'),
    ]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == 10
    assert final.choices[0].message.content == "sée"
    assert len(final.choices[0].message.tool_calls or ()) == 2
    assert len(spans) == 2


async def test_a_streamed_and_a_plain_request_are_the_same_call(world: World) -> None:
    async with world.open() as (_, http):
        await ask(http)
    async with world.open() as (_, http):
        streamed = await ask(http, stream=True)
    assert streamed.headers["content-type"] == "text/event-stream"
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert len(world.upstream.asked) == 1


async def test_an_echoed_reply_with_the_sdks_nulls_is_accepted(world: World) -> None:
    async with world.open() as (door, _), sdk(door) as client:
        first = await client.chat.completions.create(model="m-1", messages=HI)
        echo: ChatCompletionMessageParam = first.choices[0].message.model_dump()  # type: ignore[assignment]
        await client.chat.completions.create(model="m-1", messages=[*HI, echo, *HI])
    assert world.upstream.asked[1]["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "answer 0"},
        {"role": "user", "content": "hi"},
    ]


async def test_only_allowed_parameters_the_pinned_model_and_a_bounded_output_go_upstream(world: World) -> None:
    world.route = ModelRoute(
        name="m-1", upstream_name="vendor-m", max_output_tokens=100, price=ModelPrice(input=1, output=2)
    )
    async with world.open() as (_, http):
        for limit in (None, 7, 9000):
            assert (await ask(http, max_tokens=limit)).status_code == 200
        assert (await ask(http, max_completion_tokens=8)).status_code == 200
        assert (await ask(http, temperature=1, n=1, tools=[TOOL], tool_choice="auto")).status_code == 200
    sent = [{k: v for k, v in request.items() if k != "messages"} for request in world.upstream.asked]
    assert sent == [
        {"model": "vendor-m", "max_tokens": 100},
        {"model": "vendor-m", "max_tokens": 7},
        {"model": "vendor-m", "max_tokens": 100},
        {"model": "vendor-m", "max_tokens": 8},
        {"model": "vendor-m", "max_tokens": 100, "temperature": 1.0, "tools": [TOOL], "tool_choice": "auto"},
    ]


async def test_another_model_is_refused_and_the_allowed_one_named(world: World) -> None:
    async with world.open() as (door, http), sdk(door) as client:
        with pytest.raises(openai.BadRequestError, match="'m-1'"):
            await client.chat.completions.create(model="gpt-5", messages=HI)
        missing = await http.post("/v1/chat/completions", json={"messages": HI})
        spans = door.recording().spans
    assert error_of(missing)["code"] == "model_not_allowed"
    assert world.upstream.asked == []
    assert [span.is_error for span in spans] == [True, True]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"n": 2}, "n: "),
        ({"store": True}, "'store' is not allowed"),
        ({"metadata": {}}, "'metadata' is not allowed"),
        ({"max_token": 5}, "did you mean 'max_tokens'"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/"}}]}]},
            "data:image/",
        ),
        ({"temperature": 3}, "temperature"),
    ],
)
async def test_what_is_not_allowed_is_a_400_that_says_so(world: World, more: dict[str, Json], said: str) -> None:
    async with world.open() as (_, http):
        refused = await http.post("/v1/chat/completions", json={"model": "m-1", "messages": HI, **more})
    assert refused.status_code == 400
    assert said in error_of(refused)["message"]
    assert world.upstream.asked == []


async def test_an_embedded_image_passes_through(world: World) -> None:
    parts: Json = [
        {"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    async with world.open() as (_, http):
        body = {"model": "m-1", "messages": [{"role": "user", "content": parts}]}
        reply = await http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200
    assert world.upstream.asked[0]["messages"] == [{"role": "user", "content": parts}]


async def test_spans_show_request_and_answer_and_the_tools_once(world: World) -> None:
    async with world.open() as (door, http):
        await ask(http, "one", tools=[TOOL])
        await ask(http, "two", tools=[TOOL])
        record = door.recording()
    first, second = record.spans
    assert (first.kind, first.name) == ("model_call", "m-1")
    assert isinstance(first.input, dict)
    assert isinstance(second.input, dict)
    assert first.input["tools"] == [TOOL]
    assert "tools" not in second.input
    assert first.input["tools_sha"] == second.input["tools_sha"]
    assert second.input["messages"] == [{"role": "user", "content": "two"}]
    assert second.output == {"role": "assistant", "content": "answer 1"}
    assert first.usage.tokens == 15
    assert record.usage.n_calls == 2
    assert record.usage.usd == pytest.approx(0.00004)


async def test_no_header_reaches_the_record_or_the_upstream(world: World) -> None:
    async with world.open() as (door, http):
        await http.post(
            "/v1/chat/completions",
            json={"model": "m-1", "messages": HI},
            headers={"authorization": "Bearer sk-hidden", "x-note": "sk-hidden"},
        )
        shown = repr(door.recording())
    assert "sk-hidden" not in shown + repr(world.upstream.asked) + repr(world.upstream.contexts)


async def test_the_context_carries_what_the_trusted_side_knows(world: World) -> None:
    async with world.open() as (_, http):
        await ask(http, "a")
        await ask(http, "a")
        await ask(http, "b")
    seen = [(context.task_id, context.luck, context.occurrence) for context in world.upstream.contexts]
    assert seen == [("task-secret-7", "task-secret-7/target/0", n) for n in (0, 1, 0)]


async def test_half_a_surrogate_pair_from_a_provider_does_no_harm(world: World) -> None:
    world.upstream.answer = lambda _, __: completion("x\ud83d")
    async with world.open() as (door, http):
        reply = await ask(http)
        json.dumps(door.recording().spans[0].output, ensure_ascii=False).encode()
    assert reply.json()["choices"][0]["message"]["content"] == "x?"
