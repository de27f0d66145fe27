"""What a model's diagnosis may change about a detector's: never silently.

Where both name the same class, the model's words replace the detector's and the class, signature and severity stay, so
that clusters do. Where they differ, that is a conflict for review. With a person in charge the detector's class stands
until it is resolved. Without one, a rule decides: the model's class wins only when it is a known one and its quotation,
checked against the trace, stands at the detector's span or before it. Both records are kept either way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from optimizer.domain.failure import Failure
from optimizer.domain.json import content_hash
from optimizer.mining.diagnosis_prompt import UNKNOWN, KnownClass
from optimizer.mining.diagnosis_reply import Diagnosis

ReviewMode = Literal["auto", "human"]
Winner = Literal["detectors", "model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelConflict:
    """A model and the detectors class one failure differently: an item for review."""

    failure_id: str
    """The detectors' record."""
    rollout_id: str
    detected: str
    """Class by the detectors."""
    detected_span: int | None
    detected_evidence: str
    diagnosed: str
    """Class by the model; `unknown` when it finds none that fits."""
    diagnosed_span: int
    diagnosed_evidence: str
    diagnosed_cause: str
    by: str
    """`model/<name>`."""
    by_rule: Winner
    """Who is followed where nobody is waited for."""
    rule: str
    """Why, one sentence."""
    winner: Winner | None
    """Who was followed; None while a person is to say, which leaves the detectors' class standing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """A diagnosis beside the detector's finding."""

    agrees: bool
    """Whether both name the same class."""
    failure: Failure | None
    """The record that supersedes the detectors'; None when theirs stands."""
    alternative: Failure | None
    """The record that would supersede it if the model were followed; None where its class is `unknown`."""
    conflict: LabelConflict | None
    """None when they agree."""


def weigh(
    failure: Failure, diagnosis: Diagnosis, by: str, classes: tuple[KnownClass, ...], mode: ReviewMode
) -> Weighed:
    """Compare a model's diagnosis with the detectors' record of the same run; `by` is `model/<name>`."""
    if diagnosis.label == failure.label:
        reworded = _reworded(failure, diagnosis, by)
        return Weighed(agrees=True, failure=reworded, alternative=reworded, conflict=None)
    by_rule, rule = _rule(failure, diagnosis)
    winner = by_rule if mode == "auto" else None
    conflict = LabelConflict(
        failure_id=failure.id,
        rollout_id=failure.rollout_id,
        detected=failure.label,
        detected_span=failure.span,
        detected_evidence=failure.evidence,
        diagnosed=diagnosis.label,
        diagnosed_span=diagnosis.span,
        diagnosed_evidence=diagnosis.evidence,
        diagnosed_cause=diagnosis.cause,
        by=by,
        by_rule=by_rule,
        rule=rule,
        winner=winner,
    )
    known = next((one for one in classes if one.id == diagnosis.label), None)
    other = None if known is None else _relabelled(failure, diagnosis, by, known)
    return Weighed(agrees=False, failure=other if winner == "model" else None, alternative=other, conflict=conflict)


def _rule(failure: Failure, diagnosis: Diagnosis) -> tuple[Winner, str]:
    if diagnosis.label == UNKNOWN:
        return "detectors", "the model knows no class that fits"
    if failure.span is not None and diagnosis.span > failure.span:
        return "detectors", f"the detectors saw it first, at span {failure.span} before span {diagnosis.span}"
    seen = "the detectors saw no span" if failure.span is None else f"the detectors' span is {failure.span}"
    return "model", f"its quotation stands at span {diagnosis.span} and {seen}"


def _reworded(failure: Failure, diagnosis: Diagnosis, by: str) -> Failure:
    is_first = failure.span is None or diagnosis.span <= failure.span
    return replace(
        failure,
        id=_id(failure, failure.label, failure.signature, by),
        cause=diagnosis.cause,
        expected=diagnosis.expected,
        rung=diagnosis.rung,
        diagnosed_by=by,
        evidence=diagnosis.evidence if is_first else failure.evidence,
        span=diagnosis.span if is_first else failure.span,
    )


def _relabelled(failure: Failure, diagnosis: Diagnosis, by: str, known: KnownClass) -> Failure:
    signature = f"{known.id} |  |  | {known.title}"
    return replace(
        failure,
        id=_id(failure, known.id, signature, by),
        label=known.id,
        signature=signature,
        symptom=known.title,
        severity=known.severity,
        cause=diagnosis.cause,
        expected=diagnosis.expected,
        rung=diagnosis.rung,
        diagnosed_by=by,
        evidence=diagnosis.evidence,
        span=diagnosis.span,
    )


def _id(failure: Failure, label: str, signature: str, by: str) -> str:
    return content_hash(failure.rollout_id, label, signature, by)
