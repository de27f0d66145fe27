"""The OpenAI chat-completions request as a harness may send it, and as it goes upstream.

The allow-list is the contract: a parameter that is not here could store data at the provider, reach the network from
there (hosted tools, remote image URLs) or change what a call costs.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from optimizer.domain.json import JsonObject, canonical_json, content_hash
from optimizer.domain.trace import Usage
from optimizer.gateway.http import RequestRefusedError
from optimizer.gateway.wire import problems_of
from optimizer.models.prices import ModelPrice

_BYTES_PER_TOKEN = 3
"""A low guess, so that the estimate is high: English has about four, and Chinese three, per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRoute:
    """The one model a campaign's harnesses reach, whatever they ask for."""

    name: str
    """What a harness must send as `model`, and learns from its session."""
    max_output_tokens: int = 4096
    """Upper limit per call, and the value when the harness names none."""
    price: ModelPrice | None = None
    """None: unknown, which is allowed only without a USD cap."""
    upstream_name: str = ""
    """The provider's name for it; empty: the same name."""
    output_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How the provider spells the output limit; OpenAI's reasoning models know only the second."""
    is_luck_shared: bool = True
    """Whether harness versions may be served each other's recordings of byte-identical requests."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Lax(_Part):
    """Part of an echoed reply: what an SDK or a provider adds to it (nulls, annotations) is left out, not refused."""


class _Exact(_Part):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _TextPart(_Lax):
    type: Literal["text"]
    text: str


class _RefusalPart(_Lax):
    type: Literal["refusal"]
    refusal: str


class _ImageUrl(_Exact):
    url: Annotated[str, Field(pattern="^data:image/")]
    detail: Literal["auto", "low", "high"] | None = None


class _ImagePart(_Exact):
    type: Literal["image_url"]
    image_url: _ImageUrl


_Content = Annotated[_TextPart | _RefusalPart | _ImagePart, Field(discriminator="type")]


class _CalledFunction(_Lax):
    name: str
    arguments: str


class _Call(_Lax):
    id: str
    type: Literal["function"] = "function"
    function: _CalledFunction


class _ChatMessage(_Lax):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Content] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Function(_Exact):
    name: str
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class _Tool(_Exact):
    type: Literal["function"]
    function: _Function


class _StreamOptions(_Exact):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(_Exact):
    """Every parameter a harness may use."""

    model: str
    messages: Annotated[list[_ChatMessage], Field(min_length=1)]
    tools: list[_Tool] | None = None
    tool_choice: JsonValue = None
    parallel_tool_calls: bool | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: Literal[1] | None = None
    response_format: dict[str, JsonValue] | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_NOT_SENT = {"model", "max_tokens", "max_completion_tokens", "stream", "stream_options", "n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedRequest:
    """A request that is ready to go upstream: allowed parameters only, the campaign's model, a bounded output."""

    body: JsonObject
    hash: str
    """Of the canonical body: equal for byte-identical requests, streamed or not."""
    worst_case: Usage
    """The most it may take."""
    is_streamed: bool
    is_usage_streamed: bool


def pin(body: JsonObject, route: ModelRoute) -> PinnedRequest:
    """Check a harness's request and turn it into the one that goes upstream.

    Raises:
        RequestRefusedError: 400, saying which parameter and what is allowed.
    """
    for parameter in body:
        if parameter not in ChatRequest.model_fields:
            raise RequestRefusedError(400, "parameter_not_allowed", _not_allowed(parameter))
    if body.get("model") != route.name:
        asked = str(body.get("model"))[:100]
        message = f"model {asked!r} is not available here, send {route.name!r} (`session.model`)"
        raise RequestRefusedError(400, "model_not_allowed", message)
    try:
        request = ChatRequest.model_validate(body)
    except ValidationError as error:
        raise RequestRefusedError(400, "bad_request", f"not a chat completion request: {problems_of(error)}") from error
    return _pinned(request, route)


def _pinned(request: ChatRequest, route: ModelRoute) -> PinnedRequest:
    limit = min(
        request.max_completion_tokens or route.max_output_tokens,
        request.max_tokens or route.max_output_tokens,
        route.max_output_tokens,
    )
    sent = request.model_dump(exclude_none=True, exclude=_NOT_SENT)
    sent["model"] = route.upstream_name or route.name
    sent[route.output_limit_field] = limit
    options = request.stream_options
    n_input = len(canonical_json(sent).encode("utf-8")) // _BYTES_PER_TOKEN
    return PinnedRequest(
        body=cast("JsonObject", sent),
        hash=content_hash(sent, length=32),
        worst_case=_worst_case(n_input, limit, route.price),
        is_streamed=bool(request.stream),
        is_usage_streamed=bool(options and options.include_usage),
    )


def _worst_case(n_input: int, n_output: int, price: ModelPrice | None) -> Usage:
    usage = Usage(input_tokens=n_input, output_tokens=n_output, n_calls=1)
    return replace(usage, usd=price.usd(usage) if price else None)


def _not_allowed(parameter: str) -> str:
    allowed = sorted(ChatRequest.model_fields)
    nearest = difflib.get_close_matches(parameter, allowed, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"parameter {parameter[:100]!r} is not allowed here; {hint}allowed: {', '.join(allowed)}"
