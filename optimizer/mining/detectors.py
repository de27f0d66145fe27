"""What went wrong in a failed rollout, seen in its trace by code alone.

Each detector is one small function from a view of the rollout to findings. `explain` asks all of them and keeps the
finding with the earliest decisive span; a check that fails only because of an earlier failure is a consequence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from optimizer.domain.json import canonical_json
from optimizer.domain.rollout import Rollout
from optimizer.domain.task import Check
from optimizer.domain.trace import Span, Trace
from optimizer.mining.taxonomy import label_of_check

UNKNOWN_TOOL = re.compile(r"unknown tool|no such tool|not a (known )?tool|does not exist as a tool", re.IGNORECASE)
BAD_ARGUMENTS = re.compile(
    r"invalid argument|missing (required )?(argument|field|property)|is a required property", re.IGNORECASE
)
APOLOGY = re.compile(
    r"\b(unable to|not able to|can'?t|cannot|could not|couldn'?t|won'?t be able to)\b.{0,40}\b(help|assist|do|complete|"
    r"process|continue|proceed|find)|\bsomething went wrong on (my|our) (side|end)",
    re.IGNORECASE | re.DOTALL,
)
REFUSAL = re.compile(
    r"\b(not able to|unable to|can'?t|cannot|outside (of )?(the|our)|policy (does not|doesn'?t))\b", re.IGNORECASE
)
HANDOVER = re.compile(r"escalat|handover|hand_over|transfer_to", re.IGNORECASE)
"""Tools that give a case to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One explanation of a failure."""

    label: str
    span: int | None
    symptom: str
    evidence: str
    check: str
    """The failed check it explains, or ''."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A failed rollout, sorted for the detectors."""

    rollout: Rollout
    calls: tuple[Span, ...]
    """Tool calls."""
    turns: tuple[Span, ...]
    """User turns: the agent's words and the reply."""
    failed: tuple[Check, ...]
    n_spans: int

    @property
    def is_unfinished(self) -> bool:
        """Something that should have been done was not: an error on the way was never made good."""
        details = " ".join(check.detail for check in self.failed if check.name in {"final_state", "requests_completed"})
        return "missing" in details or self.failed_check("requests_completed") is not None or not self.failed

    def failed_check(self, name: str) -> Check | None:
        """The failed check of that name."""
        return next((check for check in self.failed if check.name == name), None)


Detector = Callable[[View], Iterator[Finding]]


def view_of(rollout: Rollout, trace: Trace) -> View:
    """Sort a trace for the detectors."""
    return View(
        rollout=rollout,
        calls=tuple(span for span in trace.spans if span.kind == "tool_call"),
        turns=tuple(span for span in trace.spans if span.kind == "user_turn"),
        failed=tuple(check for check in rollout.checks if not check.is_passed),
        n_spans=len(trace.spans),
    )


def hallucinated_tool(view: View) -> Iterator[Finding]:
    """A call of a tool that is not offered, in a conversation that was left unfinished."""
    for span in view.calls if view.is_unfinished else ():
        if span.is_error and UNKNOWN_TOOL.search(str(span.output)):
            yield Finding(
                label="tool_selection.hallucinated_tool",
                span=span.index,
                symptom=f"called {span.name}, which does not exist",
                evidence=str(span.output)[:200],
                check="",
            )
            return


def invalid_arguments(view: View) -> Iterator[Finding]:
    """A call whose arguments do not fit, with no later success of the same tool."""
    for span in view.calls:
        if span.is_error and BAD_ARGUMENTS.search(str(span.output)) and not _succeeds_later(view, span):
            yield Finding(
                label="tool_execution.invalid_arguments",
                span=span.index,
                symptom=f"called {span.name} with arguments it does not take",
                evidence=str(span.output)[:200],
                check="",
            )
            return


def repeated_call(view: View) -> Iterator[Finding]:
    """The same call three times or more, failing each time, in a conversation that was left unfinished."""
    failing = [span for span in view.calls if span.is_error and view.is_unfinished]
    counts = Counter(_spelling(span) for span in failing)
    for span in failing:
        if counts[_spelling(span)] >= 3:
            yield Finding(
                label="looping.repeated_call",
                span=span.index,
                symptom=f"sent the same failing call of {span.name} {counts[_spelling(span)]} times",
                evidence=str(span.output)[:200],
                check="",
            )
            return


def ignored_error(view: View) -> Iterator[Finding]:
    """A tool's refusal that nothing was done about, followed by words to the customer, and the task left unfinished."""
    for span in view.calls if view.is_unfinished else ():
        if UNKNOWN_TOOL.search(str(span.output)) or BAD_ARGUMENTS.search(str(span.output)):
            continue
        later = [turn for turn in view.turns if turn.index > span.index]
        if span.is_error and later and not _succeeds_later(view, span) and not APOLOGY.search(str(later[0].input)):
            yield Finding(
                label="tool_execution.ignored_error",
                span=span.index,
                symptom=f"carried on after {span.name} failed",
                evidence=str(span.output)[:200],
                check="",
            )
            return


