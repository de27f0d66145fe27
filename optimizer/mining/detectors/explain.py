"""All detectors asked, and the first decisive finding chosen."""

from __future__ import annotations

from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Trace
from optimizer.mining.detectors import checks, run, talk, tools
from optimizer.mining.detectors.view import Detector, Finding, View, view_of
from optimizer.mining.taxonomy import Taxonomy, default_taxonomy

DETECTORS: tuple[Detector, ...] = (
    tools.hallucinated_tool,
    tools.invalid_arguments,
    tools.retry_storm,
    tools.repeated_call,
    tools.idle_repetition,
    tools.service_failure,
    tools.ignored_error,
    talk.early_give_up,
    talk.superfluous_questions,
    checks.missed_escalation,
    checks.over_escalation,
    checks.wrong_write,
    checks.unverified_identity,
    checks.unconfirmed_change,
    checks.broken_rule,
    checks.missing_write,
    checks.ungrounded,
    checks.unsaid,
    tools.denied_action,
    talk.acted_against_no,
    talk.contradiction,
    talk.false_report,
    talk.unfounded_figure,
    talk.broken_promise,
    run.malformed_output,
    run.context_overflow,
    talk.user_correction,
    talk.user_asks_again,
    talk.abandonment,
    run.broken_run,
    run.slow_outlier,
    run.costly_outlier,
)
"""In the order of preference at equal spans."""


def findings(rollout: Rollout, trace: Trace, taxonomy: Taxonomy | None = None) -> tuple[Finding, ...]:
    """Everything the detectors see, in the order of the trace."""
    return _found(view_of(rollout, trace, taxonomy or default_taxonomy()))


def explain(rollout: Rollout, trace: Trace, taxonomy: Taxonomy | None = None) -> Finding:
    """The first decisive finding; a failure without any is explained by its first failed check or its status."""
    return first_decisive(view_of(rollout, trace, taxonomy or default_taxonomy()))


def first_decisive(view: View) -> Finding:
    """The earliest finding that was not made good; where all were, the earliest; where there is none, what is known."""
    found = _found(view)
    decisive = [finding for finding in found if finding.is_decisive]
    if decisive:
        return decisive[0]
    if view.failed:
        check = view.failed[0]
        label = view.taxonomy.label_of_check(check.name)
        return Finding(label=label, span=None, symptom=check.detail, evidence="", check=check.name, what=check.detail)
    if found:
        return found[0]
    return Finding(label="check.unknown", span=None, symptom=view.rollout.status, evidence="", what=view.rollout.note)


def _found(view: View) -> tuple[Finding, ...]:
    last = len(view.spans)
    found = [finding for detect in DETECTORS for finding in detect(view)]
    return tuple(sorted(found, key=lambda finding: last if finding.span is None else finding.span))
