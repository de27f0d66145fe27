"""A semantic case is decided by a calibrated judge, asked once per run, or refused with the remedy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from optimizer.campaign.semantic import Bench, Semantic
from optimizer.domain.errors import ConfigError
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Task
from optimizer.domain.trace import Trace
from optimizer.evals.judging import Calibration, Opinion, Rubric
from tests.evaluate.fakes import rollout_of
from tests.ledger import samples

pytestmark = pytest.mark.anyio

RUBRIC = Rubric(name="polite", text="Is it polite?")
CASE = replace(samples.case(), layer="semantic", check="polite")


@dataclass
class Judge:
    """Says what it is told to say."""

    kappa: float | None = 0.9
    name: str = "model/j"
    asked: list[str] = field(default_factory=list)

    def calibration(self, rubric: Rubric) -> Calibration | None:
        return None if self.kappa is None else Calibration(rubric=rubric.name, n_labelled=40, kappa=self.kappa)

    async def judge(self, rubric: Rubric, trace: Trace) -> Opinion:
        self.asked.append(rubric.name)
        return Opinion(holds=True, confidence=1.0, evidence="Thank you")


def rollout(status: str = "failed") -> Rollout:
    task = Task(id="t", split="train", group="g", slices=())
    return rollout_of(RolloutJob(tree="b" * 40, task=task, purpose="suite", trial=0), status)  # type: ignore[arg-type]


def semantic(judge: Judge | None) -> Semantic:
    return Semantic(lambda: None if judge is None else Bench(judge=judge, rubric=RUBRIC), lambda _: Trace(spans=()))


async def test_a_calibrated_judge_decides_and_is_asked_once_per_run() -> None:
    judge = Judge()
    layer = semantic(judge)
    assert [await layer.holds(CASE, rollout()), await layer.holds(CASE, rollout())] == [True, True]
    assert judge.asked == ["polite"]
    assert not await layer.holds(CASE, rollout("crashed"))


@pytest.mark.parametrize("kappa", [None, 0.3])
async def test_a_judge_without_calibration_or_agreement_decides_nothing(kappa: float | None) -> None:
    judge = Judge(kappa)
    with pytest.raises(ConfigError, match=r"calibrated|agrees"):
        await semantic(judge).holds(CASE, rollout())
    assert judge.asked == []


async def test_a_case_without_a_judge_for_its_rubric_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="hone judge"):
        await semantic(None).holds(CASE, rollout())
    with pytest.raises(ConfigError, match=r"kind\.md"):
        await semantic(Judge()).holds(replace(CASE, check="kind"), rollout())
