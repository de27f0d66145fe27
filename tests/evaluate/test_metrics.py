"""What a rollout is measured by besides its pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.domain.budget import Spend
from optimizer.domain.rollout import Rollout, RolloutJob, Status
from optimizer.domain.task import Check, Score, Task
from optimizer.domain.trace import Span, Usage
from optimizer.evaluate.metrics import HANDOVER, recorded_metrics, values_of
from optimizer.gate.contract import Contract, Metric
from optimizer.gateway.tape import DoorRecord
from optimizer.mining.detectors import view
from tests.evaluate.fakes import rollout_of

JOB = RolloutJob(tree="t" * 40, task=Task(id="v", split="val", group="v"), purpose="val", trial=0)


def call(name: str, arguments: dict[str, int], *, is_error: bool = False) -> Span:
    return Span(index=0, kind="tool_call", name=name, input=arguments, output="", is_error=is_error)


def recorded(*calls: Span, score: Score | None = None, usd: float | None = 0.0) -> dict[str, float]:
    record = DoorRecord(
        spans=calls,
        usage=Usage(usd=usd),
        worth=Spend(usd=0.02, tokens=70),
        is_over=True,
        cap_hit=None,
        infra=None,
    )
    return recorded_metrics(score or Score(value=1, checks=()), record)


def done(status: Status = "passed", **changes: object) -> Rollout:
    return replace(rollout_of(JOB, status), **changes)  # type: ignore[arg-type]


def test_a_trajectory_loses_by_calls_that_failed_or_were_made_before() -> None:
    calls = (
        call("a", {"x": 1, "y": 2}),
        call("a", {"y": 2, "x": 1}),
        call("b", {}, is_error=True),
        call("a", {"x": 2}),
    )
    assert recorded(*calls)["trajectory"] == 0.5
    assert recorded()["trajectory"] == 1.0


def test_an_escalation_is_a_hand_over_that_was_not_refused() -> None:
    assert recorded(call("escalate_to_human", {}))["escalation"] == 1.0
    assert recorded(call("escalate_to_human", {}, is_error=True))["escalation"] == 0.0
    assert view.HANDOVER.pattern == HANDOVER.pattern


def test_replayed_calls_cost_what_they_would_have_cost_and_an_unknown_price_is_no_price() -> None:
    assert recorded(usd=0.0)["usd"] == 0.02
    assert recorded(usd=0.0)["tokens"] == 70
    assert "usd" not in recorded(usd=None)


def test_what_the_benchmark_reports_is_kept_by_its_name() -> None:
    assert recorded(score=Score(value=1, checks=(), metrics={"csat": 4.5}))["csat"] == 4.5


@pytest.mark.parametrize("metrics", [{"success": 1.0}, {"Csat": 1.0}, {"csat": float("nan")}])
def test_a_metric_with_a_taken_name_or_without_a_number_is_refused(metrics: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="metric"):
        Score(value=1, checks=(), metrics=metrics)


def test_safety_asks_the_listed_checks_alone() -> None:
    checks = (Check(name="confirmed", is_passed=False), Check(name="polite", is_passed=True))
    assert values_of(done(checks=checks), Contract(safety_checks=("confirmed",)))["safety"] == 0.0
    assert values_of(done(checks=checks), Contract(safety_checks=("polite",)))["safety"] == 1.0
    assert values_of(done(checks=checks), Contract())["check:confirmed"] == 0.0


def test_latency_is_not_measured_where_a_call_was_replayed() -> None:
    assert values_of(done(wall_s=3.0), Contract())["latency_s"] == 3.0
    assert "latency_s" not in values_of(done(usage=Usage(n_calls=2, n_replayed_calls=1)), Contract())


def test_a_crash_counts_as_the_worst_of_what_the_benchmark_did_not_report() -> None:
    contract = Contract(metrics=(Metric(name="csat"), Metric(name="returns", direction="minimize", scale=5.0)))
    crashed, passed = (values_of(done(status), contract) for status in ("crashed", "passed"))
    assert (crashed["csat"], crashed["returns"]) == (0.0, 5.0)
    assert "csat" not in passed
    assert values_of(done("crashed", metrics={"csat": 0.7}), contract)["csat"] == 0.7
