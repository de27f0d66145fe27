"""Traces as bytes, texts as SQLite can bind them, previews as a list shows them."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeAlias

from optimizer.domain.errors import LedgerError
from optimizer.domain.json import Json
from optimizer.domain.trace import Span, Trace, Usage

SqlValue: TypeAlias = int | float | str | bytes | None
PREVIEW_CHARACTERS = 200
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
USAGE_FIELDS = tuple(field.name for field in fields(Usage))
usage_values = attrgetter(*USAGE_FIELDS)
"""The values of a usage in the order of USAGE_FIELDS."""


def bindable(value: SqlValue) -> SqlValue:
    """A value as a parameter; text with lone surrogates goes as bytes, which the statement casts back to text.

    Raises:
        LedgerError: for NaN, which SQLite would silently keep as NULL.
    """
    if isinstance(value, str):
        return value if value.isascii() else _text(value)
    if isinstance(value, float) and math.isnan(value):
        message = "a number to be recorded is NaN: the measurement behind it is broken"
        raise LedgerError(message)
    return value


def _text(value: str) -> str | bytes:
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
    return value


def dump_json(value: Json) -> str:
    """JSON text in the given order; NaN and infinities, which a harness may send, are spelled as Python does."""
    return _ENCODER.encode(value)


def to_bytes(text: str) -> bytes:
    """UTF-8, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def from_bytes(payload: bytes) -> str:
    """Inverse of `to_bytes`."""
    return payload.decode("utf-8", "surrogatepass")


def trace_to_bytes(trace: Trace) -> bytes:
    """Everything about a trace that is compared: wall times lie in the event rows."""
    return to_bytes(dump_json([_span_json(span) for span in trace.spans]))


def trace_from_bytes(payload: bytes, wall_s: list[float]) -> Trace:
    """Inverse of `trace_to_bytes`, given the wall time of each span."""
    spans = json.loads(from_bytes(payload))
    return Trace(spans=tuple(_span(spelled, seconds) for spelled, seconds in zip(spans, wall_s, strict=True)))


def _span_json(span: Span) -> Json:
    return [span.index, span.kind, span.name, span.input, span.output, span.is_error, usage_values(span.usage)]


def _span(spelled: Any, wall_s: float) -> Span:
    index, kind, name, given, output, is_error, usage = spelled
    return Span(
        index=index,
        kind=kind,
        name=name,
        input=given,
        output=output,
        is_error=is_error,
        usage=Usage(**dict(zip(USAGE_FIELDS, usage, strict=True))),
        wall_s=wall_s,
    )


def preview(span: Span) -> str:
    """What a list shows of a span: one line of at most 200 characters."""
    output = span.output if isinstance(span.output, str) else dump_json(span.output)
    line = output if span.kind == "model_call" else f"{_short(span.input)} -> {output}"
    return " ".join(line[: 4 * PREVIEW_CHARACTERS].split())[:PREVIEW_CHARACTERS]


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else dump_json(value)
    return text[: PREVIEW_CHARACTERS // 2]
