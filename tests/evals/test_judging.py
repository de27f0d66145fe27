"""A judge decides about candidates only when it is known to agree with people."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from optimizer.domain.errors import ConfigError
from optimizer.domain.trace import Trace
from optimizer.evals.judging import Calibration, Judge, Opinion, Rubric, require_calibrated

RUBRIC = Rubric(name="polite", text="Is every answer polite?")


@dataclass
class StrictJudge:
    known: Calibration | None
    name: str = "model/strict"

    def calibration(self, rubric: Rubric) -> Calibration | None:
        return self.known

    async def judge(self, rubric: Rubric, trace: Trace) -> Opinion:
        return Opinion(holds=False, confidence=1.0, evidence="")


def judge(n: int, kappa: float) -> Judge:
    return StrictJudge(Calibration(rubric="polite", n_labelled=n, kappa=kappa))


def test_a_judge_that_agrees_with_people_may_gate():
    assert require_calibrated(judge(20, 0.6), RUBRIC).is_sufficient


@pytest.mark.parametrize("judged", [StrictJudge(None), judge(19, 0.9), judge(200, 0.59)])
def test_one_that_was_never_compared_or_disagrees_is_refused_by_name(judged: Judge):
    with pytest.raises(ConfigError, match=r"judge model/strict .* 'polite'"):
        require_calibrated(judged, RUBRIC)
