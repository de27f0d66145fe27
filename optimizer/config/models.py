"""Models in `campaign.toml`: the agent's own, and those that work for the campaign."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from optimizer.config.kinds import EnvName, PositiveInt, Price, Section, Text, Url


class PriceSection(Section):
    """What tokens of the agent's model cost; without it the price list that is shipped is asked."""

    input_usd_per_m: Price
    """USD per million input tokens."""
    output_usd_per_m: Price
    """USD per million output tokens, reasoning included."""
    cached_usd_per_m: Price | None = None
    """USD per million input tokens served from the provider's cache; without it they cost as much as others."""


class ModelSection(Section):
    """The agent's own model, reached through the gateway."""

    provider: Literal["sim", "openai", "anthropic", "litellm"] = "sim"
    """`sim` is the simulated model that needs no key; `openai` speaks to any server with that wire format."""
    name: Text = "sim"
    """Name of the model as its provider knows it."""
    base_url: Url | None = None
    """Address of the server; without it the provider's own."""
    api_key_env: EnvName | None = None
    """Environment variable that holds the key; without it the provider's usual one. Never the key itself."""
    max_output_tokens: PositiveInt = 4096
    """Upper limit for one answer, whatever the harness asks for."""
    output_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How a chat completions server spells that limit; OpenAI's reasoning models know only `max_completion_tokens`."""
    max_concurrent: Annotated[int, Field(ge=1, le=4096)] = 64
    """Calls to the provider at the same time, over all rollouts; no part of a campaign's identity."""
    requests_per_minute: PositiveInt | None = None
    """Most requests to the provider per minute, retries included; no part of a campaign's identity."""
    tokens_per_minute: PositiveInt | None = None
    """Most tokens per minute, input and allowed output together; no part of a campaign's identity."""
    price: PriceSection | None = None
    """Prices of this model, where the shipped list is wrong or silent."""


class OwnModelSection(Section):
    """A model that hone itself asks: to propose, to diagnose, to judge."""

    provider: Literal["anthropic", "openai", "litellm"]
    """Client to call it with."""
    name: Text
    """Name of the model as its provider knows it."""
    base_url: Url | None = None
    """Address of the server; without it the provider's own."""
    api_key_env: EnvName | None = None
    """Environment variable that holds the key; without it the provider's usual one. Never the key itself."""
    max_output_tokens: PositiveInt = 16384
    """Upper limit for one answer."""
    price: PriceSection | None = None
    """Prices of this model, where the shipped list is wrong or silent."""
