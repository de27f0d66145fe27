"""A model's diagnosis: its shape, and what it must prove before it is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from optimizer.domain.candidate import Rung
from optimizer.domain.model import ModelReply
from optimizer.domain.trace import Trace
from optimizer.mining.diagnosis_prompt import SUBMIT_DIAGNOSIS, UNKNOWN, KnownClass
from optimizer.models.asking import ANSWER_SHAPE, UnusableAnswerError, answer_of
from optimizer.models.transcript import is_verbatim


def _one_line(text: str) -> str:
    return " ".join(text.split())


Line = Annotated[str, Field(min_length=1, max_length=600), AfterValidator(_one_line)]


class _Submitted(BaseModel):
    model_config = ANSWER_SHAPE

    span: Annotated[int, Field(ge=0, lt=10**6)]
    evidence: Annotated[str, Field(min_length=1, max_length=2000)]
    label: Line
    cause: Line
    expected: Line
    intervention: Line
    rung: Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A diagnosis whose quotation stands in the trace."""

    span: int
    evidence: str
    label: str
    """A known class, or `unknown`."""
    cause: str
    expected: str
    intervention: str
    """Change of the harness that would prevent it, one sentence."""
    rung: Rung


def read_diagnosis(reply: ModelReply, trace: Trace, classes: Sequence[KnownClass]) -> Diagnosis:
    """Take a diagnosis from a reply, if it proves what it says.

    Raises:
        UnusableAnswerError: no diagnosis, another shape, an unknown class, or a quotation the trace does not hold.
    """
    said = answer_of(reply, SUBMIT_DIAGNOSIS, _Submitted)
    if said.label != UNKNOWN and said.label not in {one.id for one in classes}:
        raise UnusableAnswerError("label", f"there is no class {said.label!r}; use one of the list, or {UNKNOWN!r}")
    if said.span not in {span.index for span in trace.spans}:
        last = len(trace.spans) - 1
        raise UnusableAnswerError("uncited", f"there is no span {said.span}; the run has spans 0 to {last}")
    if not is_verbatim(trace, said.span, said.evidence):
        raise UnusableAnswerError(
            "misquoted", f"span {said.span} does not say {said.evidence[:200]!r}; quote it word for word"
        )
    return Diagnosis(
        span=said.span,
        evidence=said.evidence,
        label=said.label,
        cause=said.cause,
        expected=said.expected,
        intervention=said.intervention,
        rung=said.rung,
    )
