"""The Anthropic messages request as a harness may send it, and as it goes upstream.

The allow-list is the contract, as in `chat_request`: no server tools, no remote images or files, no metadata, no
containers, no hour-long cache (which costs more to write).
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field, JsonValue

from optimizer.domain.errors import ModelError
from optimizer.domain.json import JsonObject, content_hash
from optimizer.gateway.chat_request import ModelRoute, PinnedRequest, checked, pinned_chat, worst_case
from optimizer.gateway.http import RequestRefusedError
from optimizer.gateway.wire import Exact, Lax
from optimizer.models.chat_messages import chat_from_messages


class _CacheControl(Exact):
    type: Literal["ephemeral"]
    ttl: Literal["5m"] | None = None


class _Cached(Lax):
    cache_control: _CacheControl | None = None


class _Text(_Cached):
    type: Literal["text"]
    text: str


class _Source(Exact):
    type: Literal["base64"]
    media_type: Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
    data: str


class _Image(_Cached):
    type: Literal["image"]
    source: _Source


class _ToolUse(_Cached):
    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, JsonValue]


class _ToolResult(_Cached):
    type: Literal["tool_result"]
    tool_use_id: str
    content: str | list[Annotated[_Text | _Image, Field(discriminator="type")]] | None = None
    is_error: bool | None = None


class _Thought(Lax):
    type: Literal["thinking"]
    thinking: str
    signature: str


class _HiddenThought(Lax):
    type: Literal["redacted_thinking"]
    data: str


_Block = Annotated[
    _Text | _Image | _ToolUse | _ToolResult | _Thought | _HiddenThought,
    Field(discriminator="type"),
]


class _Turn(Exact):
    role: Literal["user", "assistant"]
    content: str | list[_Block]


class _Tool(Exact):
    type: Literal["custom"] | None = None
    name: str
    description: str | None = None
    input_schema: dict[str, JsonValue]
    strict: bool | None = None
    cache_control: _CacheControl | None = None


class _Choice(Exact):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Thinking(Exact):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, Field(ge=1)] | None = None
    display: str | None = None


class MessagesRequest(Exact):
    """Messages request: every parameter a harness may use."""

    model: str
    max_tokens: Annotated[int, Field(ge=1)]
    messages: Annotated[list[_Turn], Field(min_length=1)]
    system: str | list[_Text] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    thinking: _Thinking | None = None
    stream: bool | None = None


def pin_messages(body: JsonObject, route: ModelRoute, *, is_native: bool) -> PinnedRequest:
    """Check a harness's messages request and turn it into the one that goes upstream.

    Raises:
        RequestRefusedError: 400, saying which parameter and what is allowed.
    """
    request = checked(MessagesRequest, body, route)
    limit = min(request.max_tokens, route.max_output_tokens)
    said = cast("JsonObject", request.model_dump(exclude_none=True, exclude={"stream"}))
    is_streamed = bool(request.stream)
    try:
        chat = chat_from_messages(_without_native_wishes(said) if is_native else said)
    except ModelError as error:
        raise RequestRefusedError(400, "not_translatable", str(error)) from error
    translated = pinned_chat(chat, limit, route, is_streamed=is_streamed, is_usage_streamed=True)
    if not is_native:
        return translated
    sent = {**said, "model": route.upstream_name or route.name, "max_tokens": limit}
    return PinnedRequest(
        wire="messages",
        body=sent,
        shown=translated.shown,
        hash=content_hash("messages", sent, length=32),
        worst_case=worst_case(sent, limit, route.price, is_cache_written=True),
        is_streamed=is_streamed,
        is_usage_streamed=True,
    )


def _without_native_wishes(said: JsonObject) -> JsonObject:
    """What a trace shows of a request that is not translated."""
    return {name: value for name, value in said.items() if name not in {"thinking", "top_k"}}
