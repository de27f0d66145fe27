"""From a log of messages to spans: OpenAI chat messages, and the shapes that Anthropic and tau2 logs give them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.trace import Usage
from optimizer.telemetry.limits import MAX_MESSAGES, UnreadableError

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call as the model made it."""

    id: str
    name: str
    arguments: Json
    """An object; `{"_malformed": text}` when the model's text is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message, whatever its dialect."""

    role: Role
    text: str = ""
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    """role tool: the call it answers; '' when the log does not say."""
    name: str = ""
    """role tool: the tool, when the log says; assistant: the model."""
    is_error: bool = False
    usage: Usage = Usage()


class _Open(BaseModel):
    """What strangers write: the fields we know are checked, others are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Function(_Open):
    name: str
    arguments: JsonValue = None


class _Call(_Open):
    id: str | int | None = None
    name: str | None = None
    arguments: JsonValue = None
    function: _Function | None = None


class _Usage(_Open):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Message(_Open):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: JsonValue = None
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None
    tool_call_id: str | int | None = None
    id: str | int | None = None
    name: str | None = None
    model: str | None = None
    requestor: str | None = None
    error: JsonValue = None
    is_error: bool = False
    usage: _Usage | None = None


def turns_of(messages: Json) -> tuple[Turn, ...]:
    """All messages of a log.

    Raises:
        UnreadableError: not a list of messages, too many, or one of them is none.
    """
    if not isinstance(messages, list) or not messages:
        raise UnreadableError("no list of messages")
    if len(messages) > MAX_MESSAGES:
        raise UnreadableError(f"more than {MAX_MESSAGES:,} messages")
    turns: list[Turn] = []
    for place, spelled in enumerate(messages):
        try:
            message = _Message.model_validate(spelled)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "it"
            raise UnreadableError(f"message {place}: {where}: {first['msg']}") from error
        turns += _turns(message)
    return tuple(turns)


def _turns(message: _Message) -> Iterator[Turn]:
    if message.requestor == "user" and message.role == "tool":  # tau2: the customer's own phone, not the agent's tool
        return
    if message.role in {"tool", "function"}:
        text = text_of(message.content)
        is_error = message.is_error or bool(message.error) or is_refusal(text)
        call_id = message.tool_call_id if message.tool_call_id is not None else message.id
        yield Turn(role="tool", text=text, call_id=_id(call_id), name=message.name or "", is_error=is_error)
    elif message.role == "assistant":
        yield _assistant(message)
    elif message.role == "user":
        yield from _user(message)
    else:
        yield Turn(role="system", text=text_of(message.content))


def _assistant(message: _Message) -> Turn:
    calls = [_call(call) for call in message.tool_calls or ()]
    if message.function_call is not None:
        calls.append(_call(_Call(function=message.function_call)))
    calls += [
        Call(id=str(block.get("id", "")), name=str(block.get("name", "")), arguments=arguments_of(block.get("input")))
        for block in blocks(message.content, "tool_use")
    ]
    used = message.usage or _Usage()
    usage = Usage(input_tokens=used.prompt_tokens, output_tokens=used.completion_tokens, usd=None, n_calls=1)
    text = text_of(message.content)
    return Turn(role="assistant", text=text, calls=tuple(calls), name=message.model or "", usage=usage)


def _user(message: _Message) -> Iterator[Turn]:
    """A user's words; in Anthropic logs also the results of tools."""
    for block in blocks(message.content, "tool_result"):
        text = text_of(block.get("content"))
        is_error = block.get("is_error") is True or is_refusal(text)
        yield Turn(role="tool", text=text, call_id=str(block.get("tool_use_id", "")), is_error=is_error)
    text = text_of(message.content)
    n_calls = len(message.tool_calls or ())
    if text or n_calls or not blocks(message.content, "tool_result"):
        yield Turn(role="user", text=text or f"[the user does {n_calls} things]" if n_calls else text)


def _call(call: _Call) -> Call:
    function = call.function or _Function(name=call.name or "", arguments=call.arguments)
    return Call(id=_id(call.id), name=function.name, arguments=arguments_of(function.arguments))


def _id(value: str | int | None) -> str:
    return "" if value is None else str(value)


def arguments_of(value: Json) -> JsonObject:
    """Arguments as an object, however they are spelled."""
    if isinstance(value, str) and value.strip():
        try:
            inside = json.loads(value, parse_constant=str)
        except (ValueError, RecursionError):
            return {"_malformed": value}
        return inside if isinstance(inside, dict) else {"_malformed": value}
    return value if isinstance(value, Mapping) else {}


def blocks(content: Json, kind: str) -> list[JsonObject]:
    """The parts of a kind in content that is a list of parts."""
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, Mapping) and part.get("type") == kind]


def text_of(content: Json) -> str:
    """The words of a message; of a list of parts, those of its texts."""
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if isinstance(content, Sequence):
        return "\n".join(text for part in content if (text := _text_of_part(part)))
    return json.dumps(content, ensure_ascii=False)


def _text_of_part(part: Json) -> str:
    if isinstance(part, str):
        return part
    text = part.get("text", part.get("refusal")) if isinstance(part, Mapping) else None
    return text if isinstance(text, str) else ""


def is_refusal(text: str) -> bool:
    """Whether a tool's result says that the tool failed."""
    start = text[:200].lstrip().lower()
    if start.startswith(("error", "traceback (most recent call last)", "exception:")):
        return True
    if not start.startswith("{") or len(text) > 100_000:
        return False
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    failed = {said.get("success"), said.get("ok")} if _are_flags(said) else set()
    return bool(said.get("error")) or False in failed or said.get("status") in ("error", "failed")


def _are_flags(said: JsonObject) -> bool:
    return all(isinstance(said.get(key), bool | None) for key in ("success", "ok"))
