"""Judges of the semantic layer: a rubric, a trace, an opinion - and no say in the gate without calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from optimizer.domain.errors import ConfigError
from optimizer.domain.trace import Trace, Usage

MIN_LABELLED = 20
"""Labelled examples below which agreement says nothing."""
MIN_KAPPA = 0.6
"""Chance-corrected agreement with people below which a judge is not believed (Landis & Koch 1977: substantial)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rubric:
    """What a judge is asked about a run."""

    name: str
    """`EvalCase.check` of the cases it decides."""
    text: str
    """The question, answerable with yes (holds) or no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A judge's answer about one run."""

    holds: bool
    confidence: float
    """0.0 to 1.0, as the judge says."""
    evidence: str
    """Words of the trace it rests on, verbatim."""
    usage: Usage = Usage()
    """What asking cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far a judge agrees with people on one rubric."""

    rubric: str
    n_labelled: int
    kappa: float
    """Cohen's kappa, -1.0 to 1.0."""
    n_false_holds: int = 0
    """Said it holds where people say it does not."""
    n_false_breaks: int = 0

    @property
    def is_sufficient(self) -> bool:
        """Whether the judge may gate by this rubric."""
        return self.n_labelled >= MIN_LABELLED and self.kappa >= MIN_KAPPA


class Judge(Protocol):
    """Decides by a rubric whether a run is right."""

    name: str
    """`model/<name>`, `person`, ..."""

    def calibration(self, rubric: Rubric) -> Calibration | None:
        """Its agreement with people on this rubric; None when it was never compared."""
        ...

    async def judge(self, rubric: Rubric, trace: Trace) -> Opinion:
        """Judge one run. Raises ModelUnavailableError, ModelError."""
        ...


def require_calibrated(judge: Judge, rubric: Rubric) -> Calibration:
    """The calibration by which a judge may gate.

    Raises:
        ConfigError: it was never compared with people, or does not agree with them enough.
    """
    calibration = judge.calibration(rubric)
    if calibration is None:
        raise ConfigError(
            f"judge {judge.name} was never calibrated on rubric {rubric.name!r}, so it decides about no candidate."
            f" Label at least {MIN_LABELLED} runs and compare."
        )
    if not calibration.is_sufficient:
        raise ConfigError(
            f"judge {judge.name} agrees with people on rubric {rubric.name!r} by kappa {calibration.kappa:.2f} over"
            f" {calibration.n_labelled} runs; {MIN_KAPPA:.2f} over {MIN_LABELLED} is needed before it decides."
        )
    return calibration
