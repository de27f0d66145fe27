"""The metric contract: what no gain may buy, what counts beside success, and that nothing changes without one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.domain.candidate import Decision
from optimizer.gate.contract import PLAIN, UTILITY, Contract, Metric, SliceBound
from optimizer.gate.course import Contest, Outcome, Want, drive
from optimizer.gate.decide import decide
from optimizer.gate.policy import Policy
from optimizer.gate.pooled import pool
from optimizer.gate.rules import course_of
from tests.gate.test_rules import VAL, Table, contest, good_edit, situations, spread

CSAT = Metric(name="csat")
RULES = ("trial", "published", "paired-kse")


def value_of(task: str, *, success: bool, csat: float, usd: float = 0.02) -> dict[str, float]:
    return {"success": float(success), "csat": csat, "usd": usd}


def known(contract: Contract, *, csat: float = 0.5, usd: float = 0.02) -> Contest:
    """A trunk that passes every second validation task, with equal csat and cost everywhere."""
    case = contest(slices={task: ("refund",) if i < 10 else ("other",) for i, task in enumerate(VAL)})
    runs = {task: value_of(task, success=i % 2 == 0, csat=csat, usd=usd) for i, task in enumerate(VAL)}
    pooled = pool({}, contract, {task: (run,) for task, run in runs.items()})
    return replace(case, pooled=pooled, trunk_metrics=runs)


def judged(contract: Contract, validation, *, rule: str = "trial", **trunk: float) -> Decision:
    """An edit that fixes its targets, and what it does on the i-th validation task."""
    policy = Policy(rule=rule, contract=contract)  # type: ignore[arg-type]

    def plan(want: Want) -> Outcome:
        if want.purpose != "val":
            return good_edit(want)
        values = validation(int(want.task[1:]))
        return Outcome(is_pass=bool(values["success"]), metrics=values)

    return decide(drive(course_of(known(contract, **trunk), policy), Table(plan)), policy)


def kinder_but_worse(i: int) -> dict[str, float]:
    """CSAT 0.5 -> 0.9, success 0.5 -> 0.4."""
    return value_of("", success=i % 2 == 0 and i % 5 != 0, csat=0.9)


def as_before(i: int) -> dict[str, float]:
    return value_of("", success=i % 2 == 0, csat=0.5)


def check_of(decision: Decision, name: str):
    return next(check for check in decision.checks if check.name == name)


def weighing_csat(floor: float | None) -> Contract:
    return Contract(policy="weighted", metrics=(replace(PLAIN, floor=floor), replace(CSAT, weight=2.0)))


def test_csat_up_and_success_down_is_stopped_by_a_floor_under_success_and_passes_a_lower_one():
    """The worked example of docs/contract.md."""
    stopped, passed = (judged(weighing_csat(floor), kinder_but_worse) for floor in (0.45, 0.35))
    assert (stopped.verdict, stopped.reason_code) == ("reject", "contract")
    assert "floor:success 0.4 < 0.45" in stopped.reason
    assert check_of(stopped, "floor:success").is_passed is False
    assert (passed.verdict, passed.reason_code) == ("accept", "target")
    assert check_of(passed, "floor:success").is_passed is True


def test_the_sentence_in_the_docs_is_the_one_that_is_said():
    page = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()
    assert judged(weighing_csat(0.45), kinder_but_worse).reason in " ".join(page.split())


def test_a_conflict_between_metrics_is_said_whichever_way_the_decision_goes():
    for floor in (0.45, 0.35):
        decision = judged(weighing_csat(floor), kinder_but_worse)
        assert "csat 0.9 vs trunk 0.5 (+0.4)" in decision.reason
        assert "success 0.4 vs trunk 0.5 (-0.1)" in decision.reason
        assert "conflict: csat better, success worse" in decision.reason
        assert check_of(decision, "metric:csat").is_passed is True
        assert check_of(decision, "metric:success").is_passed is False


def test_the_estimate_shown_stays_that_of_success_when_utility_decides():
    decision = judged(weighing_csat(None), kinder_but_worse)
    assert "val utility +" in decision.reason
    assert decision.val_after is not None
    assert decision.val_before is not None
    assert decision.val_after < decision.val_before


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_lets_a_breach_of_a_ceiling_pass_whatever_else_it_gains(rule):
    contract = Contract(metrics=(PLAIN, Metric(name="usd", direction="minimize", ceiling=0.03, scale=0.1)))
    cheap, dear = (
        judged(contract, lambda _, usd=usd: value_of("", success=True, csat=0.5, usd=usd), rule=rule)
        for usd in (0.03, 0.031)
    )
    assert cheap.verdict == "accept"
    assert (dear.verdict, dear.reason_code) == ("reject", "contract")


def test_a_floor_is_read_off_all_of_validation_although_the_guard_was_sure_before():
    better_at_first = {f"v{i}" for i in range(20)}
    contract = Contract(metrics=(replace(PLAIN, floor=0.9),))
    decision = judged(contract, lambda i: value_of("", success=f"v{i}" in better_at_first, csat=0.5))
    assert decision.verdict == "reject"
    assert "on 30 of 30 tasks" in decision.reason


def test_a_bound_on_a_slice_stops_what_hurts_that_slice_alone():
    metric = replace(PLAIN, slices=(SliceBound(slice="refund", bound=0.45), SliceBound(slice="other", bound=0.1)))
    contract = Contract(metrics=(metric,))
    decision = judged(contract, lambda i: value_of("", success=i >= 10, csat=0.5))
    assert decision.reason_code == "contract"
    assert check_of(decision, "floor:success@refund").is_passed is False
    assert check_of(decision, "floor:success@other").is_passed is True


@pytest.mark.parametrize(("is_relative", "tolerance"), [(False, 0.004), (True, 0.2)])
def test_a_guardrail_allows_a_loss_up_to_its_tolerance_absolute_or_relative(is_relative, tolerance):
    usd = Metric(name="usd", direction="minimize", scale=0.1, tolerance=tolerance, is_relative=is_relative)
    contract = Contract(metrics=(PLAIN, usd))
    within, beyond = (
        judged(contract, lambda _, price=price: value_of("", success=True, csat=0.5, usd=price))
        for price in (0.024, 0.0245)
    )
    assert within.verdict == "accept"
    assert (beyond.verdict, beyond.reason_code) == ("reject", "contract")
    assert "tolerance:usd" in beyond.reason


def test_in_a_lexicographic_contract_a_tie_of_the_first_lets_the_second_decide():
    contract = Contract(metrics=(replace(PLAIN, tie=0.15), CSAT))
    kinder = judged(contract, kinder_but_worse)
    ruder = judged(contract, lambda i: value_of("", success=i % 2 == 0, csat=0.2))
    assert kinder.verdict == "accept"
    assert "val csat +" in kinder.reason
    assert (ruder.verdict, ruder.reason_code) == ("reject", "val")


def test_in_a_lexicographic_contract_the_first_metric_that_differs_decides():
    contract = Contract(metrics=(PLAIN, CSAT))
    assert judged(contract, kinder_but_worse).verdict == "reject"
    assert judged(contract, lambda _: value_of("", success=True, csat=0.0)).verdict == "accept"
    assert judged(contract, lambda i: value_of("", success=i % 2 == 0, csat=0.9)).verdict == "accept"


def test_a_bound_on_what_was_never_measured_leaves_the_verdict_open():
    contract = Contract(metrics=(PLAIN, replace(CSAT, floor=0.1)))
    decision = judged(contract, lambda _: {"success": 1.0})
    assert (decision.verdict, decision.reason_code) == ("inconclusive", "contract")
    assert "floor:csat not measured" in decision.reason


def test_the_cost_is_in_the_words_with_and_without_a_contract():
    for contract in (Contract(), weighing_csat(None)):
        reason = judged(contract, lambda _: value_of("", success=True, csat=0.5, usd=0.0192)).reason
        assert reason.endswith("; cost -4 %")


def test_the_utility_lies_between_nought_and_one_and_costs_count_the_other_way():
    contract = Contract(
        policy="weighted", metrics=(PLAIN, Metric(name="usd", direction="minimize", weight=3, scale=0.1))
    )
    assert contract.weighs == UTILITY
    assert contract.utility(contract.norms({"success": 1.0, "usd": 0.05})) == pytest.approx((1 + 3 * 0.5) / 4)
    assert contract.utility(contract.norms({"success": 1.0, "usd": 9.0})) == pytest.approx(0.25)
    assert contract.utility(contract.norms({"success": 1.0})) is None


@settings(max_examples=200)
@given(situations(), st.sampled_from(RULES))
def test_without_a_contract_metrics_change_no_verdict_and_no_check(situation, rule):
    case, values = situation
    policy = Policy(rule=rule)
    bare = decide(drive(course_of(case, policy), spread(values)), policy)
    table = spread(values)
    drive(course_of(case, policy), table)
    noisy = Table(lambda want: replace(table[want], metrics={"usd": 1.0, "csat": 0.1}))
    assert decide(drive(course_of(case, policy), noisy), policy) == bare


@settings(max_examples=300)
@given(situations(), st.data(), st.floats(0, 1), st.sampled_from(["trial", "published"]))
def test_under_a_floor_too_one_more_fail_never_turns_a_reject_into_an_accept(situation, data, floor, rule):
    case, values = situation
    policy = Policy(rule=rule, max_infra_share=1.0, contract=Contract(metrics=(replace(PLAIN, floor=floor),)))
    table = spread(values)
    before = decide(drive(course_of(case, policy), table), policy).verdict
    flippable = [want for want, outcome in table.items() if want.side == "candidate" and outcome.is_pass]
    if before == "accept" or not flippable:
        return
    worse = spread(values)
    for want in data.draw(st.lists(st.sampled_from(flippable), min_size=1, max_size=3)):
        worse[want] = Outcome(is_pass=False)
    assert decide(drive(course_of(case, policy), worse), policy).verdict != "accept"


@settings(max_examples=200)
@given(situations(), st.floats(0, 1))
def test_what_a_floor_admits_holds_the_floor(situation, floor):
    case, values = situation
    policy = Policy(max_infra_share=1.0, contract=Contract(metrics=(replace(PLAIN, floor=floor),)))
    table = spread(values)
    if decide(drive(course_of(case, policy), table), policy).verdict != "accept":
        return
    runs: dict[str, list[bool]] = {}
    for want, outcome in table.items():
        if want.purpose == "val" and outcome.is_pass is not None:
            runs.setdefault(want.task, []).append(outcome.is_pass)
    rates = [sum(each) / len(each) for each in runs.values()]
    assert sum(rates) / len(rates) >= floor - 1e-6


@settings(max_examples=200)
@given(situations(), st.data(), st.sampled_from(["lexicographic", "weighted"]))
def test_under_every_policy_what_was_not_measured_decides_nothing(situation, data, policy_name):
    """All of validation lost: no verdict for or against, whatever the bounds."""
    case, values = situation
    metrics = (replace(PLAIN, floor=0.5, tie=data.draw(st.floats(0, 0.2))), replace(CSAT, floor=0.5, weight=2.0))
    policy = Policy(max_infra_share=1.0, contract=Contract(policy=policy_name, metrics=metrics))
    table = spread(values)
    lost = Table(lambda want: Outcome(is_pass=None) if want.purpose == "val" else table[want])
    decision = decide(drive(course_of(case, policy), lost), policy)
    assert decision.verdict != "accept"
    assert decision.reason_code not in {"contract", "val"}


def test_bounds_that_validation_never_reached_say_so():
    policy = Policy(contract=weighing_csat(0.45))
    crash = Table(lambda want: Outcome(is_pass=False, crash="ImportError" if want.side == "candidate" else None))
    decision = decide(drive(course_of(contest(), policy), crash), policy)
    assert decision.reason_code == "crash"
    assert {check.note for check in decision.checks[1:]} == {"not reached"}


def test_published_compares_scores_under_a_weighted_contract_too():
    decision = judged(weighing_csat(None), kinder_but_worse, rule="published")
    assert "val -10.0 pts" in decision.reason


def test_a_replayed_run_is_compared_with_the_trunks_own_and_differs_by_nothing():
    """The trunk's record says 0.25 of every task, its own run passed: the same run again is no gain."""
    contract = weighing_csat(None)
    case = known(contract, csat=0.5)
    policy = Policy(contract=contract)

    def plan(want: Want) -> Outcome:
        if want.purpose != "val":
            return good_edit(want)
        own = case.trunk_metrics[want.task]
        return Outcome(is_pass=bool(own["success"]), is_replayed=True, metrics=own)

    pooled = pool(case.pooled, contract, {task: ({"csat": 0.1, "usd": 0.5},) for task in VAL})
    decision = decide(drive(course_of(replace(case, pooled=pooled), policy), Table(plan)), policy)
    assert "val utility +0.0 pts" in decision.reason
    assert decision.reason.endswith("; cost +0 %")


def test_the_trunks_record_of_a_metric_fades_with_each_acceptance_and_has_a_bounded_memory():
    contract = Contract(metrics=(PLAIN, CSAT))
    record = pool({}, contract, {"v": ({"csat": 1.0},) * 40})
    assert record["csat"].raw.cells["v"].runs == pytest.approx(12)
    later = pool(record, contract, {"v": ({"csat": 0.0},) * 6}, keep=0.5)
    assert later["csat"].raw.cells["v"].rate == pytest.approx(0.5)
