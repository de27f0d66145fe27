"""A trace as a model reads it and quotes from it: numbered spans, each as one passage of text.

A quotation is checked against the very text that is shown, blanks aside. The request of a model call repeats all that
went before, so only its answer is shown.
"""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain.json import Json, canonical_json
from optimizer.domain.trace import Span, Trace

MAX_SPAN_CHARACTERS = 2400
MAX_CHARACTERS = 48_000
MIN_QUOTE_CHARACTERS = 8
"""A shorter quotation proves nothing, unless it is all that was said."""
_EDGE = 3
"""First and last spans that are shown whatever is left out."""


def span_parts(span: Span) -> tuple[str, ...]:
    """The texts of a span that can be quoted."""
    shown = (span.output,) if span.kind == "model_call" else (span.input, span.output)
    return tuple(text for text in map(_text, shown) if text.strip())


def transcript(trace: Trace, *, focus: int | None = None) -> str:
    """All spans in order, at most MAX_CHARACTERS; of a long trace its edges and what is near `focus`, or the end."""
    shown = {span.index: _passage(span) for span in trace.spans}
    kept = _kept(trace, shown, len(trace.spans) - 1 if focus is None else focus)
    lines: list[str] = []
    n_left_out = 0
    for span in trace.spans:
        if span.index not in kept:
            n_left_out += 1
            continue
        if n_left_out:
            lines.append(f"[... {n_left_out} spans left out]")
        n_left_out = 0
        lines.append(shown[span.index])
    return "\n\n".join(lines)


def is_verbatim(trace: Trace, span: int, quotation: str) -> bool:
    """Whether the quotation stands in that span word for word, blanks aside."""
    found = next((one for one in trace.spans if one.index == span), None)
    wanted = _flat(quotation)
    if found is None or not wanted:
        return False
    parts = tuple(map(_flat, span_parts(found)))
    if len(wanted) < MIN_QUOTE_CHARACTERS:
        return wanted in parts
    return any(wanted in part for part in parts)


def _kept(trace: Trace, shown: Mapping[int, str], focus: int) -> frozenset[int]:
    last = len(trace.spans) - 1
    by_worth = sorted(
        (span.index for span in trace.spans),
        key=lambda index: (min(index, last - index) >= _EDGE and index != focus, abs(index - focus), index),
    )
    kept, n_characters = set(), 0
    for index in by_worth:
        n_characters += len(shown[index])
        if n_characters > MAX_CHARACTERS:
            break
        kept.add(index)
    return frozenset(kept)


def _passage(span: Span) -> str:
    names = ("answer",) if span.kind == "model_call" else _SIDES.get(span.kind, ("input", "output"))
    values = (span.output,) if span.kind == "model_call" else (span.input, span.output)
    error = ", error" if span.is_error else ""
    lines = [f"[span {span.index}: {span.kind} {span.name}{error}]"]
    lines += [f"{name}: {_cut(_text(value))}" for name, value in zip(names, values, strict=True) if _text(value)]
    return "\n".join(lines)


_SIDES: Mapping[str, tuple[str, str]] = {
    "tool_call": ("arguments", "result"),
    "user_turn": ("agent says", "user says"),
    "check": ("detail", "holds"),
}


def _cut(text: str) -> str:
    half = MAX_SPAN_CHARACTERS // 2
    if len(text) <= MAX_SPAN_CHARACTERS:
        return text
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out]\n{text[-half:]}"


def _text(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and isinstance(value.get("content"), str) and not value.get("tool_calls"):
        return str(value["content"])
    return canonical_json(value)


def _flat(text: str) -> str:
    return " ".join(text.split())
