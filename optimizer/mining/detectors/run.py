"""Mistakes of the run as a whole: crashes, limits, a full context, empty answers, outliers in time and cost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from statistics import median

from optimizer.domain.json import canonical_json
from optimizer.domain.trace import Span
from optimizer.mining.detectors.view import Finding, View, quote
from optimizer.mining.detectors.wire import text_of

OVERFLOW = re.compile(
    r"context[ _](?:length|window|size)|maximum context|prompt is too long|too many (?:input )?tokens|"
    r"reduce the length|context_length_exceeded|input is too long",
    re.IGNORECASE,
)
RAW_CALL = re.compile(r"</?(?:tool_call|function_call|invoke)\b|^\s*\{\s*\"(?:name|tool|function)\"\s*:", re.IGNORECASE)
SLOW_S = 30.0
"""Seconds below which nothing is slow."""
COSTLY_TOKENS = 20_000
"""Tokens below which no single call is costly."""
OUTLIER = 10.0
"""How many times the median of its kind makes an outlier."""
FEW = 5
"""Fewer spans than this have no median worth the name."""


def broken_run(view: View) -> Iterator[Finding]:
    """The harness crashed or ran into a limit."""
    status = view.rollout.status
    if status in {"passed", "failed", "infra_error"}:
        return
    output = next((span for span in view.spans if span.kind == "harness_output"), None)
    text = str(output.output) if output is not None else ""
    yield Finding(
        label="harness.crash" if status == "crashed" else "harness.step_limit",
        span=None if output is None else output.index,
        symptom=f"{status}: {view.rollout.note}" if view.rollout.note else status,
        evidence=text[-200:],
        what=view.rollout.note or status,
        is_decisive=True,
    )


def context_overflow(view: View) -> Iterator[Finding]:
    """The model refused a request as too long."""
    for span in _model_calls(view):
        if span.is_error and OVERFLOW.search(str(span.output)):
            yield Finding(
                label="context.overflow",
                span=span.index,
                symptom="the conversation no longer fitted into the model's context",
                evidence=quote(str(span.output)),
                what="context too long",
            )
            return


def malformed_output(view: View) -> Iterator[Finding]:
    """The model answered nothing, or wrote a tool call as text."""
    for span in _model_calls(view):
        if span.is_error or not isinstance(span.output, Mapping):
            continue
        text = text_of(span.output.get("content"))
        problem = "empty answer" if not text.strip() and not span.output.get("tool_calls") else ""
        problem = problem or ("a tool call written as text" if RAW_CALL.search(text) else "")
        if problem:
            yield Finding(
                label="harness.malformed_output",
                span=span.index,
                symptom=problem,
                evidence=quote(text) or quote(canonical_json(span.output)),
                what=problem,
                is_decisive=not view.is_judged or span.index == max(s.index for s in _model_calls(view)),
            )


def slow_outlier(view: View) -> Iterator[Finding]:
    """One step took ten times as long as its like, and more than half a minute."""
    for span in _outliers(view.spans, lambda span: span.wall_s, SLOW_S):
        yield _odd(span, "infra.slow", f"{span.name} took {span.wall_s:.0f} s", "slow step")


def costly_outlier(view: View) -> Iterator[Finding]:
    """One model call used ten times the tokens of the others."""
    for span in _outliers(tuple(_model_calls(view)), lambda span: float(span.usage.tokens), COSTLY_TOKENS):
        yield _odd(span, "infra.costly", f"one model call used {span.usage.tokens} tokens", "costly call")


def _outliers(spans: tuple[Span, ...], measure: Callable[[Span], float], least: float) -> Iterator[Span]:
    for kind in dict.fromkeys(span.kind for span in spans):
        same = [span for span in spans if span.kind == kind]
        if len(same) >= FEW:
            usual = median(map(measure, same))
            yield from (span for span in same if measure(span) >= max(least, OUTLIER * usual))


def _odd(span: Span, label: str, symptom: str, what: str) -> Finding:
    evidence = quote(str(span.output) if isinstance(span.output, str) else text_of(span.output))
    return Finding(label=label, span=span.index, symptom=symptom, evidence=evidence, what=what, is_decisive=False)


def _model_calls(view: View) -> Iterator[Span]:
    return (span for span in view.spans if span.kind == "model_call")
