"""Whole courses, driven with outcomes that are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.gate.course import Contest, Outcome, SuiteCase, Want, drive
from optimizer.gate.decide import decide
from optimizer.gate.guard import Cell, TrunkRecord
from optimizer.gate.policy import Policy
from optimizer.gate.rules import course_of

TARGETS = ("t0", "t1", "t2", "t3")
VAL = tuple(f"v{i}" for i in range(30))


class Table(dict[Want, Outcome]):
    """Outcomes by rule, made when they are asked for."""

    def __init__(self, plan) -> None:
        super().__init__()
        self._plan = plan

    def __missing__(self, want: Want) -> Outcome:
        self[want] = self._plan(want)
        return self[want]


def contest(**changes) -> Contest:
    record = TrunkRecord(cells={}).measured({task: i % 2 == 0 for i, task in enumerate(VAL)})
    base = Contest(
        candidate=3, targets=TARGETS, record=record, val_order=VAL, trunk_val={t: i % 2 == 0 for i, t in enumerate(VAL)}
    )
    return replace(base, **changes)


def passes(is_pass: bool | None) -> Outcome:
    return Outcome(is_pass=is_pass)


def good_edit(want: Want) -> Outcome:
    if want.purpose == "target":
        return passes(want.side == "candidate")
    return passes(want.purpose == "suite" or int(want.task[1:]) % 2 == 0)


def verdict(case: Contest, run: Mapping[Want, Outcome], policy: Policy) -> str:
    return decide(drive(course_of(case, policy), run), policy).verdict


@pytest.mark.parametrize("rule", ["trial", "published", "paired-kse"])
def test_a_candidate_that_crashes_costs_one_pair(rule):
    table = Table(
        lambda want: Outcome(is_pass=False, crash="ImportError") if want.side == "candidate" else passes(True)
    )
    policy = Policy(rule=rule)
    decision = decide(drive(course_of(contest(), policy), table), policy)
    assert (decision.verdict, decision.reason_code, len(table)) == ("reject", "crash", 2)


def test_published_accepts_what_equals_the_best_score_ever_seen_and_trial_looks_at_the_targets():
    policy = Policy(rule="published")
    table = Table(lambda want: passes(want.purpose == "val" and int(want.task[1:]) % 2 == 0))
    assert verdict(contest(best_val=0.5), table, policy) == "accept"
    assert verdict(contest(best_val=0.51), table, policy) == "reject"
    assert verdict(contest(best_val=0.5), table, Policy()) == "reject"


def test_published_counts_single_suite_runs_where_trial_repeats_them():
    suite = tuple(SuiteCase(id=f"c{i}", task=f"s{i}", expected=0.95) for i in range(4))
    table = Table(lambda want: passes(want.trial > 0) if want.purpose == "suite" else good_edit(want))
    assert verdict(contest(suite=suite), table, Policy(rule="published")) == "reject"
    assert verdict(contest(suite=suite), table, Policy()) == "accept"


def test_paired_kse_wants_a_difference_of_k_standard_errors():
    table = Table(lambda want: passes(want.purpose != "val" or int(want.task[1:]) % 2 == 0 or want.task == "v1"))
    assert verdict(contest(), table, Policy(rule="paired-kse", k_se=0.5)) == "accept"
    assert verdict(contest(), table, Policy(rule="paired-kse", k_se=2.0)) == "reject"


def test_a_second_pass_over_validation_is_run_only_where_the_first_left_it_open():
    table = Table(good_edit)
    drive(course_of(contest(), Policy(val_passes=2)), table)
    assert {want.trial for want in table if want.purpose == "val"} == {0, 1}


def test_every_rule_says_in_its_own_words_what_it_needed():
    reasons = {rule: reason_of(rule) for rule in ("trial", "published", "paired-kse")}
    assert "P(better) = " in reasons["trial"]
    assert "need the best ever seen, 0.500" in reasons["published"]
    assert "standard errors" in reasons["paired-kse"]


def reason_of(rule) -> str:
    policy = Policy(rule=rule)
    return decide(drive(course_of(contest(best_val=0.5), policy), Table(good_edit)), policy).reason


@st.composite
def situations(draw) -> tuple[Contest, list[bool | None]]:
    n_val = draw(st.integers(1, 25))
    cells = draw(
        st.lists(st.tuples(st.floats(0, 1), st.floats(0.5, 12)), min_size=n_val, max_size=n_val).map(
            lambda pairs: {f"v{i}": Cell(passes=rate * runs, runs=runs) for i, (rate, runs) in enumerate(pairs)}
        )
    )
    suite = tuple(
        SuiteCase(id=f"c{i}", task=f"s{i}", expected=draw(st.floats(0, 1)), is_pinned=draw(st.booleans()))
        for i in range(draw(st.integers(0, 3)))
    )
    case = Contest(
        candidate=1,
        targets=tuple(f"t{i}" for i in range(draw(st.integers(1, 6)))),
        record=TrunkRecord(cells=cells),
        val_order=tuple(cells),
        suite=suite,
        best_val=draw(st.floats(0, 1)),
    )
    return case, draw(st.lists(st.sampled_from([True, True, True, False, False, None]), min_size=40, max_size=120))


def spread(values: list[bool | None]) -> Table:
    """The same value for the same want, whatever was asked before it."""

    def plan(want: Want) -> Outcome:
        at = crc32(f"{want.side}{want.purpose}{want.task[1:]}/{want.trial}".encode())
        if want.side == "trunk":
            return passes(values[at % len(values)] and values[(at // 7) % len(values)])
        return passes(values[at % len(values)])

    return Table(plan)


@settings(max_examples=400)
@given(situations(), st.data(), st.sampled_from(["trial", "published"]))
def test_turning_a_pass_of_the_candidate_into_a_fail_never_turns_a_reject_into_an_accept(situation, data, rule):
    case, values = situation
    policy = Policy(rule=rule, val_passes=data.draw(st.integers(1, 2)), max_infra_share=1.0)
    table = spread(values)
    before = verdict(case, table, policy)
    flippable = [want for want, outcome in table.items() if want.side == "candidate" and outcome.is_pass]
    if before == "accept" or not flippable:
        return
    worse = spread(values)
    for want in data.draw(st.lists(st.sampled_from(flippable), min_size=1, max_size=3)):
        worse[want] = passes(False)
    assert verdict(case, worse, policy) != "accept"


@settings(max_examples=200)
@given(situations(), st.sampled_from(["trial", "published", "paired-kse"]))
def test_equal_outcomes_in_equal_order_give_identical_decisions(situation, rule):
    case, values = situation
    policy = Policy(rule=rule)
    first, second = (decide(drive(course_of(case, policy), spread(values)), policy) for _ in range(2))
    assert first == second
    assert repr(first) == repr(second)


@settings(max_examples=200)
@given(situations(), st.sampled_from(["trial", "published", "paired-kse"]))
def test_the_names_of_tasks_do_not_matter(situation, rule):
    case, values = situation
    policy = Policy(rule=rule)
    renamed = replace(
        case,
        record=TrunkRecord(cells={f"w{task[1:]}": cell for task, cell in case.record.cells.items()}),
        val_order=tuple(f"w{task[1:]}" for task in case.val_order),
    )
    assert verdict(case, spread(values), policy) == verdict(renamed, spread(values), policy)


@settings(max_examples=200)
@given(situations())
def test_what_was_not_measured_never_decides(situation):
    """Runs lost to infrastructure are as if they had not been asked for: all lost is no verdict for or against."""
    case, _ = situation
    nothing = Table(lambda _: passes(None))
    evidence = drive(course_of(case, Policy()), nothing)
    assert evidence.target.e_value == 1.0
    lost = replace(evidence, n_rollouts=len(nothing), n_unmeasured=len(nothing))
    assert decide(lost, Policy()).verdict == "inconclusive"
