"""From evidence to a decision: the verdict, every number behind it, and one sentence.

An edit is accepted when the tasks it promised to fix really pass more often than the current version does on the same
tasks (odds of at least 10:1 that this is not luck) and validation says it is more likely an improvement than a loss. If
the promise is inconclusive, it can still get in by being clearly better on validation (at least 80 %).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from optimizer.domain.candidate import Decision, GateCheck, ReasonCode, Verdict
from optimizer.domain.trace import Usage
from optimizer.gate.guard import BROAD_ROUTE, TARGET_ROUTE, GuardRule, Posterior
from optimizer.gate.suite import SuiteVerdict
from optimizer.gate.target import TargetRule, TargetTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings a person may turn."""

    target: TargetRule = field(default_factory=TargetRule)
    target_route: GuardRule = TARGET_ROUTE
    broad_route: GuardRule = BROAD_ROUTE
    regression_rate: float = 0.8
    """Share of the suite's stable cases that must hold, 0.0 to 1.0."""
    max_infra_share: float = 0.2
    """Share of unmeasured rollouts above which the verdict is inconclusive."""

    def route(self, test: TargetTest) -> GuardRule:
        """The validation rule that the target test has opened."""
        return self.target_route if test.state == "passed" else self.broad_route


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that was measured of a candidate, as far as the race went; None means not reached."""

    candidate: int
    crash: str | None = None
    """Why the smoke run crashed; None when it did not."""
    target: TargetTest | None = None
    suite: SuiteVerdict | None = None
    validation: Posterior | None = None
    """After the last block; None before the first."""
    is_admitted: bool = False
    """Whether validation ended with acceptance."""
    n_val_tasks: int = 0
    """Validation tasks in the split."""
    n_replayed: int = 0
    """Validation tasks answered wholly from recordings: a difference of exactly zero, at no cost."""
    trunk_estimate: float | None = None
    """Pooled trunk estimate before this candidate."""
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    n_rollouts: int = 0
    n_unmeasured: int = 0
    """Rollouts lost to infrastructure after all retries."""
    usage: Usage = field(default_factory=Usage)


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Judge the evidence. Total: every stage a race can end at has a verdict."""
    verdict, code, lead = _verdict(evidence, policy)
    numbers = _numbers(evidence, policy)
    post = evidence.validation
    return Decision(
        candidate=evidence.candidate,
        verdict=verdict,
        reason_code=code,
        reason=f"{lead}: {'; '.join(numbers)}" if numbers else lead,
        checks=_checks(evidence, policy),
        val_before=evidence.trunk_estimate,
        val_after=None if post is None or evidence.trunk_estimate is None else evidence.trunk_estimate + post.shrunk,
        val_interval=None if post is None else post.interval,
        fixed=evidence.fixed,
        broken=evidence.broken,
        n_rollouts=evidence.n_rollouts,
        usage=evidence.usage,
    )


def _verdict(evidence: Evidence, policy: Policy) -> tuple[Verdict, ReasonCode, str]:
    if evidence.n_unmeasured > policy.max_infra_share * max(1, evidence.n_rollouts):
        lost = f"{evidence.n_unmeasured} of {evidence.n_rollouts} rollouts were lost to infrastructure"
        return "inconclusive", "infra", f"inconclusive ({lost})"
    if evidence.crash is not None:
        return "reject", "crash", f"rejected (crash: {evidence.crash})"
    test = evidence.target
    if test is None or test.state == "continue":
        return "inconclusive", "stop", "inconclusive (stopped before the target test ended)"
    if test.state == "failed":
        return "reject", "noise", "rejected (target test)"
    return _late_verdict(evidence, "target" if test.state == "passed" else "broad")


def _late_verdict(evidence: Evidence, route: ReasonCode) -> tuple[Verdict, ReasonCode, str]:
    suite = evidence.suite
    if suite is not None and not suite.is_passed:
        return "reject", "suite", f"rejected (regression suite: breaks {', '.join(suite.named)})"
    if evidence.validation is None:
        return "inconclusive", "stop", "inconclusive (stopped before validation)"
    if evidence.is_admitted:
        return "accept", route, f"accepted ({route} route)"
    return "reject", "val", f"rejected (validation, {route} route)"


def _numbers(evidence: Evidence, policy: Policy) -> list[str]:
    numbers = []
    if evidence.target is not None:
        numbers.append(_target_words(evidence.target, policy))
    if evidence.suite is not None and evidence.suite.n_cases:
        numbers.append(evidence.suite.note)
    if evidence.validation is not None:
        numbers.append(_validation_words(evidence, policy))
    return numbers


def _target_words(test: TargetTest, policy: Policy) -> str:
    if test.n_replayed == test.n_rollouts and test.n_rollouts:
        return f"the edit never changed what the model was asked in {test.n_rollouts} runs of its targets"
    return (
        f"targets {test.n_candidate_passes}/{test.n_pairs} vs trunk {test.n_trunk_passes}/{test.n_pairs}"
        f" (e-value {test.e_value:.3g}, need {1 / policy.target.alpha:.3g})"
    )


def _validation_words(evidence: Evidence, policy: Policy) -> str:
    post, test = evidence.validation, evidence.target
    assert post is not None
    assert test is not None
    replayed = f", {evidence.n_replayed} replayed" if evidence.n_replayed else ""
    return (
        f"val {100 * post.mean:+.1f} pts on {post.n} of {evidence.n_val_tasks} tasks{replayed} vs pooled trunk,"
        f" P(better) = {post.p_better:.2f} (need {policy.route(test).accept_at:.2f})"
    )


def _checks(evidence: Evidence, policy: Policy) -> tuple[GateCheck, ...]:
    test, suite, post = evidence.target, evidence.suite, evidence.validation
    route = policy.target_route if test is None else policy.route(test)
    return (
        GateCheck(
            name="smoke",
            value=None if test is None and evidence.crash is None else float(evidence.crash is None),
            op="==",
            threshold=1.0,
            is_passed=None if test is None and evidence.crash is None else evidence.crash is None,
            note=evidence.crash or "runs",
        ),
        GateCheck(
            name="target_e_value",
            value=None if test is None else test.e_value,
            op=">=",
            threshold=1 / policy.target.alpha,
            is_passed=None if test is None else test.state == "passed",
            note="not reached" if test is None else _target_words(test, policy),
        ),
        GateCheck(
            name="regression_suite",
            value=None if suite is None or not suite.n_cases else suite.n_held / suite.n_cases,
            op=">=",
            threshold=policy.regression_rate,
            is_passed=None if suite is None else suite.is_passed,
            note="not reached" if suite is None else suite.note,
        ),
        GateCheck(
            name="val_p_better",
            value=None if post is None else post.p_better,
            op=">=",
            threshold=route.accept_at,
            is_passed=None if post is None else evidence.is_admitted,
            note="not reached" if post is None else _validation_words(evidence, policy),
        ),
    )
