"""The incumbent against itself, on the toy whose noise is known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from optimizer.campaign.calibrating import null_check
from optimizer.cli.calibrating import CalibrationPlan, calibrate, calibration_lines, detection_lines, known_calibration
from optimizer.cli.estimating import estimate, measured_by
from optimizer.cli.jsonable import jsonable
from optimizer.domain.errors import BudgetExhaustedError, ConfigError
from optimizer.gate.policy import Policy
from tests.campaign.toy import Toy, make_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Toy:
    return make_toy(tmp_path_factory.mktemp("calibrate") / "harness")


def test_the_toys_noise_is_measured_stored_and_used_by_estimate(toy: Toy):
    found = calibrate(toy.workplace(), CalibrationPlan(n_trials=6, max_usd=None))
    assert found.train.mean == pytest.approx(0.15, abs=0.1)
    assert found.train.noise == pytest.approx(0.15 * 0.85, abs=0.06)
    assert found.train.rerun_rate == pytest.approx(0.15, abs=0.08)
    assert (found.train.n_tasks, found.val.n_tasks, found.n_trials) == (24, 16, 6)
    assert known_calibration(toy.workplace()) == found
    assert json.dumps(jsonable(found))
    said = estimate(toy.workplace(), measured_by(found), detects=tuple(detection_lines(found)))
    assert said.per_rollout.input_tokens == pytest.approx(found.input_tokens)
    assert "invisible" in said.detects[0]
    assert any("A/A check" in line for line in calibration_lines(found))


def test_calibrating_again_pays_for_nothing(toy: Toy):
    first = calibrate(toy.workplace(), CalibrationPlan(n_trials=6, max_usd=None))
    n_calls = len(toy.model.bill)
    assert calibrate(toy.workplace(), CalibrationPlan(n_trials=6, max_usd=None)) == first
    assert len(toy.model.bill) == n_calls


def test_a_limit_on_dollars_is_kept(tmp_path):
    toy = make_toy(tmp_path / "harness")
    with pytest.raises((ConfigError, BudgetExhaustedError)):
        calibrate(toy.workplace(), CalibrationPlan(n_trials=50, max_usd=0.17))
    assert sum(usage.usd or 0.0 for usage in toy.model.bill) <= 0.17


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_gate_accepts_candidates_that_change_nothing_no_more_often_than_its_bound(rate):
    passes = round(10 * rate)
    train = {f"train{i}": (passes, 10) for i in range(40)}
    val = {f"val{i}": (passes, 10) for i in range(40)}
    policy = Policy()
    check = null_check(train, val, policy)
    assert check == null_check(train, val, policy)
    assert check.n_through_targets <= 0.10 * check.n_candidates
    assert check.n_accepted <= 0.10 * check.n_candidates
    strict = replace(policy, target=replace(policy.target, alpha=0.02))
    assert null_check(train, val, strict).n_through_targets <= check.n_through_targets
