"""The target test: evidence by betting on pairs."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.gate.target import Pair, TargetRule, judge_target

RULE = TargetRule()

outcome = st.sampled_from([True, False, None])
pairs = st.builds(Pair, task_id=st.sampled_from("abcdef"), candidate=outcome, trunk=outcome)
rounds = st.lists(st.lists(pairs, min_size=1, max_size=6).map(tuple), min_size=1, max_size=18).map(tuple)


def duel(candidate: bool | None, trunk: bool | None) -> Pair:
    return Pair(task_id="t", candidate=candidate, trunk=trunk)


def test_four_wins_in_a_row_pass_at_ten_to_one():
    test = judge_target(((duel(True, False),) * 4,), RULE)
    assert test.state == "passed"
    assert test.e_value == pytest.approx(1.8**4)


def test_two_losses_end_the_test():
    test = judge_target(((duel(False, True),) * 2,), RULE)
    assert test.state == "failed"
    assert test.e_value == pytest.approx(0.04)


def test_equal_outcomes_leave_the_evidence_at_one_until_the_rollouts_are_used_up():
    test = judge_target(((duel(True, True),) * 6,) * 3, RULE)
    assert test.e_value == 1.0
    assert test.state == "broad"
    assert test.n_rollouts <= 18


def test_the_test_ends_when_even_only_wins_could_not_reach_the_bar():
    test = judge_target(((duel(False, False),) * 6,) * 3, RULE)
    assert test.n_rollouts == 18 or 1.8 ** (18 - test.n_rollouts) < 10


def test_an_edit_that_never_mattered_on_its_own_targets_is_not_run_on():
    inert = Pair(task_id="t", candidate=False, trunk=False, is_replayed=True)
    assert judge_target(((inert,) * 4,), RULE).state == "continue"
    assert judge_target(((inert,) * 4,) * 2, RULE).state == "failed"


@given(rounds)
def test_infrastructure_errors_never_move_the_evidence(played):
    cleaned = tuple(
        tuple(p if None not in (p.candidate, p.trunk) else duel(None, None) for p in pairs_) for pairs_ in played
    )
    assert judge_target(played, RULE) == judge_target(cleaned, RULE)


@given(rounds)
def test_the_verdict_is_that_of_the_first_round_that_ended_the_test(played):
    whole = judge_target(played, RULE)
    for n in range(1, len(played)):
        partial = judge_target(played[:n], RULE)
        if partial.state != "continue":
            assert partial == whole
            break


@given(rounds)
def test_swapping_the_sides_mirrors_wins_and_losses(played):
    swapped = tuple(
        tuple(Pair(task_id=p.task_id, candidate=p.trunk, trunk=p.candidate) for p in pairs_) for pairs_ in played
    )
    first, second = judge_target(played[:1], RULE), judge_target(swapped[:1], RULE)
    n = sum(p.candidate != p.trunk for p in played[0] if None not in (p.candidate, p.trunk))
    assert math.isclose(first.e_value * second.e_value, (1.8 * 0.2) ** n, rel_tol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_an_edit_that_fixes_nothing_passes_at_most_one_time_in_ten(k):
    dice = random.Random(k)
    n = 4000
    passed = 0
    for _ in range(n):
        played = tuple(
            tuple(duel(dice.random() < 0.5, dice.random() < 0.5) for _ in range(k)) for _ in range(-(-18 // k))
        )
        passed += judge_target(played, RULE).state == "passed"
    assert passed / n <= 0.10
