"""The rules that can judge a candidate, each as a course: what to run next, and when to stop.

`trial`: the targets decide by a sequential e-test, validation guards with a pooled, shrunk estimate. `published`: the
suite must hold at 80 % of single runs, and the validation score must be at least the best ever seen. `paired-kse`: the
mean paired difference on validation must lie k standard errors above zero. The last two are kept so that a person can
run them beside the first on the same outcomes; the gate benchmark says what they cost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace

from optimizer.domain.evalcase import Layer
from optimizer.gate.course import (
    Contest,
    Course,
    Outcome,
    Outcomes,
    Want,
    case_runs,
    pair_wants,
    pairs_of,
    read_off,
    regressions,
    smoke,
)
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import BLOCK, Posterior, judge_guard, noise_of, posterior
from optimizer.gate.policy import Policy, RuleName
from optimizer.gate.suite import MAX_RUNS, SuiteVerdict, judge_suite
from optimizer.gate.target import Pair, TargetTest, judge_target
from optimizer.gate.weigh import under_contract

READ_OFF: tuple[Layer, ...] = ("deterministic", "semantic")
Steps = Generator[tuple[Want, ...], Outcomes, Evidence]


def trial(contest: Contest, policy: Policy) -> Course:
    """Smoke, targets, regression suite, validation in blocks: each stage only if the one before leaves it open."""
    evidence = _opened(contest, policy)
    crash = yield from smoke(contest)
    if crash is not None:
        return replace(evidence, crash=crash)
    test, n_rounds = yield from _targets(contest, policy)
    evidence = replace(evidence, target=test)
    if test.state == "failed":
        return evidence
    evidence = yield from _suite(contest, policy, evidence, n_rounds)
    if evidence.suite is not None and not evidence.suite.is_passed:
        return evidence
    return (yield from _guard(contest, policy, evidence))


def published(contest: Contest, policy: Policy) -> Course:
    """Smoke, the suite once, the whole of validation once; compare with the best score ever seen."""
    evidence = _opened(contest, policy)
    crash = yield from smoke(contest)
    if crash is not None:
        return replace(evidence, crash=crash)
    runs = yield from regressions(contest, {}, max_runs=1)
    evidence = replace(evidence, suite=_share_verdict(contest, runs, policy), suite_runs=runs)
    if evidence.suite is not None and not evidence.suite.is_passed:
        return evidence
    outcomes = yield _val_wants(contest.val_order, 0)
    evidence = _with_block(contest, evidence, _by_task(outcomes))
    differences = _differences(contest, _by_task(outcomes))
    if not differences:
        return evidence
    score = score_seen(contest, evidence)
    post = posterior(tuple(differences.values()), 0.0)
    return replace(evidence, validation=post, score=score, is_admitted=score >= contest.best_val)


def paired_kse(contest: Contest, policy: Policy) -> Course:
    """Smoke, the suite, then one paired run of the whole of validation against the trunk's own runs."""
    evidence = _opened(contest, policy)
    crash = yield from smoke(contest)
    if crash is not None:
        return replace(evidence, crash=crash)
    evidence = yield from _suite(contest, policy, evidence, 1)
    if evidence.suite is not None and not evidence.suite.is_passed:
        return evidence
    outcomes = _by_task((yield _val_wants(contest.val_order, 0)))
    evidence = _with_block(contest, evidence, outcomes)
    x = [value - contest.own(t) for t, o in outcomes.items() if (value := _paired(contest, t, o)) is not None]
    if not x:
        return evidence
    post = posterior(tuple(x), 0.0)
    half = policy.k_se * math.sqrt(max(post.variance, 0.0))
    return replace(evidence, validation=post, is_admitted=post.mean > 0 and post.mean >= half)


RULES: dict[RuleName, Callable[[Contest, Policy], Course]] = {
    "trial": trial,
    "published": published,
    "paired-kse": paired_kse,
}


def course_of(contest: Contest, policy: Policy) -> Course:
    """The course of the rule that the policy names, with the metric contract as its last stage."""
    return under_contract(RULES[policy.rule], contest, policy)


def score_seen(contest: Contest, evidence: Evidence) -> float:
    """Validation score as `published` sees it: single runs over all tasks; where there is none, the trunk's."""
    rates = [
        evidence.val[task][0] / evidence.val[task][1] if task in evidence.val else float(contest.trunk_val.get(task, 0))
        for task in contest.val_order
    ]
    return math.fsum(rates) / len(rates)


def _opened(contest: Contest, policy: Policy) -> Evidence:
    return Evidence(
        candidate=contest.candidate,
        rule=policy.rule,
        n_val_tasks=len(contest.val_order),
        trunk_estimate=contest.record.estimate,
        best_val=contest.best_val,
    )


def _targets(contest: Contest, policy: Policy) -> Generator[tuple[Want, ...], Outcomes, tuple[TargetTest, int]]:
    """Paired rounds over the tasks the edit promised to fix, until the test is over; also how many there were."""
    rounds: list[tuple[Pair, ...]] = []
    while True:
        outcomes = yield pair_wants(contest.targets, len(rounds))
        rounds.append(pairs_of(contest.targets, len(rounds), outcomes))
        test = judge_target(tuple(rounds), policy.target)
        if test.state != "continue":
            return test, len(rounds)


