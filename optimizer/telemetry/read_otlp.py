"""OTLP/JSON Lines (`resourceSpans`) with OpenInference or `gen_ai.*` attributes.

Spans of a trace may be spread over the lines of a file in any order, so a file is read to its end. The conversation is
that of the model call with the most messages, its reply included: an agent whose calls each start afresh, or a team of
agents, is seen in part. Spellings: camelCase as the specification has it, and snake_case as some exporters write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from optimizer.domain.json import Json, JsonObject, content_hash
from optimizer.telemetry.conversation import turns_of
from optimizer.telemetry.imported import ImportedRun, Origin, Problem, Record, Verdict
from optimizer.telemetry.limits import MAX_MESSAGES, UnreadableError
from optimizer.telemetry.spans import trace_of
from optimizer.telemetry.verdicts import tools_of

MAX_SPANS = 1_000_000
"""Of one file."""
_ERROR = (2, "STATUS_CODE_ERROR")
_FLAT = re.compile(r"^llm\.(input|output)_messages\.(\d{1,5})\.message\.(.+)$")
_CALL = re.compile(r"^tool_calls\.(\d{1,4})\.tool_call\.(id|function\.name|function\.arguments)$")
_GROUPS = ("session.id", "gen_ai.conversation.id", "user.id")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    trace: str
    is_root: bool
    is_error: bool
    fields: JsonObject
    origin: Origin


def is_otlp(value: Json) -> bool:
    """An export of spans."""
    return isinstance(value, Mapping) and isinstance(_get(value, "resourceSpans"), list)


class OtlpFile:
    """All spans of one file."""

    def __init__(self) -> None:
        self._traces: dict[str, list[_Span]] = {}
        self._n_spans = 0

    def add(self, record: Record) -> Iterator[Problem]:
        """Take in one line; a problem when the file holds too many spans."""
        for spelled in _spans(record.value):
            self._n_spans += 1
            if self._n_spans > MAX_SPANS:
                yield Problem(origin=record.origin, message=f"more than {MAX_SPANS:,} spans; the rest is not read")
                return
            span = _span(spelled, record.origin)
            self._traces.setdefault(span.trace, []).append(span)

    def runs(self) -> Iterator[ImportedRun | Problem]:
        """One run per trace that has a model call with messages."""
        for trace, spans in self._traces.items():
            try:
                yield _run(trace, spans)
            except UnreadableError as error:
                yield Problem(origin=spans[0].origin, message=f"trace {trace[:40]}: {error}")


def _run(trace: str, spans: list[_Span]) -> ImportedRun:
    calls = [(span, messages) for span in spans if (messages := _messages(span.fields))]
    if not calls:
        raise UnreadableError("no model call with messages")
    longest, messages = max(calls, key=lambda call: len(call[1]))
    tools = tools_of(_tools(longest.fields))
    is_failed = any(span.is_root and span.is_error for span in spans)
    group = next((str(g) for s in spans for key in _GROUPS if isinstance(g := s.fields.get(key), str)), trace)
    return ImportedRun(
        id=content_hash(trace),
        origin=spans[0].origin,
        format="otlp",
        task_id=trace,
        group=group[:200],
        verdict=Verdict(outcome="failed" if is_failed else "unknown"),
        tools=tools,
        trace=trace_of(turns_of(messages), tools),
    )


def _spans(value: Json) -> Iterator[JsonObject]:
    for resource in _objects(value, "resourceSpans"):
        for scope in _objects(resource, "scopeSpans"):
            yield from _objects(scope, "spans")


def _span(spelled: JsonObject, origin: Origin) -> _Span:
    status = _get(spelled, "status")
    fields = {str(one.get("key")): _value(_get(one, "value")) for one in _objects(spelled, "attributes")}
    return _Span(
        trace=str(_get(spelled, "traceId") or ""),
        is_root=not _get(spelled, "parentSpanId"),
        is_error=isinstance(status, Mapping) and status.get("code") in _ERROR,
        fields=fields,
        origin=origin,
    )


def _messages(fields: JsonObject) -> list[Json]:
    """Messages of a model call: flattened ones first, else the lists that `gen_ai.*` spells as JSON."""
    flat = [*_flattened(fields, "input"), *_flattened(fields, "output")]
    if flat:
        return flat
    system = _parts(_listed(fields.get("gen_ai.system_instructions")))
    spelled = [*_listed(fields.get("gen_ai.input.messages")), *_listed(fields.get("gen_ai.output.messages"))]
    found = [message for one in spelled if isinstance(one, Mapping) for message in _of_parts(one)]
    return [*([{"role": "system", "content": system["content"]}] if system["content"] else []), *found]


def _flattened(fields: JsonObject, side: str) -> list[Json]:
    found: dict[int, dict[str, Json]] = {}
    for key, value in fields.items():
        match = _FLAT.match(key)
        if match is not None and match[1] == side and int(match[2]) < MAX_MESSAGES:
            found.setdefault(int(match[2]), {})[match[3]] = value
    return [_message(found[place]) for place in sorted(found)]


def _message(flat: Mapping[str, Json]) -> JsonObject:
    calls: dict[int, dict[str, Json]] = {}
    texts = [value for key, value in sorted(flat.items()) if key.endswith("message_content.text")]
    for key, value in flat.items():
        match = _CALL.match(key)
        if match is not None:
            calls.setdefault(int(match[1]), {})[match[2].removeprefix("function.")] = value
    message: dict[str, Json] = {"role": flat.get("role"), "content": flat.get("content", texts or None)}
    message |= {key: flat[key] for key in ("tool_call_id", "name") if key in flat}
    return message | ({"tool_calls": [calls[place] for place in sorted(calls)]} if calls else {})


def _of_parts(message: JsonObject) -> Iterator[JsonObject]:
    """A `gen_ai` message: a tool's answer is a message of its own."""
    parts = message.get("parts")
    split = _parts(parts if isinstance(parts, list) else [])
    for answer in split["answers"] if isinstance(split["answers"], list) else ():
        if isinstance(answer, Mapping):
            said = answer.get("response", answer.get("result"))
            text = said if isinstance(said, str) else json.dumps(said)
            yield {"role": "tool", "tool_call_id": answer.get("id"), "content": text}
    if split["content"] or split["calls"] or not split["answers"]:
        yield {"role": message.get("role"), "content": split["content"], "tool_calls": split["calls"] or None}


