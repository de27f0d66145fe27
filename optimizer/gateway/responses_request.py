"""The OpenAI responses request as a harness may send it, and as it goes upstream.

The allow-list is the contract, as in `chat_request`: nothing that keeps state at the provider (`store`,
`previous_response_id`, `conversation`, `background`), no hosted tools, no remote images or files.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Discriminator, Field, JsonValue, Tag

from optimizer.domain.errors import ModelError
from optimizer.domain.json import JsonObject, content_hash
from optimizer.gateway.chat_request import ModelRoute, PinnedRequest, checked, pinned_chat, worst_case
from optimizer.gateway.http import RequestRefusedError
from optimizer.gateway.wire import Exact, Lax
from optimizer.models.chat_responses import chat_from_responses


class _Text(Lax):
    type: Literal["input_text", "output_text"]
    text: str


class _Refusal(Lax):
    type: Literal["refusal"]
    refusal: str


class _Image(Exact):
    type: Literal["input_image"]
    image_url: Annotated[str, Field(pattern="^data:image/")]
    detail: Literal["auto", "low", "high"] | None = None


_Part = Annotated[_Text | _Refusal | _Image, Field(discriminator="type")]


class _Message(Lax):
    type: Literal["message"] | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[_Part]


class _Call(Lax):
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str


class _CallOutput(Lax):
    type: Literal["function_call_output"]
    call_id: str
    output: str | list[_Text]


class _Reasoning(Lax):
    type: Literal["reasoning"]
    id: str
    summary: list[JsonValue] = Field(default_factory=list)
    encrypted_content: str | None = None


_ITEMS = {"message", "function_call", "function_call_output", "reasoning"}


def _kind(item: JsonValue | Lax) -> str | None:
    found = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", None)
    return found if isinstance(found, str) and found in _ITEMS else None


_Item = Annotated[
    Annotated[_Message, Tag("message")]
    | Annotated[_Call, Tag("function_call")]
    | Annotated[_CallOutput, Tag("function_call_output")]
    | Annotated[_Reasoning, Tag("reasoning")],
    Discriminator(
        _kind,
        custom_error_type="unknown_item",
        custom_error_message="Input items are message, function_call, function_call_output and reasoning",
    ),
]


class _Tool(Exact):
    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None
    strict: bool | None = None


class _NamedTool(Exact):
    type: Literal["function"]
    name: str


class _Format(Exact):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema_: Annotated[dict[str, JsonValue] | None, Field(alias="schema")] = None
    strict: bool | None = None


class _TextOptions(Exact):
    format: _Format | None = None
    verbosity: str | None = None


class _ReasoningOptions(Exact):
    effort: str | None = None
    summary: str | None = None


class _StreamOptions(Exact):
    include_obfuscation: bool | None = None


class ResponsesRequest(Exact):
    """Responses request: every parameter a harness may use."""

    model: str
    input: str | Annotated[list[_Item], Field(min_length=1)]
    instructions: str | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _NamedTool | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    text: _TextOptions | None = None
    reasoning: _ReasoningOptions | None = None
    include: list[Literal["reasoning.encrypted_content"]] | None = None
    truncation: Literal["disabled"] | None = None
    store: Literal[False] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


def pin_responses(body: JsonObject, route: ModelRoute, *, is_native: bool) -> PinnedRequest:
    """Check a harness's responses request and turn it into the one that goes upstream.

    Raises:
        RequestRefusedError: 400, saying which parameter and what is allowed.
    """
    request = checked(ResponsesRequest, body, route)
    limit = min(request.max_output_tokens or route.max_output_tokens, route.max_output_tokens)
    dumped = request.model_dump(exclude_none=True, by_alias=True, exclude={"stream", "stream_options"})
    said = cast("JsonObject", dumped)
    is_streamed = bool(request.stream)
    try:
        chat = chat_from_responses(said)
    except ModelError as error:
        raise RequestRefusedError(400, "not_translatable", str(error)) from error
    translated = pinned_chat(chat, limit, route, is_streamed=is_streamed, is_usage_streamed=True)
    if not is_native:
        return translated
    sent = {**said, "model": route.upstream_name or route.name, "max_output_tokens": limit, "store": False}
    return PinnedRequest(
        wire="responses",
        body=sent,
        shown=translated.shown,
        hash=content_hash("responses", sent, length=32),
        worst_case=worst_case(sent, limit, route.price),
        is_streamed=is_streamed,
        is_usage_streamed=True,
    )
