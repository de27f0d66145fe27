"""From a failed rollout to a failure record: the first decisive step, quoted, classed and put into context."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain.failure import Failure, FailureContext, Signal
from optimizer.domain.json import content_hash
from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Span, Trace
from optimizer.mining.detectors.explain import first_decisive
from optimizer.mining.detectors.view import Finding, View, view_of
from optimizer.mining.taxonomy import Taxonomy, default_taxonomy

HARD = frozenset({"infra", "context", "tool_selection", "tool_execution", "looping", "harness"})
"""Groups whose findings are errors of the machine, not of judgement."""
TOOL_GROUPS = frozenset({"infra", "tool_execution", "looping"})
"""Groups in which the tool is part of the cause."""
HEARD: Mapping[str, Signal] = {
    "communication.user_correction": "user_correction",
    "communication.user_asks_again": "user_correction",
    "communication.abandoned": "abandonment",
}
"""Classes that only the user's reaction shows."""


def diagnose(rollout: Rollout, trace: Trace, taxonomy: Taxonomy | None = None) -> Failure:
    """Turn one failed, measured rollout into a failure."""
    classes = taxonomy or default_taxonomy()
    view = view_of(rollout, trace, classes)
    return failure_of(first_decisive(view), view)


def failure_of(finding: Finding, view: View) -> Failure:
    """A finding as a record; its id is its content."""
    job, classes = view.rollout.job, view.taxonomy
    signature = signature_of(finding, view)
    return Failure(
        id=content_hash(job.id, finding.label, signature),
        rollout_id=job.id,
        task_id=job.task.id,
        tree=job.tree,
        signal=signal_of(finding, view),
        label=finding.label,
        symptom=finding.symptom,
        cause=classes.name_of(finding.label),
        evidence=finding.evidence,
        span=finding.span,
        severity=classes.severity_of(finding.label),
        signature=signature,
        check=finding.check,
        expected=classes.expected_of(finding.label),
        context=context_at(finding.span, view),
        rung=classes.rung_of(finding.label),
    )


def signature_of(finding: Finding, view: View) -> str:
    """Root cause in one line, `label | check | tool | what was wrong`: what is masked, embedded and grouped by.

    The tool is named only where its own schema or answers are at fault: elsewhere it tells the topic of the task, and
    failures of one cause would fall apart by topic. The check likewise: one cause fails now this check, now that one.
    """
    group = finding.label.partition(".")[0]
    is_known = finding.label in view.taxonomy.classes
    tool = finding.tool if group in TOOL_GROUPS else ""
    parts = (finding.label, "" if is_known else finding.check, tool, finding.what)
    return " | ".join(" ".join(part.split()) for part in parts)


def signal_of(finding: Finding, view: View) -> Signal:
    """How the failure came to notice: the run broke, a check failed, or, without checks, what the trace shows."""
    if view.rollout.status in {"crashed", "timed_out", "over_budget"}:
        return "hard_error"
    if view.failed:
        return "check_failed"
    if finding.label in HEARD:
        return HEARD[finding.label]
    return "hard_error" if finding.label.partition(".")[0] in HARD else "judge_fail"


def context_at(span: int | None, view: View) -> FailureContext:
    """What stood before the agent when it went wrong; the whole run where no span is known."""
    before = view.spans if span is None else view.spans[:span]
    models = [one for one in (*before, *_own(span, view)) if one.kind == "model_call"]
    return FailureContext(
        n_messages=sum(one.kind in {"user_turn", "tool_call"} for one in before),
        n_tool_calls=sum(one.kind == "tool_call" for one in before),
        n_prompt_tokens=models[-1].usage.input_tokens if models else 0,
        tools=tuple(view.tools),
    )


def _own(span: int | None, view: View) -> tuple[Span, ...]:
    """The span itself: a model call that went wrong has read its own prompt."""
    return () if span is None else (view.spans[span],)