def early_give_up(view: View) -> Iterator[Finding]:
    """Apologised before having tried: next to no successful tool call came first."""
    for turn in view.turns:
        tried = sum(not span.is_error for span in view.calls if span.index < turn.index)
        if tried <= 2 and APOLOGY.search(str(turn.input)):
            yield Finding(
                label="planning.early_give_up",
                span=turn.index,
                symptom="gave up before trying the tools",
                evidence=str(turn.input)[:200],
                check="",
            )
            return


def wrong_write(view: View) -> Iterator[Finding]:
    """The final state differs: something was written that should not have been, or with wrong arguments."""
    check = view.failed_check("final_state")
    if check is None:
        return
    tool = _tool_in(check.detail, view)
    if view.failed_check("escalation_when_due") is not None or (tool is not None and HANDOVER.search(tool)):
        return
    span = next((span.index for span in view.calls if span.name == tool and not span.is_error), None)
    if "wrong argument" in check.detail:
        label = "policy.forbidden_action" if "amount" in check.detail else "memory.forgotten_constraint"
    elif "unexpected write" in check.detail:
        has_refused = any(REFUSAL.search(str(turn.input)) for turn in view.turns if span is None or turn.index < span)
        label = "policy.yielded_to_pressure" if has_refused else "policy.forbidden_action"
    else:
        return
    yield Finding(label=label, span=span, symptom=check.detail, evidence=_quote(view, span), check=check.name)


def missing_write(view: View) -> Iterator[Finding]:
    """A write that should have happened did not, although the account was looked up."""
    check = view.failed_check("final_state") or view.failed_check("requests_completed")
    if check is None or "missing" not in check.detail:
        return
    refusal = next((turn for turn in reversed(view.turns) if REFUSAL.search(str(turn.input))), None)
    yield Finding(
        label="planning.missing_step" if refusal is None else "policy.over_refusal",
        span=None if refusal is None else refusal.index,
        symptom=check.detail,
        evidence="" if refusal is None else str(refusal.input)[:200],
        check=check.name,
    )


def superfluous_questions(view: View) -> Iterator[Finding]:
    """Asked for what it had been told already, until the customer had enough."""
    asked: Counter[str] = Counter()
    for turn in view.turns if view.is_unfinished else ():
        question = str(turn.input).partition(":")[2].strip() or str(turn.input)
        asked[question] += 1
        if asked[question] >= 3:
            yield Finding(
                label="communication.superfluous_questions",
                span=turn.index,
                symptom="asked the same thing three times",
                evidence=str(turn.input)[:200],
                check="",
            )
            return


def broken_rule(view: View) -> Iterator[Finding]:
    """Checks that name the broken rule themselves."""
    for check in view.failed:
        if check.name in {"final_state", "requests_completed"}:
            continue
        span = _span_of(check, view)
        yield Finding(
            label=label_of_check(check.name),
            span=span,
            symptom=f"{check.name}: {check.detail}",
            evidence=_quote(view, span),
            check=check.name,
        )


def broken_run(view: View) -> Iterator[Finding]:
    """The harness itself crashed or ran into a limit."""
    status = view.rollout.status
    if status in {"passed", "failed"}:
        return
    label = "harness.crash" if status == "crashed" else "harness.step_limit"
    yield Finding(label=label, span=None, symptom=status, evidence=view.rollout.note[:200], check="")


DETECTORS: tuple[Detector, ...] = (
    repeated_call,
    hallucinated_tool,
    invalid_arguments,
    ignored_error,
    early_give_up,
    superfluous_questions,
    wrong_write,
    broken_rule,
    missing_write,
    broken_run,
)
"""In the order of preference at equal spans."""


def explain(rollout: Rollout, trace: Trace) -> Finding:
    """The first decisive finding; a failure without any is explained by its first failed check."""
    view = view_of(rollout, trace)
    findings = [(order, finding) for order, detect in enumerate(DETECTORS) for finding in detect(view)]
    if not findings:
        check = view.failed[0].name if view.failed else "unknown"
        return Finding(label=f"check.{check}", span=None, symptom=rollout.status, evidence=rollout.note, check=check)
    _, best = min(findings, key=lambda item: (item[1].span if item[1].span is not None else view.n_spans, item[0]))
    return best


def _span_of(check: Check, view: View) -> int | None:
    """The first call that a broken rule is about; None for what shows only at the end."""
    if "escalation" in check.name:
        state = view.failed_check("final_state")
        done = _tool_in(state.detail, view) if state is not None else None
        return next((s.index for s in view.calls if HANDOVER.search(s.name) or s.name == done), None)
    tool = _tool_in(check.detail, view)
    return next((span.index for span in view.calls if span.name == tool), None)


def _spelling(span: Span) -> str:
    return f"{span.name} {canonical_json(span.input)}"


def _succeeds_later(view: View, failed: Span) -> bool:
    return any(span.index > failed.index and span.name == failed.name and not span.is_error for span in view.calls)


def _tool_in(detail: str, view: View) -> str | None:
    """A called tool that the detail names."""
    words = set(re.findall(r"[a-z_]{4,}", detail))
    return next((span.name for span in view.calls if span.name in words), None)


def _quote(view: View, span: int | None) -> str:
    """Words of the span, verbatim."""
    for candidate in (*view.calls, *view.turns):
        if candidate.index == span:
            text = canonical_json(candidate.input) if candidate.kind == "tool_call" else str(candidate.input)
            return text[:200]
    return ""
