"""Message logs in OpenAI's style: chat messages with tools and results, and the items of the responses API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optimizer.domain.json import Json, JsonObject
from optimizer.telemetry.conversation import turns_of
from optimizer.telemetry.imported import ImportedRun, Record
from optimizer.telemetry.spans import trace_of
from optimizer.telemetry.verdicts import group_of, task_of, tools_of, verdict_of

_ITEMS = frozenset({"message", "function_call", "function_call_output", "reasoning"})


def is_message_log(value: Json) -> bool:
    """`{"messages": [...]}`, a request and its reply, or a bare list of messages."""
    if isinstance(value, Mapping):
        return isinstance(value.get("messages"), list)
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping) and "role" in value[0]


def read_message_log(record: Record) -> Iterator[ImportedRun]:
    """One run. Raises UnreadableError."""
    value = record.value
    fields: JsonObject = value if isinstance(value, Mapping) else {}
    messages = fields.get("messages") if fields else value
    yield _run(record, fields, [*(messages if isinstance(messages, list) else ()), *_reply(fields)], is_items=False)


def is_item_log(value: Json) -> bool:
    """`{"input": [...], "output": [...]}`, `{"items": [...]}` or a bare list, of items of the responses API."""
    items = _items(value)
    return bool(items) and all(_is_item(item) for item in items)


def read_item_log(record: Record) -> Iterator[ImportedRun]:
    """One run. Raises UnreadableError."""
    fields: JsonObject = record.value if isinstance(record.value, Mapping) else {}
    messages: list[Json] = []
    instructions = fields.get("instructions")
    if isinstance(instructions, str) and instructions:
        messages.append({"role": "system", "content": instructions})
    for item in _items(record.value):
        if isinstance(item, Mapping):
            messages += _message_of_item(item)
    yield _run(record, fields, _with_calls_joined(messages), is_items=True)


def _run(record: Record, fields: JsonObject, messages: list[Json], *, is_items: bool) -> ImportedRun:
    tools = tools_of(fields.get("tools", fields.get("functions")))
    task = task_of(fields, record.sha)
    return ImportedRun(
        id=record.sha,
        origin=record.origin,
        format="responses" if is_items else "messages",
        task_id=task,
        group=group_of(fields, task),
        verdict=verdict_of(fields),
        tools=tools,
        trace=trace_of(turns_of(messages), tools),
    )


def _reply(fields: JsonObject) -> list[Json]:
    """The assistant's message where a log keeps request and reply side by side."""
    response = fields.get("response", fields)
    choices = response.get("choices") if isinstance(response, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    return [message] if isinstance(message, Mapping) else []


def _items(value: Json) -> list[Json]:
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping):
        return []
    found: list[Json] = []
    for key in ("input", "items", "output"):
        part = value.get(key)
        if isinstance(part, str) and key == "input":
            found.append({"type": "message", "role": "user", "content": part})
        found += part if isinstance(part, list) else []
    return found


def _is_item(item: Json) -> bool:
    return isinstance(item, Mapping) and (item.get("type") in _ITEMS or ("type" not in item and "role" in item))


def _message_of_item(item: JsonObject) -> Iterator[JsonObject]:
    kind = item.get("type", "message")
    if kind == "message":
        yield {"role": item.get("role"), "content": item.get("content")}
    elif kind == "function_call":
        call = {"id": item.get("call_id"), "name": item.get("name"), "arguments": item.get("arguments")}
        yield {"role": "assistant", "tool_calls": [call]}
    elif kind == "function_call_output":
        yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}


def _with_calls_joined(messages: list[Json]) -> list[Json]:
    """Parallel calls, which are items of their own, in one assistant message."""
    joined: list[Json] = []
    for message in messages:
        last = joined[-1] if joined else None
        if isinstance(last, Mapping) and isinstance(message, Mapping) and _are_calls(last) and _are_calls(message):
            joined[-1] = {"role": "assistant", "tool_calls": [*_calls(last), *_calls(message)]}
        else:
            joined.append(message)
    return joined


def _are_calls(message: JsonObject) -> bool:
    return message.get("role") == "assistant" and bool(_calls(message))


def _calls(message: JsonObject) -> list[Json]:
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) else []
