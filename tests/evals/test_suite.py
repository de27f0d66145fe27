"""The regression suite grows from solved failures and drops nothing."""

from __future__ import annotations

from optimizer.evals.suite import Suite
from tests.mining.test_clusters import failure


def test_a_failure_becomes_a_case_once_per_task_and_cluster():
    suite = Suite(limit=10)
    (case,) = suite.draft(failure("t1"), 1)
    assert case.state == "candidate"
    assert suite.draft(failure("t1"), 1) == ()
    assert len(suite.draft(failure("t1"), 2)) == 1


def test_a_case_joins_when_every_repeat_passes_and_waits_when_some_do():
    suite = Suite(limit=10)
    for task in ("t1", "t2", "t3"):
        suite.draft(failure(task), 1)
    states = {c.task_id: c.state for c in suite.promote(1, {"t1": (2, 2), "t2": (1, 2), "t3": (0, 2)})}
    assert states == {"t1": "active", "t2": "verified", "t3": "candidate"}
    assert [case.task_id for case in suite.active()] == ["t1"]


def test_infrastructure_errors_promote_nobody():
    suite = Suite(limit=10)
    suite.draft(failure("t1"), 1)
    assert suite.promote(1, {"t1": (0, 0)}) == ()


def test_an_active_case_that_mostly_fails_on_accepted_versions_is_quarantined_with_a_reason():
    suite = Suite(limit=10)
    suite.draft(failure("t1"), 1)
    (case,) = suite.promote(1, {"t1": (2, 2)})
    (kept,) = suite.observe({case.id: (1, 2)})
    assert kept.state == "active"
    (flaky,) = suite.observe({case.id: (0, 3)})
    assert flaky.state == "quarantined"
    assert "3 of 7" not in flaky.note
    assert "7 runs" in flaky.note
    assert suite.active() == ()


def test_the_gate_gets_the_surest_cases_up_to_the_limit_and_none_is_dropped():
    suite = Suite(limit=2)
    for i in range(4):
        suite.draft(failure(f"t{i}"), 1)
    suite.promote(1, {f"t{i}": (2, 2) for i in range(4)})
    weak = next(case for case in suite if case.task_id == "t0")
    suite.observe({weak.id: (1, 2)})
    assert len(suite.active()) == 2
    assert "t0" not in {case.task_id for case in suite.active()}
    assert len(list(suite)) == 4
