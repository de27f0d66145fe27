"""Sentinels of a trunk: silence while nothing changes, an alarm soon after the model has."""

from __future__ import annotations

import random

import pytest

from optimizer.gate.drift import DriftRule, Sentinel, judge_drift
from optimizer.gate.guard import Cell


def night(seed: int, *, shift: float, n: int = 120, runs: int = 4) -> int:
    """State after n sentinels on 40 tasks whose record comes from a few runs each, as in a campaign."""
    dice = random.Random(seed)
    rates = [dice.betavariate(0.4, 0.4) for _ in range(40)]
    cells = [Cell(passes=sum(dice.random() < p for _ in range(runs)), runs=runs) for p in rates]
    sentinels = []
    for _ in range(n):
        i = dice.randrange(40)
        sentinels.append(Sentinel(cell=cells[i], is_pass=dice.random() < min(1.0, max(0.0, rates[i] + shift))))
    return judge_drift(sentinels, DriftRule()).state


def test_with_known_rates_false_alarms_stay_below_alpha():
    alarms = 0
    for seed in range(1000):
        dice = random.Random(seed)
        cell = Cell(passes=5.0, runs=10.0)
        alarms += (
            judge_drift([Sentinel(cell=cell, is_pass=dice.random() < 0.5) for _ in range(150)], DriftRule()).state != 0
        )
    assert alarms <= 15


def test_with_a_record_of_a_few_runs_false_alarms_stay_rare():
    assert sum(night(seed, shift=0.0) != 0 for seed in range(300)) <= 9


@pytest.mark.parametrize(("shift", "state"), [(-0.4, -1), (0.4, 1)])
def test_a_large_change_is_found_and_its_direction_said(shift, state):
    found = [night(seed, shift=shift) for seed in range(100)]
    assert found.count(state) >= 80
    assert found.count(-state) == 0


def test_the_alarm_stays_where_it_was_raised():
    cell = Cell(passes=9.0, runs=10.0)
    fails = [Sentinel(cell=cell, is_pass=False)] * 40
    alarm = judge_drift(fails, DriftRule())
    assert alarm.state == -1
    assert alarm.n_sentinels < 40
    assert judge_drift([*fails, *[Sentinel(cell=cell, is_pass=True)] * 50], DriftRule()) == alarm


def test_no_sentinel_is_no_evidence():
    assert judge_drift((), DriftRule()).state == 0