def _parts(parts: list[Json]) -> dict[str, Json]:
    known = [part for part in parts if isinstance(part, Mapping)]
    texts = [str(part.get("content", "")) for part in known if part.get("type") == "text"]
    calls = [
        {"id": part.get("id"), "name": part.get("name"), "arguments": part.get("arguments")}
        for part in known
        if part.get("type") == "tool_call"
    ]
    answers = [part for part in known if part.get("type") == "tool_call_response"]
    return {"content": "\n".join(texts), "calls": calls, "answers": answers}


def _tools(fields: JsonObject) -> Json:
    schemas = [v for k, v in sorted(fields.items()) if k.startswith("llm.tools.") and k.endswith(".json_schema")]
    return [_loaded(schema) for schema in schemas] or _listed(fields.get("gen_ai.tool.definitions"))


def _listed(value: Json) -> list[Json]:
    loaded = _loaded(value)
    return loaded if isinstance(loaded, list) else []


def _loaded(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        loaded: Json = json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return loaded


def _value(spelled: Json) -> Json:
    """An attribute's value; numbers of 64 bits are spelled as text and stay text."""
    if not isinstance(spelled, Mapping) or not spelled:
        return spelled
    inner: Json = next((value for value in spelled.values() if value is not None), None)
    if isinstance(inner, Mapping):
        return [_value(one) for one in _objects(inner, "values")]
    return inner


def _objects(value: Json, key: str) -> Iterator[JsonObject]:
    found = _get(value, key) if isinstance(value, Mapping) else None
    yield from (one for one in (found if isinstance(found, list) else ()) if isinstance(one, Mapping))


def _get(fields: JsonObject, key: str) -> Json:
    """A field in camelCase, or in snake_case."""
    if key in fields:
        return fields[key]
    return fields.get(re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", key))
