"""The OpenAI chat-completions request as a harness may send it, and as it goes upstream.

The allow-list is the contract: a parameter that is not here could store data at the provider, reach the network from
there (hosted tools, remote image URLs) or change what a call costs.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeVar, cast

from pydantic import Field, JsonValue, ValidationError

from optimizer.domain.json import JsonObject, canonical_json, content_hash
from optimizer.domain.model import WireFormat
from optimizer.domain.trace import Usage
from optimizer.gateway.http import RequestRefusedError
from optimizer.gateway.wire import Exact, Lax, problems_of
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


class _TextPart(Lax):
    type: Literal["text"]
    text: str


class _RefusalPart(Lax):
    type: Literal["refusal"]
    refusal: str


class _ImageUrl(Exact):
    url: Annotated[str, Field(pattern="^data:image/")]
    detail: Literal["auto", "low", "high"] | None = None


class _ImagePart(Exact):
    type: Literal["image_url"]
    image_url: _ImageUrl


_Content = Annotated[_TextPart | _RefusalPart | _ImagePart, Field(discriminator="type")]


class _CalledFunction(Lax):
    name: str
    arguments: str


class _Call(Lax):
    id: str
    type: Literal["function"] = "function"
    function: _CalledFunction


class _ChatMessage(Lax):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Content] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


class _Function(Exact):
    name: str
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class _Tool(Exact):
    type: Literal["function"]
    function: _Function


class _StreamOptions(Exact):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(Exact):
    """Chat completion request: every parameter a harness may use."""

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

    wire: WireFormat
    """The format it goes upstream in."""
    body: JsonObject
    shown: JsonObject
    """The same request as chat completions: what a trace shows, whatever the harness speaks."""
    hash: str
    """Of the canonical body: equal for byte-identical requests, streamed or not."""
    worst_case: Usage
    """The most it may take."""
    is_streamed: bool
    is_usage_streamed: bool


_Request = TypeVar("_Request", bound=Exact)


def checked(kind: type[_Request], body: JsonObject, route: ModelRoute) -> _Request:
    """A harness's request, held against the allow-list of its format.

    Raises:
        RequestRefusedError: 400, saying which parameter and what is allowed.
    """
    for parameter in body:
        if parameter not in kind.model_fields:
            raise RequestRefusedError(400, "parameter_not_allowed", _not_allowed(parameter, kind))
    if body.get("model") != route.name:
        asked = str(body.get("model"))[:100]
        message = f"model {asked!r} is not available here, send {route.name!r} (`session.model`)"
        raise RequestRefusedError(400, "model_not_allowed", message)
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        name = (kind.__doc__ or "").partition(":")[0].lower()
        raise RequestRefusedError(400, "bad_request", f"not a {name}: {problems_of(error)}") from error


def pin(body: JsonObject, route: ModelRoute) -> PinnedRequest:
    """Check a harness's chat completions request and turn it into the one that goes upstream.

    Raises:
        RequestRefusedError: 400, saying which parameter and what is allowed.
    """
    request = checked(ChatRequest, body, route)
    sent = cast("JsonObject", request.model_dump(exclude_none=True, exclude=_NOT_SENT))
    options = request.stream_options
    return pinned_chat(
        sent,
        min(
            request.max_completion_tokens or route.max_output_tokens,
            request.max_tokens or route.max_output_tokens,
            route.max_output_tokens,
        ),
        route,
        is_streamed=bool(request.stream),
        is_usage_streamed=bool(options and options.include_usage),
    )


def pinned_chat(
    chat: JsonObject, limit: int, route: ModelRoute, *, is_streamed: bool, is_usage_streamed: bool = False
) -> PinnedRequest:
    """A chat completions request, said or translated, with the campaign's model and output limit."""
    said = {name: value for name, value in chat.items() if name not in _NOT_SENT}
    sent = said | {"model": route.upstream_name or route.name, route.output_limit_field: limit}
    return PinnedRequest(
        wire="chat",
        body=sent,
        shown=sent,
        hash=content_hash(sent, length=32),
        worst_case=worst_case(sent, limit, route.price),
        is_streamed=is_streamed,
        is_usage_streamed=is_usage_streamed,
    )


def worst_case(sent: JsonObject, limit: int, price: ModelPrice | None, *, is_cache_written: bool = False) -> Usage:
    """The most a request may take: every byte of it guessed high, all of its output used."""
    n_input = len(canonical_json(sent).encode("utf-8")) // _BYTES_PER_TOKEN
    usage = Usage(input_tokens=n_input, output_tokens=limit, n_calls=1)
    n_written = n_input if is_cache_written else 0
    return replace(usage, usd=price.usd(usage, n_cache_write_tokens=n_written) if price else None)


def _not_allowed(parameter: str, kind: type[Exact]) -> str:
    allowed = sorted(kind.model_fields)
    nearest = difflib.get_close_matches(parameter, allowed, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"parameter {parameter[:100]!r} is not allowed here; {hint}allowed: {', '.join(allowed)}"
