"""A case is believed only when every part of its verification holds; whatever speaks against it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.evalcase import Verification
from optimizer.evals.admission import REFUSED, Rules, lacking_runs, standing
from tests.evals.cases import BELIEVED, case

RULES = Rules()


def state_of(**findings: object) -> tuple[str, str]:
    found = standing(case(found=replace(BELIEVED, **findings)), RULES)
    return found.state, found.note


def test_a_case_that_fails_again_and_that_something_passes_is_verified():
    assert state_of() == ("verified", "failed 3 of 3, its check accepts gold")


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ({"leak": "order BV-1234567"}, "val or test: “order BV-1234567”"),
        ({"nearest_case": "c9", "similarity": 0.8}, "near-duplicate of case c9 (similarity 0.80)"),
        ({"n_failing": 1}, "flaky: passes 2 of 3 runs on the harness that failed"),
        ({"known_good": REFUSED}, "unfixable"),
    ],
)
def test_what_speaks_against_a_case_quarantines_it_and_is_said(findings, words):
    state, note = state_of(**findings)
    assert state == "quarantined"
    assert words in note


def test_a_person_may_override_what_was_found_in_the_text_but_not_what_the_runs_say():
    text = {"leak": "some words", "nearest_case": "c9", "similarity": 1.0}
    assert state_of(**text, overridden_by="ana")[0] == "verified"
    assert "admitted by ana" in state_of(**text, overridden_by="ana")[1]
    assert state_of(n_failing=1, overridden_by="ana")[0] == "quarantined"
    assert state_of(known_good=REFUSED, overridden_by="ana")[0] == "quarantined"


def test_without_repeats_or_a_known_good_run_a_case_waits():
    assert state_of(n_failing=1, n_failing_runs=1) == ("candidate", "failed 1 of 1; 2 repeats are needed")
    assert state_of(known_good="") == ("candidate", "no run is known that its check accepts")
    assert lacking_runs(Verification(n_failing=2, n_failing_runs=2), RULES) == 1


def test_a_likeness_below_the_bar_is_no_objection():
    assert state_of(nearest_case="c9", similarity=0.79)[0] == "verified"


@given(failing=st.integers(1, 9), passing=st.integers(0, 9), rate=st.floats(0, 1))
def test_no_verified_case_passes_more_of_its_repeats_than_stated(failing: int, passing: int, rate: float):
    found = replace(BELIEVED, n_failing=failing, n_failing_runs=failing + passing)
    rules = Rules(flaky_rate=rate)
    if standing(case(found=found), rules).state == "verified":
        assert failing + passing - 1 >= rules.verify_runs
        assert passing <= rate * (failing + passing - 1)
