"""The incumbent against itself: what its noise is, what its splits can detect, and how often luck alone is accepted."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.domain.json import content_hash
from optimizer.domain.rollout import Rollout
from optimizer.gate.course import Contest, Outcome, Want
from optimizer.gate.decide import decide
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import BETA, TrunkRecord
from optimizer.gate.policy import Policy
from optimizer.gate.power import (
    SplitNoise,
    cautious_noise,
    detectable,
    half_interval,
    noise_of_split,
    target_power,
    tasks_needed,
)
from optimizer.gate.rules import course_of

N_NULL_CANDIDATES = 300
N_TARGETS = 6
WORTH = 0.05
"""A difference that people mean when they ask for a larger split: five points."""
Counts = Mapping[str, tuple[int, int]]
"""Passes and measured runs by task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NullCheck:
    """The shipped gate on candidates that change nothing at all, with the measured rates."""

    n_candidates: int
    n_accepted: int
    n_through_targets: int
    """Those that passed the target test."""
    bound: float
    """What the target test promises at most: 1 - [gate] confidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What can be seen, as differences in rate and chances."""

    val_single: float
    """Least difference that one paired run of validation finds in 80 % of cases."""
    val_tasks_for_five_points: int
    target_power_40: float
    """Chance that the targets show an edit that closes 40 % of their gap."""
    target_power_60: float
    target_false_pass: float
    """The same for an edit that changes nothing."""
    test_half_interval: float
    """Least half of the 95 % interval of `hone finalize` with the recommended trials."""
    final_trials: int
    """Recommended for `hone finalize`: the fewest, three at least, that bring it to five points, ten at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What `hone calibrate` measured of one version."""

    commit: str
    tree: str
    n_trials: int
    train: SplitNoise
    val: SplitNoise
    power: Power
    null: NullCheck
    input_tokens: float
    """Means per measured rollout, of those that no earlier version of the harness has paid for."""
    output_tokens: float
    wall_s: float
    usd: float | None
    """Cost of all rollouts; None when a price is unknown."""
    is_simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was calibrated."""

    commit: str
    tree: str
    n_trials: int
    n_test_tasks: int
    is_simulated: bool


def calibrated(rollouts: Sequence[Rollout], subject: Subject, policy: Policy) -> Calibration:
    """Read everything off the repeated runs of one version.

    Raises ValueError when nothing was measured twice on train or on val.
    """
    train, val = counts_of(rollouts, "train"), counts_of(rollouts, "val")
    measured = [rollout for rollout in rollouts if rollout.is_measured]
    noise_train, noise_val = noise_of_split(train), noise_of_split(val)
    paid = [rollout for rollout in measured if not rollout.usage.n_replayed_calls] or measured
    prices = [rollout.usage.usd for rollout in rollouts]
    return Calibration(
        commit=subject.commit,
        tree=subject.tree,
        n_trials=subject.n_trials,
        train=noise_train,
        val=noise_val,
        power=_power(noise_train, noise_val, policy, n_test_tasks=subject.n_test_tasks),
        null=null_check(train, val, policy),
        input_tokens=sum(r.usage.input_tokens for r in paid) / len(paid),
        output_tokens=sum(r.usage.output_tokens for r in paid) / len(paid),
        wall_s=sum(r.wall_s for r in paid) / len(paid),
        usd=None if None in prices else sum(price for price in prices if price is not None),
        is_simulated=subject.is_simulated,
    )


def counts_of(rollouts: Sequence[Rollout], split: str) -> dict[str, tuple[int, int]]:
    """Passes and measured runs of the tasks of a split."""
    counts: dict[str, tuple[int, int]] = {}
    for rollout in rollouts:
        if rollout.job.task.split == split and rollout.is_measured:
            passes, n = counts.get(rollout.job.task.id, (0, 0))
            counts[rollout.job.task.id] = (passes + rollout.is_pass, n + 1)
    return counts


def null_check(train: Counts, val: Counts, policy: Policy, *, n_candidates: int = N_NULL_CANDIDATES) -> NullCheck:
    """Send candidates that are the incumbent itself through the shipped gate; the dice are fixed by the counts.

    Targets are what fails in one run over train. Rates are the measured ones, pulled a little towards one half, so that
    a task that was always passed in a few trials is not taken for certain.
    """
    dice = random.Random(content_hash(sorted(train.items()), sorted(val.items())))
    rates = {task_id: (passes + BETA) / (n + 2 * BETA) for task_id, (passes, n) in (*train.items(), *val.items())}
    record = TrunkRecord(cells={}).measured({task_id: dice.random() < rates[task_id] for task_id in val})
    own = {task_id: cell.rate >= 0.5 for task_id, cell in record.cells.items()}
    accepted = through = 0
    for n in range(1, n_candidates + 1):
        failing = [task_id for task_id in train if dice.random() >= rates[task_id]]
        targets = tuple(dice.sample(failing, min(N_TARGETS, len(failing)))) or tuple(train)[:1]
        order = tuple(dice.sample(sorted(val), len(val)))
        contest = Contest(candidate=n, targets=targets, record=record, val_order=order, trunk_val=own)
        evidence = _driven(contest, policy, rates, dice)
        through += evidence.target is not None and evidence.target.state == "passed"
        accepted += decide(evidence, policy).verdict == "accept"
        if evidence.validation is not None:
            record = record.after_reject(evidence.val, evidence.validation.shrunk)
    return NullCheck(
        n_candidates=n_candidates, n_accepted=accepted, n_through_targets=through, bound=policy.target.alpha
    )


def _driven(contest: Contest, policy: Policy, rates: Mapping[str, float], dice: random.Random) -> Evidence:
    course = course_of(contest, policy)
    known: dict[Want, Outcome] = {}
    try:
        wants = next(course)
        while True:
            for want in wants:
                known.setdefault(want, Outcome(is_pass=dice.random() < rates[want.task]))
            wants = course.send({want: known[want] for want in wants})
    except StopIteration as over:
        evidence: Evidence = over.value
        return evidence


def _power(train: SplitNoise, val: SplitNoise, policy: Policy, *, n_test_tasks: int) -> Power:
    base = train.rerun_rate or 0.0
    noise = cautious_noise(val)
    trials = next((n for n in range(3, 10) if half_interval(noise, max(1, n_test_tasks), n) <= WORTH), 10)
    return Power(
        val_single=detectable(noise, val.n_tasks),
        val_tasks_for_five_points=tasks_needed(noise, WORTH),
        target_power_40=target_power(policy.target, base=base, lifted=base + 0.4 * (1 - base)),
        target_power_60=target_power(policy.target, base=base, lifted=base + 0.6 * (1 - base)),
        target_false_pass=target_power(policy.target, base=base, lifted=base),
        test_half_interval=half_interval(noise, max(1, n_test_tasks), trials),
        final_trials=trials,
    )
