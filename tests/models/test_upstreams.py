from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import anyio
import pytest
from pydantic import SecretStr

from optimizer.domain.errors import ModelError, ModelUnavailableError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext, Upstream
from optimizer.domain.trace import Usage
from optimizer.models.chat_messages import messages_from_chat
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.prices import ModelPrice
from optimizer.models.retry import RetryPolicy
from optimizer.models.upstream_anthropic import AnthropicUpstream
from optimizer.models.upstream_litellm import LiteLLMUpstream
from optimizer.models.upstream_openai import OpenAIUpstream
from tests.models.conftest import Waits
from tests.models.wire_server import Fault, Turn, WireServer, openai_body

pytestmark = pytest.mark.anyio

KEY = "sk-very-hidden-0123456789"
REQUEST: JsonObject = {"model": "m-x", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
CONTEXT = CallContext(task_id="task-7", luck="task-7/val/0", occurrence=0)

Kind = Literal["http", "anthropic", "litellm"]


@pytest.fixture(params=["http", "anthropic", "litellm"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@asynccontextmanager
async def upstream(kind: Kind, wire: WireServer, retry: RetryPolicy, timeout_s: float = 10) -> AsyncIterator[Upstream]:
    endpoint = ModelEndpoint(
        model="openai/m-x" if kind == "litellm" else "m-x",
        key=SecretStr(KEY),
        base_url=wire.origin if kind == "anthropic" else f"{wire.origin}/v1",
        price=ModelPrice(input=1.0, cached_input=0.1, output=10.0),
        timeout_s=timeout_s,
    )
    kinds = {"http": OpenAIUpstream, "anthropic": AnthropicUpstream, "litellm": LiteLLMUpstream}
    made: Upstream = kinds[kind](endpoint, retry=retry)
    try:
        yield made
    finally:
        await made.close()


async def test_a_request_goes_on_unchanged_and_the_answer_comes_back_metered(
    kind: Kind, wire: WireServer, waits: Waits
) -> None:
    turn = Turn(text="hé", calls=(("c1", "look", "{}"),), stop="tool_use")
    wire.script.append(turn)
    async with upstream(kind, wire, waits.policy()) as model:
        assert model.is_external
        reply = await model.chat(REQUEST, CONTEXT)
    key = "x-api-key" if kind == "anthropic" else "authorization"
    assert wire.heard[0].body == (messages_from_chat(REQUEST) if kind == "anthropic" else REQUEST)
    assert wire.heard[0].headers[key].endswith(KEY)
    assert "task-7" not in repr(wire.heard)
    assert reply.usage == Usage(input_tokens=100, cached_tokens=40, output_tokens=7, usd=134e-6, n_calls=1)
    if kind == "http":
        assert reply.body == openai_body(turn)


async def test_passing_faults_are_asked_again_and_tokens_agree_with_the_provider(
    kind: Kind, wire: WireServer, waits: Waits
) -> None:
    faults = [
        Fault(status=429, headers={"retry-after": "3"}),
        Fault(status=529),
        Fault(is_half=True, body=b'{"id"'),
        Fault(body=b"?"),
        Fault(status=500),
    ]
    for n, fault in enumerate(faults):
        wire.script.extend([fault, Turn(text="ok", n_input=50 + n, n_output=n)])
    async with upstream(kind, wire, waits.policy()) as model:
        usages = [(await model.chat(REQUEST, CONTEXT)).usage for _ in faults]
    assert sum(usage.tokens for usage in usages) == wire.n_tokens
    assert len(waits.seconds) == len(faults)
    assert waits.seconds[0] == 3.0


async def test_a_provider_that_stays_away_is_unavailable(kind: Kind, wire: WireServer, waits: Waits) -> None:
    wire.script.extend([Fault(is_silent=True)] * 2)
    async with upstream(kind, wire, waits.policy(attempts=2), timeout_s=0.2) as model:
        with pytest.raises(ModelUnavailableError, match="after 2 attempts"):
            await model.chat(REQUEST, CONTEXT)


async def test_a_refused_request_is_a_model_error(kind: Kind, wire: WireServer, waits: Waits) -> None:
    wire.script.append(Fault(status=400, body=b'{"error":{"message":"context too long"}}'))
    async with upstream(kind, wire, waits.policy()) as model:
        with pytest.raises(ModelError, match="context too long") as raised:
            await model.chat(REQUEST, CONTEXT)
    assert not isinstance(raised.value, ModelUnavailableError)


async def test_the_key_is_in_no_error(kind: Kind, wire: WireServer, waits: Waits) -> None:
    wire.script.append(Fault(status=401, body=f'{{"error":{{"message":"bad key {KEY}"}}}}'.encode()))
    async with upstream(kind, wire, waits.policy()) as model:
        with pytest.raises(ModelUnavailableError) as raised:
            await model.chat(REQUEST, CONTEXT)
    assert KEY not in "".join(traceback.format_exception(raised.value))


async def test_an_answer_without_usage_cannot_be_metered(wire: WireServer, waits: Waits) -> None:
    wire.script.append(Fault(body=b'{"choices":[{"message":{"role":"assistant","content":"x"}}]}'))
    async with upstream("http", wire, waits.policy()) as model:
        with pytest.raises(ModelUnavailableError, match="no token usage"):
            await model.chat(REQUEST, CONTEXT)
    assert waits.seconds == []


async def test_many_calls_at_once_are_all_answered(wire: WireServer, waits: Waits) -> None:
    texts: list[str] = []

    async with upstream("http", wire, waits.policy()) as model:

        async def call() -> None:
            texts.append(str((await model.chat(REQUEST, CONTEXT)).body["model"]))

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(call)
    assert texts == ["served"] * 50


async def test_an_upstream_without_an_address_is_refused() -> None:
    with pytest.raises(ModelError, match="base URL"):
        OpenAIUpstream(ModelEndpoint(model="m"))


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
async def test_a_passing_status_is_asked_again(kind: Kind, wire: WireServer, waits: Waits, status: int) -> None:
    wire.script.append(Fault(status=status))
    async with upstream(kind, wire, waits.policy()) as model:
        reply = await model.chat(REQUEST, CONTEXT)
    assert reply.usage.tokens == wire.n_tokens
    assert (len(wire.heard), len(waits.seconds)) == (2, 1)


async def test_an_answer_that_never_comes_is_asked_again(kind: Kind, wire: WireServer, waits: Waits) -> None:
    wire.script.append(Fault(is_silent=True))
    async with upstream(kind, wire, waits.policy(), timeout_s=0.3) as model:
        assert (await model.chat(REQUEST, CONTEXT)).usage.n_calls == 1
    assert len(waits.seconds) == 1
