"""Suite verdicts and decisions in words and numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.gate.decide import decide
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import posterior
from optimizer.gate.policy import Policy
from optimizer.gate.suite import CaseRuns, judge_suite
from optimizer.gate.target import TargetTest

POLICY = Policy()


def case(passes: int, runs: int, expected: float = 0.97, *, pinned: bool = False, task: str = "t1") -> CaseRuns:
    return CaseRuns(case_id=task, task_id=task, n_passes=passes, n_runs=runs, expected=expected, is_pinned=pinned)


def target(state: str = "passed", e_value: float = 10.5) -> TargetTest:
    return TargetTest(state=state, e_value=e_value, n_candidate_passes=8, n_trunk_passes=4, n_pairs=12, n_rollouts=12)


def test_a_stable_case_that_fails_every_repeat_is_broken():
    assert case(0, 3).is_broken


def test_a_flaky_case_is_not_broken_by_bad_luck():
    assert not case(0, 3, expected=0.5).is_broken


def test_a_case_lost_to_infrastructure_is_neither_broken_nor_counted():
    verdict = judge_suite((case(0, 0), case(1, 1, task="t2")), required_rate=0.8)
    assert (verdict.is_passed, verdict.n_cases) == (True, 1)


def test_a_pinned_case_may_not_break_whatever_the_rate():
    verdict = judge_suite((case(0, 3, pinned=True), *(case(1, 1, task=f"t{i}") for i in range(9))), required_rate=0.8)
    assert not verdict.is_passed
    assert "t1" in verdict.note


def test_up_to_a_fifth_of_the_suite_may_break_by_default():
    held = tuple(case(1, 1, task=f"h{i}") for i in range(8))
    broken = tuple(case(0, 3, task=f"b{i}") for i in range(3))
    assert judge_suite((*held, *broken[:2]), required_rate=0.8).is_passed
    assert not judge_suite((*held, *broken), required_rate=0.8).is_passed


def test_a_heavy_case_may_not_break_where_as_many_light_ones_may():
    light = tuple(replace(case(1, 1, task=f"h{i}"), weight=0.2) for i in range(9))
    assert judge_suite((*light, replace(case(0, 3), weight=0.2)), required_rate=0.8).is_passed
    heavy = judge_suite((*light, replace(case(0, 3), weight=1.0)), required_rate=0.8)
    assert not heavy.is_passed
    assert heavy.named == ("case t1 (task t1)",)
    assert "broken: case t1 (task t1)" in heavy.note


def test_how_much_may_break_is_counted_over_the_whole_suite_when_a_part_of_it_is_judged_first():
    assert not judge_suite((case(0, 3),), required_rate=0.8).is_passed
    assert judge_suite((case(0, 3),), required_rate=0.8, n_suite=5).is_passed
    assert not judge_suite((case(0, 3), case(0, 3, task="t2")), required_rate=0.8, n_suite=9).is_passed


def test_an_accepted_edit_says_route_evidence_and_validation_in_one_sentence():
    post = posterior((0.3,) * 60 + (-0.29,) * 40, 0.0)
    evidence = Evidence(
        candidate=7, target=target(), validation=post, is_admitted=True, n_val_tasks=100, trunk_estimate=0.5
    )
    decision = decide(evidence, POLICY)
    assert decision.verdict == "accept"
    assert decision.reason == (
        "accepted (target route): targets 8/12 vs trunk 4/12 (e-value 10.5, need 10);"
        f" val +6.4 pts on 100 of 100 tasks vs pooled trunk, P(better) = {post.p_better:.2f} (need 0.50)"
    )


@pytest.mark.parametrize(
    ("evidence", "verdict", "code"),
    [
        (Evidence(candidate=1, crash="ImportError"), "reject", "crash"),
        (Evidence(candidate=1, target=target("failed", 0.2)), "reject", "noise"),
        (Evidence(candidate=1, target=target("continue", 1.0)), "inconclusive", "stop"),
        (Evidence(candidate=1, target=target()), "inconclusive", "stop"),
        (Evidence(candidate=1, n_rollouts=10, n_unmeasured=5, crash="x"), "inconclusive", "infra"),
        (
            Evidence(candidate=1, target=target(), suite=judge_suite((case(0, 3),), required_rate=0.8)),
            "reject",
            "suite",
        ),
        (Evidence(candidate=1, target=target(), validation=posterior((-0.1,), 0.0)), "reject", "val"),
        (
            Evidence(candidate=1, target=target("broad", 0.9), validation=posterior((0.9,) * 50, 0), is_admitted=True),
            "accept",
            "broad",
        ),
    ],
)
def test_every_stage_a_race_can_end_at_has_its_verdict(evidence, verdict, code):
    decision = decide(evidence, POLICY)
    assert (decision.verdict, decision.reason_code) == (verdict, code)
    assert len(decision.checks) == 4
