"""Clients of hone's own models on the loopback provider, for the rooms that ask them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from pydantic import SecretStr

from optimizer.domain.json import Json
from optimizer.domain.model import LanguageModel
from optimizer.models.anthropic_client import AnthropicClient
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.openai_client import OpenAIClient
from optimizer.models.prices import ModelPrice
from optimizer.models.retry import RetryPolicy
from tests.models.wire_server import Heard, Turn, WireServer

Provider = Literal["openai", "anthropic"]
PROVIDERS: tuple[Provider, ...] = ("openai", "anthropic")
PRICE = ModelPrice(input=1.0, cached_input=0.1, output=10.0)
TURN_USD = 134e-6
"""What one answer of the loopback provider costs at that price."""


async def _at_once(_: float) -> None:
    return


@asynccontextmanager
async def own_model(wire: WireServer, provider: Provider = "openai") -> AsyncIterator[LanguageModel]:
    """A real client; what passes is asked again at once, three times."""
    base = wire.origin if provider == "anthropic" else f"{wire.origin}/v1"
    endpoint = ModelEndpoint(model="m-x", key=SecretStr("sk-0123456789"), base_url=base, price=PRICE, timeout_s=10)
    kinds = {"openai": OpenAIClient, "anthropic": AnthropicClient}
    model = kinds[provider](endpoint, retry=RetryPolicy(attempts=3, sleep=_at_once))
    try:
        yield model
    finally:
        await model.close()


def call(tool: str, arguments: Json) -> Turn:
    """An answer through the tool."""
    return Turn(calls=(("c1", tool, json.dumps(arguments)),), stop="tool_use")


def spelled(tool: str, arguments: str) -> Turn:
    """An answer through the tool, spelled as the model likes."""
    return Turn(calls=(("c1", tool, arguments),), stop="tool_use")


def heard_text(heard: Heard) -> str:
    """All words of a request, system prompt included."""
    return json.dumps(heard.body, ensure_ascii=False)
