"""Reading what a model call carried, in any of the three wire formats; what is not understood is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from optimizer.domain.json import Json, JsonObject, canonical_json
from optimizer.domain.trace import Span

SYSTEM_ROLES = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """A tool call as the model wrote it."""

    id: str
    name: str
    raw: str
    """The arguments as text."""


def objects(value: Json) -> Iterator[JsonObject]:
    """The objects of a list; nothing where it is no list."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (one for one in value if isinstance(one, Mapping))


def text_of(value: Json) -> str:
    """Message content as text: a string, or the text parts of a list."""
    if isinstance(value, str):
        return value
    parts = (part.get("text") or part.get("content") for part in objects(value))
    return "\n".join(part for part in parts if isinstance(part, str))


def messages_of(span: Span) -> Iterator[JsonObject]:
    """The messages of a request."""
    if isinstance(span.input, Mapping):
        yield from objects(span.input.get("messages") or span.input.get("input"))


def system_of(span: Span) -> str:
    """System prompt of a request, wherever its format keeps it."""
    if not isinstance(span.input, Mapping):
        return ""
    parts = [text_of(span.input.get("system")), text_of(span.input.get("instructions"))]
    parts += [text_of(one.get("content")) for one in messages_of(span) if one.get("role") in SYSTEM_ROLES]
    return "\n".join(filter(None, parts))


def first_words(span: Span) -> str:
    """The first user message of a request."""
    return next((text_of(one.get("content")) for one in messages_of(span) if one.get("role") == "user"), "")


def schemas_of(span: Span) -> Iterator[tuple[str, JsonObject]]:
    """Name and argument schema of each tool a request offers."""
    if not isinstance(span.input, Mapping):
        return
    for entry in objects(span.input.get("tools")):
        inner = entry.get("function")
        tool = inner if isinstance(inner, Mapping) else entry
        name, schema = tool.get("name"), tool.get("parameters") or tool.get("input_schema")
        if isinstance(name, str):
            yield name, schema if isinstance(schema, Mapping) else {}


def requested_in(span: Span) -> Iterator[Requested]:
    """The tool calls of an assistant message."""
    if not isinstance(span.output, Mapping):
        return
    for entry in objects(span.output.get("tool_calls")):
        inner = entry.get("function")
        call = inner if isinstance(inner, Mapping) else entry
        name, arguments = call.get("name"), call.get("arguments")
        if isinstance(name, str):
            raw = arguments if isinstance(arguments, str) else canonical_json(arguments)
            yield Requested(id=str(entry.get("id", "")), name=name, raw=raw)


def results_in(span: Span) -> Iterator[tuple[str, str]]:
    """Call id and text of each tool result a request carries."""
    for message in messages_of(span):
        if message.get("role") == "tool":
            yield str(message.get("tool_call_id", "")), text_of(message.get("content"))


def parsed(raw: str) -> JsonObject | None:
    """Arguments as an object; None when the text is not one."""
    try:
        value = json.loads(raw or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def texts_of(span: Span) -> Iterator[str]:
    """Everything a quotation may be taken from: name, each text in a span, and its structures spelled canonically."""
    yield span.name
    for value in (span.input, span.output):
        yield from _leaves(value)
        if not isinstance(value, str):
            yield canonical_json(value)


def is_quoted(evidence: str, span: Span) -> bool:
    """Whether a quotation occurs in a span, character by character."""
    return bool(evidence) and any(evidence in text for text in texts_of(span))


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, Sequence):
        for one in value:
            yield from _leaves(one)
