"""The regression suite grows from solved failures and drops nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.evalcase import EvalCase, Verification
from optimizer.evals.admission import Rules
from optimizer.evals.suite import Suite, Tally, drafted
from tests.evals.cases import BELIEVED, case
from tests.mining.test_clusters import failure

SOLVED = Tally(n=2, n_passes=2, n_held=2)


def active_suite(*cases: EvalCase, limit: int = 10, rules: Rules | None = None) -> Suite:
    suite = Suite(limit=limit, rules=rules)
    for each in cases:
        suite.draft(each)
        suite.promote(each.id, SOLVED)
    return suite


def test_a_failure_becomes_a_case_once_per_task_and_cluster():
    suite = Suite(limit=10)
    (made,) = suite.draft(drafted(failure("t1", severity=0.7), 1, ("returns",)))
    assert (made.state, made.weight, made.slices) == ("candidate", 0.7, ("returns", "planning.missing_step"))
    assert suite.draft(drafted(failure("t1"), 1, ())) == ()
    assert len(suite.draft(drafted(failure("t1"), 2, ()))) == 1


def test_a_verified_case_joins_when_every_repeat_passes_and_waits_when_some_do():
    suite = Suite(limit=10)
    tallies = {"t1": SOLVED, "t2": Tally(n=2, n_passes=1, n_held=1), "t3": Tally(n=2, n_passes=0, n_held=0)}
    for task, tally in tallies.items():
        suite.draft(case(task))
        suite.promote(f"{task}-1", tally)
    assert {c.task_id: c.state for c in suite} == {"t1": "active", "t2": "verified", "t3": "verified"}
    assert [c.task_id for c in suite.active()] == ["t1"]
    assert "passed 1 of 2 on an accepted version" in {c.task_id: c.note for c in suite}["t2"]


def test_a_solved_case_without_repeat_evidence_asks_for_runs_and_does_not_join_until_they_are_in():
    suite = Suite(limit=10)
    once = replace(BELIEVED, n_failing=1, n_failing_runs=1)
    suite.draft(case(found=once))
    assert suite.lacking(case(found=once), SOLVED) == 2
    assert suite.lacking(case(found=once), Tally(n=2, n_passes=1, n_held=1)) == 0
    (waiting,) = suite.promote("t1-1", SOLVED)
    assert waiting.state == "candidate"
    suite.verify("t1-1", BELIEVED)
    (joined,) = suite.promote("t1-1", SOLVED)
    assert joined.state == "active"
    assert joined.n_runs == 4


def test_a_case_whose_check_holds_while_the_task_still_fails_joins_for_that_check_alone():
    (joined,) = (suite := Suite(limit=10)).draft(case()) and suite.promote("t1-1", Tally(n=2, n_passes=0, n_held=2))
    assert (joined.state, joined.layer, joined.pass_rate) == ("active", "deterministic", 1.0)
    assert "its check held in 2 of 2" in joined.note


def test_infrastructure_errors_promote_nobody():
    suite = Suite(limit=10)
    suite.draft(case())
    assert suite.promote("t1-1", Tally(n=0, n_passes=0, n_held=0)) == ()


def test_an_active_case_that_mostly_fails_is_quarantined_with_a_reason_and_comes_back_when_it_is_stable():
    suite = active_suite(case())
    (kept,) = suite.observe({"t1-1": (1, 2)})
    assert kept.state == "active"
    (flaky,) = suite.observe({"t1-1": (0, 3)})
    assert (flaky.state, flaky.note) == ("quarantined", "flaky: passes 43% of 7 runs on accepted versions")
    assert suite.active() == ()
    suite.observe({"t1-1": (2, 2)})
    suite.observe({"t1-1": (0, 1)})
    assert suite.observe({"t1-1": (2, 2)})[0].state == "quarantined"
    (back,) = suite.observe({"t1-1": (1, 1)})
    assert (back.state, back.note) == ("active", "stable again: passed its last 3 of 3 runs")
    assert (back.n_passes, back.n_runs) == (8, 13)


def test_a_case_that_was_flaky_where_it_failed_is_admitted_once_more_repeats_fail():
    suite = Suite(limit=10)
    (flaky,) = suite.draft(case(found=replace(BELIEVED, n_failing=1)))
    assert flaky.state == "quarantined"
    (better,) = suite.verify("t1-1", replace(BELIEVED, n_failing=4, n_failing_runs=6))
    assert better.state == "verified"


def test_a_leaking_or_duplicate_case_never_joins_however_often_it_passes():
    for found in (replace(BELIEVED, leak="x"), replace(BELIEVED, nearest_case="c", similarity=1.0)):
        suite = active_suite(case(found=found))
        assert [c.state for c in suite] == ["quarantined"]
        assert suite.active() == ()


def test_the_gate_gets_heavy_and_sure_cases_of_all_slices_up_to_the_limit_and_none_is_dropped():
    many = [case(f"a{i}", slices=("returns",)) for i in range(4)]
    other = case("b", slices=("billing",), weight=0.6)
    light = case("c", slices=("returns",), weight=0.1)
    suite = active_suite(*many, light, other, limit=2)
    assert {c.task_id for c in suite.active()} == {"a0", "b"}
    assert len(list(suite)) == 6
    suite = active_suite(*many, light, limit=4)
    assert "c" not in {c.task_id for c in suite.active()}


def test_a_task_is_run_once_and_a_whole_task_covers_its_checks():
    part = {"layer": "deterministic", "state": "active", "n_runs": 1, "n_passes": 1}
    suite = active_suite(case("t1", 1), case("t1", 2))
    assert len(suite.active()) == 1
    suite = Suite(limit=10)
    for cluster, check in ((1, "a"), (2, "b"), (3, "b")):
        suite.draft(case("t1", cluster, check=check))
        suite.promote(f"t1-{cluster}", Tally(n=1, n_passes=0, n_held=1))
    assert {c.check for c in suite.active()} == {"a", "b"}
    assert {c.layer for c in suite.active()} == {part["layer"]}


def test_cheap_layers_come_first():
    suite = active_suite(case("t1", weight=1.0))
    suite.draft(case("t2", weight=0.2))
    suite.promote("t2-1", Tally(n=1, n_passes=0, n_held=1))
    assert [c.layer for c in suite.active()] == ["deterministic", "behavioural"]


def test_cases_of_a_reopened_cluster_say_so_and_the_last_time_counts():
    suite = active_suite(case("t1"), case("t2", 2))
    (told,) = suite.reopened(1, "cluster 1 was reopened in batch 7, since abc")
    assert told.state == "active"
    assert told.note.startswith("cluster 1 was reopened in batch 7, since abc; passed 2 of 2")
    (again,) = suite.reopened(1, "cluster 1 was reopened in batch 9, since def")
    assert again.note.startswith("cluster 1 was reopened in batch 9, since def; passed 2 of 2")


@given(n_real=st.integers(0, 12), n_synthetic=st.integers(0, 12), limit=st.integers(1, 20), share=st.floats(0, 0.5))
def test_made_up_cases_never_pass_their_share_of_a_suite(n_real: int, n_synthetic: int, limit: int, share: float):
    real = [case(f"r{i}") for i in range(n_real)]
    made = [case(f"s{i}", synthetic_of="r0-1", weight=3.0) for i in range(n_synthetic)]
    suite = active_suite(*made, *real, limit=limit, rules=Rules(synthetic_share=share))
    for chosen in (suite.active(), suite.kept()):
        assert sum(c.synthetic_of is not None for c in chosen) <= share * len(chosen) + 1e-6
    assert {c.task_id for c in suite.kept() if c.synthetic_of is None} == {f"r{i}" for i in range(n_real)}


def test_verification_changes_what_is_not_yet_active_only():
    suite = active_suite(case())
    assert suite.verify("t1-1", Verification()) == ()
