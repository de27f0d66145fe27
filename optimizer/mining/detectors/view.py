"""A rollout sorted for the detectors, and what a detector finds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from optimizer.domain.json import Json, JsonObject, canonical_json
from optimizer.domain.rollout import Rollout
from optimizer.domain.task import Check
from optimizer.domain.trace import Span, Trace
from optimizer.mining.detectors.wire import (
    first_words,
    parsed,
    requested_in,
    results_in,
    schemas_of,
    system_of,
)
from optimizer.mining.taxonomy import Taxonomy

QUOTE_CHARS = 200
"""Longest quotation kept as evidence."""
ERROR = re.compile(
    r"^\W{0,3}(?:tool |call )?(?:error|exception|traceback)\b|^\W*\"?error\"?\s*:\s*(?!null|false|\"\")", re.IGNORECASE
)
UNFINISHED = re.compile(
    r"\b(missing|left open|refused that can|never looked up|not escalated|incomplete|not done)\b", re.IGNORECASE
)

READS = re.compile(
    r"^(?:get|list|find|search|check|track|look|read|fetch|query|verify|show|describe|calculate|think|view)",
    re.IGNORECASE,
)
"""Names of tools that change nothing."""
HANDOVER = re.compile(r"escalat|handover|hand_over|transfer_to|handoff", re.IGNORECASE)
"""Tools that give a case to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One explanation of what went wrong."""

    label: str
    """Taxonomy class."""
    span: int | None
    """Where it shows first; None when the trace does not show it."""
    symptom: str
    evidence: str
    """Verbatim from the span."""
    check: str = ""
    """The failed check it explains, or ''."""
    tool: str = ""
    """The tool it is about, or ''."""
    what: str = ""
    """What was wrong, for grouping: the error text, the broken rule, the missing thing."""
    is_decisive: bool = True
    """False where it was made good later, or only says that something was odd."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A tool call as the agent made it, with what came of it."""

    span: int
    """The tool call's span; the model call's where the harness never passed it on."""
    name: str
    arguments: JsonObject | None
    """None when the model's text was not an object."""
    raw: str
    result: str
    is_error: bool

    @property
    def spelling(self) -> str:
        """Equal for identical calls."""
        return f"{self.name} {self.raw if self.arguments is None else canonical_json(self.arguments)}"

    @property
    def is_change(self) -> bool:
        """Whether it worked and changed something, as far as the tool's name tells."""
        return not self.is_error and not READS.match(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The agent's words and the reply."""

    span: int
    words: str
    reply: str
    """'' where nobody answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One rollout, sorted."""

    rollout: Rollout
    spans: tuple[Span, ...]
    attempts: tuple[Attempt, ...]
    turns: tuple[Turn, ...]
    tools: Mapping[str, JsonObject]
    """Name -> argument schema of all tools offered; empty when the trace does not show them."""
    prompt: str
    """System prompt of the first model call."""
    opening: str
    """The user's first words."""
    failed: tuple[Check, ...]
    taxonomy: Taxonomy

    @property
    def is_judged(self) -> bool:
        """Whether checks say what is wrong; a foreign trace has none."""
        return bool(self.failed)

    @property
    def is_unfinished(self) -> bool:
        """Something that should have been done was not, as far as is known."""
        return not self.failed or any(UNFINISHED.search(check.detail) for check in self.failed)

    def checks_of(self, *labels: str) -> tuple[Check, ...]:
        """Failed checks that point to these classes."""
        return tuple(check for check in self.failed if self.taxonomy.label_of_check(check.name) in labels)

    def succeeds_later(self, attempt: Attempt, name: str = "") -> bool:
        """Whether the tool (or another of that name) worked after a failed attempt."""
        wanted = name or attempt.name
        return any(one.span > attempt.span and one.name == wanted and not one.is_error for one in self.attempts)

    def turns_after(self, span: int) -> tuple[Turn, ...]:
        """What was said after a span."""
        return tuple(turn for turn in self.turns if turn.span > span)

    def turns_before(self, span: int) -> tuple[Turn, ...]:
        """What was said before a span."""
        return tuple(turn for turn in self.turns if turn.span < span)


Detector = Callable[[View], Iterator[Finding]]


def view_of(rollout: Rollout, trace: Trace, taxonomy: Taxonomy) -> View:
    """Sort a trace for the detectors."""
    calls = [span for span in trace.spans if span.kind == "model_call"]
    return View(
        rollout=rollout,
        spans=trace.spans,
        attempts=tuple(sorted(_attempts(trace.spans), key=lambda attempt: attempt.span)),
        turns=tuple(_turns(trace.spans)),
        tools=dict(pair for span in calls for pair in schemas_of(span)),
        prompt=system_of(calls[0]) if calls else "",
        opening=first_words(calls[0]) if calls else "",
        failed=tuple(check for check in rollout.checks if not check.is_passed),
        taxonomy=taxonomy,
    )


def quote(text: str) -> str:
    """The beginning of a text, verbatim."""
    return text[:QUOTE_CHARS]


def _turns(spans: tuple[Span, ...]) -> Iterator[Turn]:
    for span in spans:
        if span.kind == "user_turn" or (span.kind == "submit" and span.input):
            yield Turn(span=span.index, words=_text(span.input), reply=_text(span.output))


def _attempts(spans: tuple[Span, ...]) -> Iterator[Attempt]:
    """Tool calls that were made, and those the model wrote that never became one."""
    made: dict[int, list[str]] = defaultdict(list)
    last_model_call = -1
    for span in spans:
        if span.kind == "model_call":
            last_model_call = span.index
        elif span.kind == "tool_call":
            made[last_model_call].append(span.name)
            yield _made(span)
    results = {call_id: text for span in spans if span.kind == "model_call" for call_id, text in results_in(span)}
    for span in spans:
        if span.kind != "model_call":
            continue
        for requested in requested_in(span):
            if requested.name in made[span.index]:
                made[span.index].remove(requested.name)
                continue
            result = results.get(requested.id, "")
            yield Attempt(
                span=span.index,
                name=requested.name,
                arguments=parsed(requested.raw),
                raw=requested.raw,
                result=result,
                is_error=bool(ERROR.search(result)),
            )


def _made(span: Span) -> Attempt:
    arguments = span.input if isinstance(span.input, Mapping) else None
    result = _text(span.output)
    return Attempt(
        span=span.index,
        name=span.name,
        arguments=arguments,
        raw=_text(span.input),
        result=result,
        is_error=span.is_error or bool(ERROR.search(result)),
    )


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else canonical_json(value)
