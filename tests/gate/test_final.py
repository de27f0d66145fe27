"""The paired, cluster-robust interval of the last comparison."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.gate.final import paired_interval, students_t

named = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.floats(-1, 1), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (99, 1.984)]
)
def test_the_quantiles_are_those_of_the_printed_tables(freedom, expected):
    assert students_t(freedom) == pytest.approx(expected, abs=0.006)


def test_a_worked_example_has_the_textbook_interval():
    found = paired_interval({f"t{i}": 1.0 if i < 4 else 0.0 for i in range(16)})
    half = 2.131 * (0.2 / 16) ** 0.5
    assert found.estimate == 0.25
    assert (found.low, found.high) == pytest.approx((0.25 - half, 0.25 + half), abs=1e-3)


def test_tasks_that_vary_together_widen_the_interval():
    differences = {f"t{i}": 1.0 if i < 20 else 0.0 for i in range(60)}
    alone = paired_interval(differences)
    grouped = paired_interval(differences, {f"t{i}": str(i // 5) for i in range(60)})
    assert grouped.estimate == alone.estimate
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)
    assert (alone.n_groups, grouped.n_groups) == (60, 12)


def test_a_group_of_one_task_is_that_task():
    differences = {f"t{i}": (i % 3 - 1) / 3 for i in range(30)}
    assert paired_interval(differences, {task: task for task in differences}) == paired_interval(differences)


def test_one_group_says_nothing_and_equal_differences_do_not_say_all():
    assert (paired_interval({"a": 0.5, "b": 0.5}, {"a": "g", "b": "g"}).low) == -1.0
    still = paired_interval({f"t{i}": 0.0 for i in range(30)})
    assert (still.low, still.high) == pytest.approx((-0.1, 0.1))


def test_nothing_measured_is_no_interval():
    with pytest.raises(ValueError, match="nothing to compare"):
        paired_interval({})


@given(named)
def test_swapping_the_sides_mirrors_the_interval(differences):
    there = paired_interval(differences)
    back = paired_interval({task: -value for task, value in differences.items()})
    assert -1 <= there.low <= there.estimate + 1e-12
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)


def test_the_interval_covers_the_truth_about_95_times_in_100_when_tasks_come_in_groups():
    dice = random.Random(5)
    n_covered = 0
    for _ in range(1000):
        differences, groups, shifts = {}, {}, [dice.gauss(0.05, 0.2) for _ in range(25)]
        for i in range(100):
            p, groups[f"t{i}"] = min(1.0, max(0.0, 0.5 + shifts[i % 25])), str(i % 25)
            differences[f"t{i}"] = float(dice.random() < p) - 0.5
        found = paired_interval(differences, groups)
        n_covered += found.low <= 0.05 <= found.high
    assert 920 <= n_covered <= 980
