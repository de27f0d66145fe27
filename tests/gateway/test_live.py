"""Streamed answers reach the harness while the provider still gives them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import anyio.lowlevel
import httpx
import openai
import pytest
from anyio.abc import SocketAttribute, SocketStream
from pydantic import SecretStr

from optimizer.domain.budget import Spend
from optimizer.domain.errors import LedgerError
from optimizer.domain.json import JsonObject
from optimizer.gateway.door import Door
from optimizer.gateway.limits import DoorLimits
from optimizer.gateway.recorder import MemoryCallRecorder
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.retry import RetryPolicy
from optimizer.models.upstream_anthropic import AnthropicUpstream
from optimizer.models.upstream_openai import OpenAIUpstream
from tests.gateway.sdks import async_anthropic, async_openai
from tests.gateway.sse import chat_events, message_events, response_events
from tests.gateway.world import OTHER_TREE, ROUTE, FakeEnvironment, World, chat_body, client, error_of, job
from tests.models.wire_server import Turn, openai_body

pytestmark = pytest.mark.anyio

TURN = Turn(text="one two thrée", calls=(("call-1", "look", '{"at": "désk"}'),), n_output=9)
WORDS = Turn(text="one two three")
HEAD = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
TALK: JsonObject = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}], "stream": True}
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
BODIES: dict[str, JsonObject] = {
    "chat": TALK,
    "messages": {**TALK, "max_tokens": 9},
    "responses": {"model": "m-1", "input": "hi", "stream": True},
}
EVENTS = {"chat": chat_events, "messages": message_events, "responses": response_events}


@dataclass
class Scripted:
    """A provider that sends one script per connection, and pauses where the script holds an event."""

    scripts: list[list[bytes | anyio.Event]] = field(default_factory=list)
    asked: list[JsonObject] = field(default_factory=list)
    origin: str = ""

    async def serve(self, stream: SocketStream) -> None:
        async with stream:
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith(b"}"):
                received += await stream.receive()
            self.asked.append(json.loads(received.partition(b"\r\n\r\n")[2]))
            for step in self.scripts.pop(0):
                if isinstance(step, anyio.Event):
                    await step.wait()
                else:
                    await stream.send(step)


@asynccontextmanager
async def scripted(*scripts: list[bytes | anyio.Event]) -> AsyncIterator[Scripted]:
    found = Scripted(scripts=list(scripts))
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    found.origin = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, found.serve)
        yield found
        tasks.cancel_scope.cancel()


async def no_wait(_: float) -> None:
    return


def model_of(wire: str, provider: Scripted) -> OpenAIUpstream | AnthropicUpstream:
    retry = RetryPolicy(attempts=3, sleep=no_wait)
    endpoint = ModelEndpoint(model="m-1", key=SecretStr("k"), base_url=provider.origin, price=ROUTE.price, timeout_s=20)
    if wire == "messages":
        return AnthropicUpstream(endpoint, retry=retry)
    there = replace(endpoint, base_url=f"{provider.origin}/v1")
    return OpenAIUpstream(there, retry=retry, is_responses_native=True)


@dataclass
class Live:
    """A door to a scripted provider, and the books."""

    door: Door
    http: httpx.AsyncClient
    calls: MemoryCallRecorder
    lost: list[Spend]


@asynccontextmanager
async def live(
    world: World, wire: str, provider: Scripted, limits: DoorLimits | None = None, tree: str = "a" * 40
) -> AsyncIterator[Live]:
    lost: list[Spend] = []
    assert isinstance(world.calls, MemoryCallRecorder)
    model = model_of(wire, provider)
    gateway = replace(world, upstream=model, limits=limits or DoorLimits()).gateway(on_lost=lost.append)  # type: ignore[arg-type]
    async with gateway.open(job(tree), FakeEnvironment()) as door, client(door) as http:
        yield Live(door=door, http=http, calls=world.calls, lost=lost)
    await model.close()


async def read_until_broken(here: Live, wire: str) -> str:
    """What a harness sees of a stream that ends without its end."""
    seen = ""
    async with here.http.stream("POST", PATHS[wire], json=BODIES[wire]) as reply:
        try:
            async for piece in reply.aiter_text():
                seen += piece
        except httpx.RemoteProtocolError:
            return seen
    raise AssertionError(f"the stream ended well: {seen}")


def open_calls(calls: object) -> int:
    assert isinstance(calls, MemoryCallRecorder)
    return len(calls.open)


@pytest.mark.parametrize("wire", ["chat", "messages", "responses"])
async def test_a_word_reaches_the_harness_before_the_provider_says_the_next(world: World, wire: str) -> None:
    events, gates = EVENTS[wire](WORDS, "id-1"), [anyio.Event() for _ in range(30)]
    script = [step for pair in zip(events, gates, strict=False) for step in pair]
    async with scripted([HEAD, *script]) as provider, live(world, wire, provider) as here:
        seen = ""
        async with here.http.stream("POST", PATHS[wire], json=BODIES[wire]) as reply:
            pieces = reply.aiter_text()
            for n, (event, gate) in enumerate(zip(events, gates, strict=False)):
                if b'"one ' in event or b'"two ' in event:
                    with anyio.fail_after(10):
                        while ('"one ' if b'"one ' in event else '"two ') not in seen:
                            seen += await anext(pieces)
                    assert here.calls.calls == {}  # nothing is whole yet
                    assert open_calls(here.calls) == 1
                gate.set()
                assert n < len(gates)
            seen += "".join([piece async for piece in pieces])
        assert open_calls(here.calls) == 0
        assert len(here.calls.calls) == 1
    assert seen.count("three") >= 1
    assert provider.asked[0]["stream"] is True


async def both(world: World, wire: str, script: list[bytes | anyio.Event]) -> list[object]:
    """What the SDK adds up to, live and then from the record."""
    seen: list[object] = []
    async with scripted(script) as provider:
        for tree in ("a" * 40, OTHER_TREE):
            async with live(world, wire, provider, tree=tree) as here:
                seen.append(await added_up(here.door, wire))
    assert len(provider.asked) == 1
    return seen


async def added_up(door: Door, wire: str) -> object:
    if wire == "messages":
        async with (
            async_anthropic(door) as claude,
            claude.messages.stream(model="m-1", max_tokens=9, messages=[{"role": "user", "content": "hi"}]) as stream,
        ):
            return (await stream.get_final_message()).to_dict()
    async with async_openai(door) as sdk:
        if wire == "responses":
            async with sdk.responses.stream(model="m-1", input="hi") as events:
                return (await events.get_final_response()).to_dict()
        talk = sdk.chat.completions.stream(
            model="m-1", messages=[{"role": "user", "content": "hi"}], stream_options={"include_usage": True}
        )
        async with talk as chunks:
            return (await chunks.get_final_completion()).to_dict()


@pytest.mark.parametrize("wire", ["chat", "messages", "responses"])
async def test_a_replay_adds_up_to_what_was_seen_live(world: World, wire: str) -> None:
    first, again = await both(world, wire, [HEAD, *EVENTS[wire](TURN, "id-1")])
    assert first == again
    assert "thrée" in json.dumps(first, ensure_ascii=False)


@pytest.mark.parametrize("wire", ["chat", "messages", "responses"])
async def test_usage_is_metered_to_the_token_whether_or_not_the_harness_asks(world: World, wire: str) -> None:
    async with (
        scripted([HEAD, *EVENTS[wire](WORDS, "id-1")]) as provider,
        live(world, wire, provider) as here,
    ):
        reply = await here.http.post(PATHS[wire], json=BODIES[wire])
        usage = here.door.recording().usage
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == (100, 40, 7)
    assert reply.headers["content-type"] == "text/event-stream"
    if wire == "chat":
        assert "prompt_tokens" not in reply.text
        assert provider.asked[0]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("wire", ["chat", "messages", "responses"])
async def test_a_stream_that_breaks_before_a_word_was_passed_on_is_asked_again_and_counted(
    world: World, wire: str
) -> None:
    async with (
        scripted([HEAD], [HEAD, b"data: {half"], [HEAD, *EVENTS[wire](WORDS, "id-1")]) as provider,
        live(world, wire, provider) as here,
    ):
        reply = await here.http.post(PATHS[wire], json=BODIES[wire])
        record = here.door.recording()
    assert reply.status_code == 200
    assert len(provider.asked) == 3
    assert record.infra is None
    assert record.usage.tokens == 107  # the rollout's own; what was lost is the campaign's
    assert [call.worst_case.output_tokens > 0 for call in here.calls.lost] == [True, True]
    assert len(here.lost) == 2
    assert open_calls(here.calls) == 0


@pytest.mark.parametrize("wire", ["chat", "messages", "responses"])
async def test_a_stream_that_breaks_half_way_is_an_error_for_the_harness_and_counts_as_spent(
    world: World, wire: str
) -> None:
    events = EVENTS[wire](WORDS, "id-1")
    half = events[: next(n for n, event in enumerate(events) if b'"two ' in event) + 1]
    async with scripted([HEAD, *half]) as provider, live(world, wire, provider) as here:
        seen = await read_until_broken(here, wire)
        record = here.door.recording()
    assert "two" in seen
    assert "model_unavailable" in seen
    assert len(provider.asked) == 1  # asked again, the model would say something else
    assert record.infra is not None
    assert len(here.calls.lost) == len(here.lost) == 1
    assert here.calls.calls == {}


async def test_the_sdk_raises_a_stream_that_breaks_half_way(world: World) -> None:
    half = chat_events(WORDS, "id-1")[:3]
    async with (
        scripted([HEAD, *half]) as provider,
        live(world, "chat", provider) as here,
        async_openai(here.door) as sdk,
    ):
        stream = await sdk.chat.completions.create(
            model="m-1", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        with pytest.raises(openai.APIError, match="out of reach"):
            _ = [chunk async for chunk in stream]


async def test_a_provider_that_answers_a_stream_as_a_whole_is_understood(world: World) -> None:
    body = json.dumps(openai_body(WORDS)).encode()
    whole = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    async with scripted([whole]) as provider, live(world, "chat", provider) as here:
        reply = await here.http.post(PATHS["chat"], json=TALK)
    assert "one two three" in reply.text
    assert reply.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("status", "n_lost"), [(400, 0), (429, 0), (500, 0), (503, 0), (529, 0), (502, 3), (504, 3)], ids=str
)
async def test_what_may_be_billed_counts_as_spent_and_what_was_refused_does_not(
    world: World, status: int, n_lost: int
) -> None:
    said = b"HTTP/1.1 %d X\r\nretry-after: 0\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}" % status
    async with scripted([said], [said], [said]) as provider, live(world, "chat", provider) as here:
        reply = await here.http.post(PATHS["chat"], json=chat_body())
        error_of(reply)
    assert len(here.calls.lost) == len(here.lost) == n_lost
    assert open_calls(here.calls) == 0


LONG = Turn(text="word " * 40_000)
"""Some 6 MiB of events."""


async def test_a_harness_that_stops_reading_blocks_nobody_and_its_answer_is_recorded(world: World) -> None:
    body = json.dumps(TALK).encode()
    head = f"POST {PATHS['chat']} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    limits = DoorLimits(delivery_s=0.2, unread_bytes=2**16)
    script = [HEAD, b"".join(chat_events(LONG, "id-1"))]
    async with (
        scripted(script, [HEAD, *chat_events(WORDS, "id-2")]) as provider,
        live(world, "chat", provider, limits) as here,
        await anyio.connect_unix(here.door.socket) as deaf,
    ):
        await deaf.send(head + body)
        while not provider.asked:
            await anyio.lowlevel.checkpoint()
        reply = await here.http.post(PATHS["chat"], json=chat_body("another", stream=True))
        assert "three" in reply.text
        with anyio.fail_after(15):
            while len(here.calls.calls) < 2:
                await anyio.lowlevel.checkpoint()
        record = here.door.recording()
    assert record.infra is None
    assert open_calls(here.calls) == 0


async def test_a_harness_that_reads_slowly_gets_every_word(world: World) -> None:
    limits = DoorLimits(unread_bytes=2**14)
    async with (
        scripted([HEAD, b"".join(chat_events(Turn(text="word " * 5000), "id-1"))]) as provider,
        live(world, "chat", provider, limits) as here,
        here.http.stream("POST", PATHS["chat"], json=TALK) as reply,
    ):
        n_words = 0
        async for line in reply.aiter_lines():
            n_words += '"content":"word "' in line
            await anyio.lowlevel.checkpoint()
    assert n_words == 5000


@pytest.mark.parametrize(
    ("wire", "end"),
    [("chat", '"finish_reason":"stop"'), ("messages", "message_delta"), ("responses", "response.completed")],
)
async def test_the_end_of_an_answer_waits_for_its_record(world: World, wire: str, end: str) -> None:
    class Full(MemoryCallRecorder):
        def record(self, call: object, *, intent: int | None = None) -> None:
            raise LedgerError("disk full")

    world.calls = Full()
    async with scripted([HEAD, *EVENTS[wire](WORDS, "id-1")]) as provider, live(world, wire, provider) as here:
        seen = await read_until_broken(here, wire)
        assert here.door.recording().infra == "gateway fault: LedgerError: disk full"
    assert "three" in seen
    assert end not in seen
    assert "[DONE]" not in seen
