"""From evidence to a decision: the verdict, every number behind it, and one sentence.

An edit is accepted when the tasks it promised to fix really pass more often than the current version does on the same
tasks (odds of at least 10:1 that this is not luck) and validation says it is more likely an improvement than a loss. If
the promise is inconclusive, it can still get in by being clearly better on validation (at least 80 %).
"""

from __future__ import annotations

from optimizer.domain.candidate import Decision, GateCheck, ReasonCode, Verdict
from optimizer.gate.evidence import Evidence
from optimizer.gate.policy import Policy
from optimizer.gate.target import TargetTest
from optimizer.gate.terms import broken_bounds, checks_of, named, unread_bounds, weighs_words, words_of


def decide(evidence: Evidence, policy: Policy) -> Decision:
    """Judge the evidence. Total: every stage a race can end at has a verdict."""
    verdict, code, lead = _verdict(evidence, policy)
    numbers = _numbers(evidence, policy)
    post = evidence.on_success
    return Decision(
        candidate=evidence.candidate,
        verdict=verdict,
        reason_code=code,
        reason=f"{lead}: {'; '.join(numbers)}" if numbers else lead,
        checks=(*_checks(evidence, policy), *checks_of(evidence, policy.contract)),
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
    if evidence.rule != "trial":
        return _late_verdict(evidence, "val", policy)
    test = evidence.target
    if test is None or test.state == "continue":
        return "inconclusive", "stop", "inconclusive (stopped before the target test ended)"
    if test.state == "failed":
        return "reject", "noise", "rejected (target test)"
    return _late_verdict(evidence, "target" if test.state == "passed" else "broad", policy)


def _late_verdict(evidence: Evidence, route: ReasonCode, policy: Policy) -> tuple[Verdict, ReasonCode, str]:
    suite = evidence.suite
    if suite is not None and not suite.is_passed:
        return "reject", "suite", f"rejected (regression suite: breaks {', '.join(suite.named)})"
    if evidence.validation is None:
        return "inconclusive", "stop", "inconclusive (stopped before validation)"
    how = f"{route} route" if evidence.rule == "trial" else f"rule {evidence.rule}"
    if not evidence.is_admitted:
        return "reject", "val", f"rejected (validation, {how})"
    return _contract_verdict(evidence, policy) or ("accept", route, f"accepted ({how})")


def _contract_verdict(evidence: Evidence, policy: Policy) -> tuple[Verdict, ReasonCode, str] | None:
    """The contract's word on what validation admits: a breached bound stops it, an unread one leaves it open."""
    broken = broken_bounds(evidence, policy.contract)
    if broken:
        return "reject", "contract", f"rejected (contract: {', '.join(named(check) for check in broken)})"
    unread = unread_bounds(evidence, policy.contract)
    if unread:
        return "inconclusive", "contract", f"inconclusive (contract: {', '.join(named(check) for check in unread)})"
    return None


def _numbers(evidence: Evidence, policy: Policy) -> list[str]:
    numbers = []
    if evidence.target is not None:
        numbers.append(_target_words(evidence.target, policy))
    if evidence.suite is not None and evidence.suite.n_cases:
        numbers.append(evidence.suite.note)
    if evidence.validation is not None:
        numbers.append(_validation_words(evidence, policy))
    numbers += words_of(evidence, policy.contract)
    return numbers


def _target_words(test: TargetTest, policy: Policy) -> str:
    if test.n_replayed == test.n_rollouts and test.n_rollouts:
        return f"the edit never changed what the model was asked in {test.n_rollouts} runs of its targets"
    return (
        f"targets {test.n_candidate_passes}/{test.n_pairs} vs trunk {test.n_trunk_passes}/{test.n_pairs}"
        f" (e-value {test.e_value:.3g}, need {1 / policy.target.alpha:.3g})"
    )


def _validation_words(evidence: Evidence, policy: Policy) -> str:
    post = evidence.validation
    assert post is not None
    replayed = f", {evidence.n_replayed} replayed" if evidence.n_replayed else ""
    seen = f"{weighs_words(evidence)} {100 * post.mean:+.1f} pts on {post.n} of {evidence.n_val_tasks} tasks{replayed}"
    if evidence.rule == "published":
        return f"{seen} vs pooled trunk; score {evidence.score:.3f} (need the best ever seen, {evidence.best_val:.3f})"
    if evidence.rule == "paired-kse":
        half = 100 * policy.k_se * post.variance**0.5
        return f"{seen} vs the trunk's own runs (need {half:+.1f}, {policy.k_se:g} standard errors)"
    need = policy.route(evidence.target).accept_at
    return f"{seen} vs pooled trunk, P(better) = {post.p_better:.2f} (need {need:.2f})"


def _checks(evidence: Evidence, policy: Policy) -> tuple[GateCheck, ...]:
    crash, suite = evidence.crash, evidence.suite
    is_run = evidence.target is not None or evidence.suite is not None or evidence.validation is not None
    smoke = GateCheck(
        name="smoke",
        value=float(crash is None) if is_run or crash is not None else None,
        op="==",
        threshold=1.0,
        is_passed=crash is None if is_run or crash is not None else None,
        note=crash or "runs",
    )
    regression = GateCheck(
        name="regression_suite",
        value=None if suite is None or not suite.n_cases else suite.n_held / suite.n_cases,
        op=">=",
        threshold=policy.regression_rate,
        is_passed=None if suite is None else suite.is_passed,
        note="not reached" if suite is None else suite.note,
    )
    if evidence.rule != "trial":
        return smoke, regression, _validation_check(evidence, policy)
    return smoke, _target_check(evidence.target, policy), regression, _validation_check(evidence, policy)


def _target_check(test: TargetTest | None, policy: Policy) -> GateCheck:
    return GateCheck(
        name="target_e_value",
        value=None if test is None else test.e_value,
        op=">=",
        threshold=1 / policy.target.alpha,
        is_passed=None if test is None else test.state == "passed",
        note="not reached" if test is None else _target_words(test, policy),
    )


def _validation_check(evidence: Evidence, policy: Policy) -> GateCheck:
    """The comparison that the rule rests on, in its own units."""
    post = evidence.validation
    note = "not reached" if post is None else _validation_words(evidence, policy)
    is_passed = None if post is None else evidence.is_admitted
    if evidence.rule == "published":
        name, value, threshold = "val_score", evidence.score, evidence.best_val or 0.0
    elif evidence.rule == "paired-kse":
        name, value = "val_difference", None if post is None else post.mean
        threshold = 0.0 if post is None else policy.k_se * post.variance**0.5
    else:
        name, value = "val_p_better", None if post is None else post.p_better
        threshold = policy.route(evidence.target).accept_at
    return GateCheck(name=name, value=value, op=">=", threshold=threshold, is_passed=is_passed, note=note)