def _suite(contest: Contest, policy: Policy, evidence: Evidence, n_rounds: int) -> Steps:
    """What can be read off first, code before judges; then runs of its own for what is still open."""
    runs: dict[str, tuple[int, int]] = {}
    for layer in READ_OFF:
        runs |= yield from read_off(contest, n_rounds, layer)
        certain = {case: (passes, n) for case, (passes, n) in runs.items() if passes or n >= MAX_RUNS}
        if certain:
            verdict = _judged(contest, certain, policy, n_suite=len(contest.suite))
            if not verdict.is_passed:
                return replace(evidence, suite=verdict, suite_runs=runs)
    runs = yield from regressions(contest, runs)
    if not runs:
        return evidence
    return replace(evidence, suite=_judged(contest, runs, policy), suite_runs=runs)


def _judged(contest: Contest, runs: Mapping[str, tuple[int, int]], policy: Policy, *, n_suite: int = 0) -> SuiteVerdict:
    return judge_suite(case_runs(contest, runs), required_rate=policy.regression_rate, n_suite=n_suite)


def _share_verdict(contest: Contest, runs: Mapping[str, tuple[int, int]], policy: Policy) -> SuiteVerdict | None:
    """The published suite: the share of single runs that pass, flaky or not."""
    measured = [case for case in contest.suite if runs.get(case.id, (0, 0))[1]]
    if not measured:
        return None
    failed = [case for case in measured if not runs[case.id][0]]
    broken = tuple(case.task for case in failed)
    held = len(measured) - len(broken)
    return SuiteVerdict(
        n_held=held,
        n_cases=len(measured),
        broken=broken,
        is_passed=held >= policy.regression_rate * len(measured) - 1e-9,
        note=f"suite {held}/{len(measured)}",
        named=tuple(f"case {case.id} (task {case.task})" for case in failed),
    )


def _guard(contest: Contest, policy: Policy, evidence: Evidence) -> Steps:
    """Blocks of held-out tasks until the guard is sure; a further pass only when the one before was no answer."""
    rule = policy.route(evidence.target)
    seen: dict[str, tuple[float, ...]] = {}
    blocks = [
        (n, contest.val_order[start : start + BLOCK])
        for n in range(policy.val_passes)
        for start in range(0, len(contest.val_order), BLOCK)
    ]
    for number, (pass_number, block) in enumerate(blocks, start=1):
        outcomes = _by_task((yield _val_wants(block, pass_number)))
        evidence = _with_block(contest, evidence, outcomes)
        for task, difference in _differences(contest, outcomes).items():
            seen[task] = (*seen.get(task, ()), difference)
        if not seen:
            continue
        post = _pooled(contest, seen, evidence, rule.prior_mean)
        state = judge_guard(post, rule, is_complete=number == len(blocks))
        evidence = replace(evidence, validation=post, is_admitted=state == "accept")
        if state != "continue":
            break
    return evidence


def _pooled(
    contest: Contest, seen: Mapping[str, tuple[float, ...]], evidence: Evidence, prior_mean: float
) -> Posterior:
    means = tuple(math.fsum(values) / len(values) for values in seen.values())
    noise = tuple(
        noise_of(contest.cell(task), len(values)) if task in evidence.val else 0.0 for task, values in seen.items()
    )
    return posterior(means, prior_mean, noise=noise)


def _val_wants(tasks: Iterable[str], n: int) -> tuple[Want, ...]:
    return tuple(Want(side="candidate", purpose="val", task=task, trial=n) for task in tasks)


def _by_task(outcomes: Outcomes) -> dict[str, Outcome]:
    return {want.task: outcome for want, outcome in outcomes.items()}


def _is_the_trunks(contest: Contest, task: str, outcome: Outcome) -> bool:
    return outcome.is_replayed and outcome.is_pass is not None and task in contest.trunk_val


def _paired(contest: Contest, task: str, outcome: Outcome) -> float | None:
    return contest.value(task, outcome) if task in contest.trunk_val else None


def _differences(contest: Contest, outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """Candidate less pooled trunk per measured task.

    Where every model call was the trunk's own, replayed, the run is compared with the trunk's run - a difference of
    exactly zero unless the edit matters without a word to the model.
    """
    found = {}
    for task, outcome in outcomes.items():
        value = contest.value(task, outcome)
        if value is None:
            continue
        is_replay = _is_the_trunks(contest, task, outcome)
        found[task] = value - (contest.own(task) if is_replay else contest.cell(task).rate)
    return found


def _with_block(contest: Contest, evidence: Evidence, outcomes: Mapping[str, Outcome]) -> Evidence:
    """Count a block's runs and flips."""
    val = dict(evidence.val)
    fixed, broken, n_replayed = list(evidence.fixed), list(evidence.broken), evidence.n_replayed
    for task, outcome in outcomes.items():
        if outcome.is_pass is None:
            continue
        if _is_the_trunks(contest, task, outcome):
            n_replayed += 1
            continue
        passes, n = val.get(task, (0, 0))
        val[task] = (passes + outcome.is_pass, n + 1)
        was_passing = contest.record.cells[task].rate >= 0.5
        if n == 0 and outcome.is_pass != was_passing:
            (fixed if outcome.is_pass else broken).append(task)
    return replace(evidence, val=val, fixed=tuple(fixed), broken=tuple(broken), n_replayed=n_replayed)
