"""The metric contract as a stage of every rule: it listens to validation and has the last word.

The rule inside sees what the contract weighs (success, another leading metric, the utility) and decides as ever. What
comes out of it is completed here: every metric with its trunk value, and, where the first metrics of a lexicographic
contract tie, the verdict of the next. Without a contract nothing of this changes a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

from optimizer.gate.contract import SUCCESS, Contract, Metric
from optimizer.gate.course import Contest, Course, Outcome, Outcomes, Want
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import Posterior, noise_of, posterior
from optimizer.gate.measures import Measure, measure
from optimizer.gate.policy import Policy
from optimizer.gate.pooled import Weighed, tracked, utility_record


@dataclass(slots=True)
class _Heard:
    """Validation as it went by."""

    asked: set[str] = field(default_factory=set)
    runs: dict[str, list[Outcome]] = field(default_factory=dict)
    """Measured runs by task."""


def under_contract(rule: Callable[[Contest, Policy], Course], contest: Contest, policy: Policy) -> Course:
    """The course of a rule, with the contract's readings in its evidence."""
    contract, heard = policy.contract, _Heard()
    weighs = SUCCESS if policy.rule == "published" else contract.weighs  # it compares scores, and nothing else
    inner = rule(contest if weighs == SUCCESS else _as_weighed(contest, contract), _patient(policy))
    evidence = yield from _listening(inner, contract, heard)
    if evidence.validation is None:
        return evidence
    evidence = replace(
        evidence,
        weighs=weighs,
        success=None if weighs == SUCCESS else _compared(contest, heard, contract, SUCCESS, 0.0),
        measures=_measures(contest, contract, heard),
        is_val_complete=heard.asked >= set(contest.val_order),
    )
    return _ordered(contest, policy, heard, evidence) if contract.is_ordered else evidence


def _listening(course: Course, contract: Contract, heard: _Heard) -> Generator[tuple[Want, ...], Outcomes, Evidence]:
    try:
        wants = next(course)
        while True:
            outcomes = yield wants
            wants = course.send({want: _noted(want, outcome, contract, heard) for want, outcome in outcomes.items()})
    except StopIteration as over:
        evidence: Evidence = over.value
        return evidence


def _noted(want: Want, outcome: Outcome, contract: Contract, heard: _Heard) -> Outcome:
    if want.purpose != "val":
        return outcome
    heard.asked.add(want.task)
    if outcome.is_pass is None:
        return outcome
    heard.runs.setdefault(want.task, []).append(outcome)
    if contract.weighs == SUCCESS:
        return outcome
    return replace(
        outcome, utility=contract.utility(contract.norms({**outcome.metrics, SUCCESS: float(outcome.is_pass)}))
    )


def _as_weighed(contest: Contest, contract: Contract) -> Contest:
    """The contest with what the contract weighs in the place of the pass."""
    own = {
        task: value
        for task, passed in contest.trunk_val.items()
        if (value := contract.utility(contract.norms({**contest.trunk_metrics.get(task, {}), SUCCESS: float(passed)})))
        is not None
    }
    return replace(contest, weighed=Weighed(record=utility_record(contract, contest.record, contest.pooled), own=own))


def _patient(policy: Policy) -> Policy:
    """No early acceptance where a bound must be read off all of validation; where ties matter, no early end at all."""
    if not (policy.contract.is_bounded or policy.contract.is_ordered):
        return policy
    routes = [replace(route, accept_early=1.0) for route in (policy.target_route, policy.broad_route)]
    if policy.contract.is_ordered:
        routes = [replace(route, reject_below=0.0) for route in routes]
    return replace(policy, target_route=routes[0], broad_route=routes[1])


def _measures(contest: Contest, contract: Contract, heard: _Heard) -> tuple[Measure, ...]:
    written = () if contract.is_plain else contract.metrics
    wanted = {metric.name: metric for metric in (*written, *tracked(contract))}
    return tuple(_measure(contest, metric, heard) for metric in wanted.values())


def _measure(contest: Contest, metric: Metric, heard: _Heard) -> Measure:
    values = {task: _mean(found) for task, runs in heard.runs.items() if (found := _readings(metric.name, runs))}
    slices = {
        each.slice: frozenset(task for task in contest.val_order if each.slice in contest.slices.get(task, ()))
        for each in metric.slices
    }
    return measure(metric.name, values, lambda task: _base(contest, heard, metric.name, task), slices)


def _readings(name: str, runs: list[Outcome]) -> list[float]:
    if name == SUCCESS:
        return [float(bool(run.is_pass)) for run in runs]
    return [run.metrics[name] for run in runs if name in run.metrics]


def _base(contest: Contest, heard: _Heard, name: str, task: str) -> float | None:
    """What a task's runs are compared with: the trunk's own run where they are it, replayed; else its pooled value."""
    if all(run.is_replayed for run in heard.runs[task]) and task in contest.trunk_val:
        own = {**contest.trunk_metrics.get(task, {}), SUCCESS: float(contest.trunk_val[task])}
        if name in own:
            return own[name]
    record = contest.record if name == SUCCESS else contest.pooled[name].raw if name in contest.pooled else None
    return record.cells[task].rate if record is not None and task in record.cells else None


def _ordered(contest: Contest, policy: Policy, heard: _Heard, evidence: Evidence) -> Evidence:
    """Let the first metric that differs by more than a tie decide; where none does, the first has decided already."""
    contract = policy.contract
    decisive = next((metric for metric in contract.metrics if _differs(metric, evidence)), contract.metrics[0])
    if decisive is contract.metrics[0] or evidence.rule == "published":
        return evidence
    route = policy.route(evidence.target)
    post = _compared(contest, heard, contract, decisive.name, route.prior_mean)
    if post is None:
        return evidence
    half = policy.k_se * math.sqrt(post.variance)
    is_enough = post.p_better >= route.accept_at if evidence.rule == "trial" else post.mean > 0 and post.mean >= half
    return replace(
        evidence,
        validation=post,
        success=evidence.on_success,
        weighs=decisive.name,
        is_admitted=evidence.is_val_complete and is_enough,
    )


def _differs(metric: Metric, evidence: Evidence) -> bool:
    found = next((each for each in evidence.measures if each.name == metric.name), None)
    if found is None or found.difference is None or found.trunk is None:
        return False
    return abs(found.difference) > metric.tie_width(found.trunk) + 1e-12


def _compared(contest: Contest, heard: _Heard, contract: Contract, name: str, prior_mean: float) -> Posterior | None:
    """The guard's comparison for one metric on its scale of 0.0 to 1.0; None when no task was measured."""
    metric = next((each for each in contract.metrics if each.name == name), Metric(name=name))
    record = contest.record if name == SUCCESS else contest.pooled[name].norm if name in contest.pooled else None
    differences, noise = [], []
    for task, runs in heard.runs.items():
        values = [metric.norm(value) for value in _readings(name, runs)]
        if record is None or not values or task not in record.cells:
            continue
        is_replay = all(run.is_replayed for run in runs)
        base = _norm_of(metric, _base(contest, heard, name, task)) if is_replay else record.cells[task].rate
        differences.append(_mean(values) - base)
        noise.append(0.0 if is_replay else noise_of(record.cells[task], len(values)))
    return posterior(tuple(differences), prior_mean, noise=tuple(noise)) if differences else None


def _norm_of(metric: Metric, value: float | None) -> float:
    return metric.norm(value or 0.0)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
