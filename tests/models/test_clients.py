"""One behaviour, three clients: every test here runs on each of them."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from pydantic import SecretStr

from optimizer.domain.errors import ModelError, ModelUnavailableError
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import LanguageModel, Message, ModelReply, ModelTool, ModelToolCall
from optimizer.domain.trace import Usage
from optimizer.models.anthropic_client import AnthropicClient
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.litellm_client import LiteLLMClient
from optimizer.models.openai_client import OpenAIClient
from optimizer.models.prices import ModelPrice
from optimizer.models.retry import RetryPolicy
from tests.models.conftest import Waits
from tests.models.wire_server import Fault, Scripted, Turn, WireServer

pytestmark = pytest.mark.anyio

Provider = Literal["openai", "anthropic", "litellm"]
PROVIDERS: tuple[Provider, ...] = ("openai", "anthropic", "litellm")
KEY = "sk-very-hidden-0123456789"
PRICE = ModelPrice(input=1.0, cached_input=0.1, output=10.0)
USAGE = Usage(input_tokens=100, cached_tokens=40, output_tokens=7, usd=134e-6, n_calls=1)
SCHEMA: JsonObject = {"type": "object", "properties": {"at": {"type": "string"}}}
TOOL = ModelTool(name="look", description="Look.", parameters=SCHEMA)
TALK = (
    Message(role="system", text="Be brief."),
    Message(role="user", text="Where is it?"),
    Message(
        role="assistant",
        text="Let me see.",
        tool_calls=(
            ModelToolCall(id="c1", name="look", arguments={"at": "desk"}),
            ModelToolCall(id="c2", name="look", arguments={"at": "shelf"}),
        ),
    ),
    Message(role="tool", text="a cup", tool_call_id="c1"),
    Message(role="tool", text="a book", tool_call_id="c2"),
    Message(role="user", text="And now?"),
)


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> Provider:
    found: Provider = request.param
    return found


@asynccontextmanager
async def client(
    provider: Provider, wire: WireServer, retry: RetryPolicy, *, timeout_s: float = 10, origin: str = ""
) -> AsyncIterator[LanguageModel]:
    base = origin or wire.origin
    endpoint = ModelEndpoint(
        model="openai/m-x" if provider == "litellm" else "m-x",
        key=SecretStr(KEY),
        base_url=base if provider == "anthropic" else f"{base}/v1",
        price=PRICE,
        timeout_s=timeout_s,
    )
    kinds = {"openai": OpenAIClient, "anthropic": AnthropicClient, "litellm": LiteLLMClient}
    model = kinds[provider](endpoint, retry=retry)
    try:
        yield model
    finally:
        await model.close()


ANSWERS: tuple[tuple[Turn, ModelReply], ...] = (
    (Turn(text="héllo \U0001f600"), ModelReply(text="héllo \U0001f600", usage=USAGE)),
    (
        Turn(text="one sec", calls=(("c3", "look", '{"at": "bed"}'), ("c4", "look", "{}")), stop="tool_use"),
        ModelReply(
            text="one sec",
            tool_calls=(
                ModelToolCall(id="c3", name="look", arguments={"at": "bed"}),
                ModelToolCall(id="c4", name="look", arguments={}),
            ),
            stop="tool_use",
            usage=USAGE,
        ),
    ),
    (
        Turn(calls=(("c5", "look", '{"at": '),), stop="tool_use"),
        ModelReply(
            text="",
            tool_calls=(ModelToolCall(id="c5", name="look", arguments={"_malformed": '{"at": '}),),
            stop="tool_use",
            usage=USAGE,
        ),
    ),
    (
        Turn(calls=(("c6", "look", "[1]"),), stop="tool_use"),
        ModelReply(
            text="",
            tool_calls=(ModelToolCall(id="c6", name="look", arguments={"_malformed": "[1]"}),),
            stop="tool_use",
            usage=USAGE,
        ),
    ),
    (Turn(text="cut of", stop="length"), ModelReply(text="cut of", stop="length", usage=USAGE)),
    (Turn(text="I will not.", stop="refusal"), ModelReply(text="I will not.", stop="refusal", usage=USAGE)),
)


async def test_the_same_script_gives_the_same_replies(provider: Provider, wire: WireServer, waits: Waits) -> None:
    wire.script.extend(turn for turn, _ in ANSWERS)
    async with client(provider, wire, waits.policy()) as model:
        replies = [await model.complete(TALK, tools=(TOOL,)) for _ in ANSWERS]
    assert replies == [reply for _, reply in ANSWERS]
    assert waits.seconds == []


async def test_a_whole_conversation_arrives_in_the_native_format(
    provider: Provider, wire: WireServer, waits: Waits
) -> None:
    async with client(provider, wire, waits.policy()) as model:
        await model.complete(TALK, tools=(TOOL,), max_output_tokens=77)
    heard = wire.heard[0]
    if provider == "anthropic":
        assert heard.path == "/v1/messages"
        sent_key = {heard.headers.get("x-api-key"), heard.headers.get("authorization")}  # differs between SDK versions
        assert sent_key & {KEY, f"Bearer {KEY}"}
        assert heard.body == ANTHROPIC_BODY
        return
    assert heard.path == "/v1/chat/completions"
    assert heard.headers["authorization"] == f"Bearer {KEY}"
    limit = "max_completion_tokens" if provider == "openai" else "max_tokens"
    assert heard.body == {**OPENAI_BODY, limit: 77}


def _openai_call(id_: str, arguments: str) -> Json:
    return {"id": id_, "type": "function", "function": {"name": "look", "arguments": arguments}}


OPENAI_BODY: dict[str, Json] = {
    "model": "m-x",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where is it?"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [_openai_call("c1", '{"at": "desk"}'), _openai_call("c2", '{"at": "shelf"}')],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a cup"},
        {"role": "tool", "tool_call_id": "c2", "content": "a book"},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA}}],
}
ANTHROPIC_BODY: dict[str, Json] = {
    "model": "m-x",
    "max_tokens": 77,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Where is it?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": "desk"}},
                {"type": "tool_use", "id": "c2", "name": "look", "input": {"at": "shelf"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "a cup"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "a book"},
                {"type": "text", "text": "And now?"},
            ],
        },
    ],
    "tools": [{"name": "look", "description": "Look.", "input_schema": SCHEMA}],
}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=408),
        Fault(status=409),
        Fault(status=429),
        Fault(status=500),
        Fault(status=503, body=b"<html>busy</html>"),
        Fault(status=529),
        Fault(is_half=True, body=b'{"id": "c-1", "choices": [{"mess'),
        Fault(body=b"<html>welcome</html>"),
        Fault(body=b'{"choices": []}'),
    ],
    ids=["408", "409", "429", "500", "503", "529", "half", "garbage", "empty"],
)
async def test_a_passing_fault_is_asked_again(
    provider: Provider, wire: WireServer, waits: Waits, fault: Scripted
) -> None:
    wire.script.extend([fault, fault, Turn(text="there")])
    async with client(provider, wire, waits.policy()) as model:
        reply = await model.complete(TALK)
    assert reply.text == "there"
    assert reply.usage.n_calls == 1
    assert len(wire.heard) == 3
    assert len(waits.seconds) == 2
    assert all(0 <= wait <= 60 for wait in waits.seconds)


async def test_a_retry_after_is_the_least_wait(provider: Provider, wire: WireServer, waits: Waits) -> None:
    wire.script.append(Fault(status=429, headers={"retry-after": "17"}))
    async with client(provider, wire, waits.policy()) as model:
        await model.complete(TALK)
    assert waits.seconds == [17.0]


async def test_a_provider_that_stays_away_is_unavailable(provider: Provider, wire: WireServer, waits: Waits) -> None:
    wire.script.extend([Fault(status=529)] * 9)
    async with client(provider, wire, waits.policy(attempts=3)) as model:
        with pytest.raises(ModelUnavailableError, match=r"529.*after 3 attempts"):
            await model.complete(TALK)
    assert len(wire.heard) == 3


async def test_an_answer_that_never_comes_is_a_timeout_and_asked_again(
    provider: Provider, wire: WireServer, waits: Waits
) -> None:
    wire.script.extend([Fault(is_silent=True), Turn(text="there")])
    async with client(provider, wire, waits.policy(), timeout_s=0.3) as model:
        assert (await model.complete(TALK)).text == "there"


async def test_nobody_listening_is_unavailable(provider: Provider, wire: WireServer, waits: Waits) -> None:
    async with client(provider, wire, waits.policy(attempts=2), origin="http://127.0.0.1:1") as model:
        with pytest.raises(ModelUnavailableError, match=r"(?i)connection"):
            await model.complete(TALK)
    assert len(waits.seconds) == 1


async def test_a_refused_request_is_an_error_at_once(provider: Provider, wire: WireServer, waits: Waits) -> None:
    wire.script.append(Fault(status=400, body=b'{"error":{"message":"too many words","type":"invalid_request_error"}}'))
    async with client(provider, wire, waits.policy()) as model:
        with pytest.raises(ModelError, match="too many words") as raised:
            await model.complete(TALK)
    assert not isinstance(raised.value, ModelUnavailableError)
    assert waits.seconds == []


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_wrong_key_or_model_is_unavailable_at_once_and_the_key_is_not_repeated(
    provider: Provider, wire: WireServer, waits: Waits, status: int
) -> None:
    wire.script.append(Fault(status=status, body=f'{{"error":{{"message":"bad key {KEY}"}}}}'.encode()))
    async with client(provider, wire, waits.policy()) as model:
        with pytest.raises(ModelUnavailableError, match="check both") as raised:
            await model.complete(TALK)
        assert KEY not in repr(model)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert waits.seconds == []


async def test_an_account_without_credit_is_not_asked_again(provider: Provider, wire: WireServer, waits: Waits) -> None:
    body = b'{"error":{"message":"You exceeded your current quota.","type":"t","code":"insufficient_quota"}}'
    wire.script.append(Fault(status=429, body=body))
    async with client(provider, wire, waits.policy()) as model:
        with pytest.raises(ModelUnavailableError, match="no credit"):
            await model.complete(TALK)
    assert waits.seconds == []
