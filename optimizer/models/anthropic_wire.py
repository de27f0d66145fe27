"""The Anthropic messages format: our messages into it, its answer out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag, ValidationError

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import Message, ModelReply, ModelTool, ModelToolCall
from optimizer.domain.trace import Usage
from optimizer.models.openai_wire import not_an_answer
from optimizer.models.prices import ModelPrice

_STOPS: dict[str, Literal["end", "tool_use", "length", "refusal"]] = {
    "tool_use": "tool_use",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Usage(_Read):
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Text(_Read):
    text: str


class _ToolUse(_Read):
    id: str
    name: str
    input: JsonValue


class _Other(_Read):
    """Thinking and whatever comes next: not ours to read."""


def _kind(block: JsonValue) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) and kind in {"text", "tool_use"} else "other"


_Block = Annotated[
    Annotated[_Text, Tag("text")] | Annotated[_ToolUse, Tag("tool_use")] | Annotated[_Other, Tag("other")],
    Discriminator(_kind),
]


class Answer(_Read):
    """An answer, as far as we read it."""

    type: Literal["message"]
    content: list[_Block] = Field(default_factory=list)
    stop_reason: str | None = None
    usage: _Usage


def read_answer(text: str | bytes) -> Answer:
    """Parse an answer. Raises TransientError for what is none."""
    try:
        return Answer.model_validate_json(text)
    except ValidationError as error:
        raise not_an_answer(text, error) from error


def reply_of(answer: Answer, price: ModelPrice | None) -> ModelReply:
    """The answer in our words."""
    return ModelReply(
        text="".join(block.text for block in answer.content if isinstance(block, _Text)),
        tool_calls=tuple(
            ModelToolCall(id=block.id, name=block.name, arguments=_arguments(block.input))
            for block in answer.content
            if isinstance(block, _ToolUse)
        ),
        stop=_STOPS.get(answer.stop_reason or "", "end"),
        usage=usage_of_answer(answer, price),
    )


def _arguments(given: Json) -> JsonObject:
    return given if isinstance(given, dict) else {"_malformed": given if isinstance(given, str) else json.dumps(given)}


def usage_of_answer(answer: Answer, price: ModelPrice | None) -> Usage:
    """Metered usage, to the token as the provider counts."""
    counted = answer.usage
    n_read, n_written = counted.cache_read_input_tokens or 0, counted.cache_creation_input_tokens or 0
    usage = Usage(
        input_tokens=counted.input_tokens + n_read + n_written,
        cached_tokens=n_read,
        output_tokens=counted.output_tokens,
        n_calls=1,
    )
    return replace(usage, usd=price.usd(usage, n_cache_write_tokens=n_written) if price else None)


def system_body(messages: tuple[Message, ...]) -> list[JsonObject]:
    """The system block, marked as worth caching: it is the same in every call of a session."""
    text = "\n\n".join(message.text for message in messages if message.role == "system")
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}] if text else []


def messages_body(messages: tuple[Message, ...]) -> list[JsonObject]:
    """The other messages; neighbours of one role are one message, as the format asks for turns."""
    turns: list[tuple[str, list[Json]]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if not turns or turns[-1][0] != role:
            turns.append((role, []))
        turns[-1][1].extend(_blocks(message))
    return [{"role": role, "content": blocks} for role, blocks in turns if blocks]


def _blocks(message: Message) -> Iterator[JsonObject]:
    if message.role == "tool":
        yield {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.text}
        return
    if message.text:
        yield {"type": "text", "text": message.text}
    for call in message.tool_calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments}


def tools_body(tools: tuple[ModelTool, ...]) -> list[JsonObject]:
    """Our tools on the wire."""
    return [{"name": tool.name, "description": tool.description, "input_schema": tool.parameters} for tool in tools]
