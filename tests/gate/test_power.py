"""What a split can show: figures that can be checked by hand, and the shipped target test followed exactly."""

from __future__ import annotations

import random

import pytest

from optimizer.gate.power import detectable, half_interval, noise_of_split, target_power, tasks_needed
from optimizer.gate.target import Pair, TargetRule, judge_target


def test_the_noise_of_repeats_is_the_unbiased_variance_of_a_run():
    noise = noise_of_split({"a": (1, 2), "b": (2, 2), "c": (0, 2), "once": (1, 1)})
    assert noise.noise == pytest.approx(0.5 / 3)
    assert noise.mean == pytest.approx(0.5)
    assert noise.rerun_rate == pytest.approx(1 / 3)
    assert [each.task_id for each in noise.flaky] == ["a"]


def test_the_noise_is_found_again_in_a_known_world():
    dice = random.Random(1)
    rates = [dice.betavariate(0.4, 0.4) for _ in range(4000)]
    counts = {f"t{i}": (sum(dice.random() < p for _ in range(3)), 3) for i, p in enumerate(rates)}
    truth = sum(p * (1 - p) for p in rates) / len(rates)
    assert noise_of_split(counts).noise == pytest.approx(truth, abs=0.006)


def test_single_runs_alone_say_nothing():
    with pytest.raises(ValueError, match="twice"):
        noise_of_split({"a": (1, 1)})


def test_a_paired_run_of_a_hundred_tasks_finds_what_the_arithmetic_says():
    assert detectable(0.097, 100) == pytest.approx(2.4865 * 0.04405, abs=1e-4)
    assert tasks_needed(0.097, detectable(0.097, 100)) in {100, 101}
    assert half_interval(0.097, 100, 3) == pytest.approx(0.0498, abs=1e-4)


@pytest.mark.parametrize(("base", "lifted"), [(0.27, 0.27), (0.27, 0.56), (0.1, 0.5)])
def test_the_power_of_targets_is_what_simulation_finds(base, lifted):
    dice, rule, n = random.Random(3), TargetRule(), 2000
    passed = 0
    for _ in range(n):
        rounds: list[tuple[Pair, ...]] = []
        while True:
            rounds.append(
                tuple(Pair(task_id="t", candidate=dice.random() < lifted, trunk=dice.random() < base) for _ in range(6))
            )
            test = judge_target(tuple(rounds), rule)
            if test.state != "continue":
                break
        passed += test.state == "passed"
    assert target_power(rule, base=base, lifted=lifted) == pytest.approx(passed / n, abs=0.035)


def test_an_edit_that_fixes_nothing_passes_less_often_than_alpha():
    assert all(target_power(TargetRule(), base=base, lifted=base) <= 0.10 for base in (0.05, 0.2, 0.4, 0.6, 0.9))
