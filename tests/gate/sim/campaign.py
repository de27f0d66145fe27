"""A whole campaign against a world: proposals, the shipped gate's own courses, the loop's own bookkeeping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from optimizer.gate.course import Contest, Outcome, SuiteCase, Want
from optimizer.gate.decide import decide
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import TrunkRecord
from optimizer.gate.policy import Policy
from optimizer.gate.rules import course_of
from tests.gate.sim.world import Edit, Vector, World, WorldRule, chance

PROPOSAL_COST = 20
"""Rollout equivalents that one proposal costs."""
STABLE = 0.8
"""True pass probability from which a solved task is kept in the suite; an oracle's choice, kind to `published`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One decided candidate."""

    is_accepted: bool
    effect: float
    """True change of the mean pass probability on the population."""
    n_rollouts: int
    spent: float
    """Budget used up to and including it."""
    truth: float
    """True val score of the trunk afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """What a campaign came to."""

    start: float
    end: float
    """True mean pass probability on the population."""
    end_val: float
    claim: float
    """The score that a person would have been shown."""
    judged: tuple[Judged, ...]

    @property
    def gain(self) -> float:
        """In points."""
        return 100 * (self.end - self.start)


@dataclass(slots=True)
class Simulation:
    """State of a running campaign."""

    world: World
    policy: Policy
    record: TrunkRecord
    best: float
    own: dict[str, bool]
    suite: dict[str, SuiteCase] = field(default_factory=dict)
    paired: dict[tuple[str, int], bool] = field(default_factory=dict)
    """The trunk's stored outcomes on target tasks, by task and trial."""
    spent: float = 0.0
    n: int = 0


def play(
    rule: WorldRule, policy: Policy, *, seed: int, budget: float | None = None, candidates: int | None = None
) -> Season:
    """One campaign until the budget (rollout equivalents) or the number of candidates is used up."""
    world = World(rule, seed)
    start = world.true_score(world.population)
    names = [f"v{i}" for i in range(rule.n_val)]
    first = world.rng.random(rule.n_val) < chance(world.logits[world.val])
    own = {name: bool(passed) for name, passed in zip(names, first, strict=True)}
    record = TrunkRecord(cells={}).measured(own)
    sim = Simulation(world=world, policy=policy, record=record, best=record.estimate, own=own, spent=rule.n_val)
    judged = []
    while (budget is None or sim.spent < budget) and (candidates is None or sim.n < candidates):
        judged.append(_judge(sim, world.propose()))
    claim = sim.record.estimate if policy.rule == "trial" else sim.best
    return Season(
        start=start,
        end=world.true_score(world.population),
        end_val=world.true_score(world.val),
        claim=claim,
        judged=tuple(judged),
    )


def _judge(sim: Simulation, edit: Edit) -> Judged:
    world = sim.world
    sim.n += 1
    changed = world.logits + edit.change
    before = world.true_score(world.population)
    effect = world.true_score(world.population, changed) - before
    names = list(sim.record.cells)
    contest = Contest(
        candidate=sim.n,
        targets=tuple(f"t{task}" for task in edit.targets),
        record=sim.record,
        val_order=tuple(names[i] for i in world.rng.permutation(len(names))),
        trunk_val=sim.own,
        suite=tuple(sim.suite.values()),
        best_val=sim.best,
    )
    evidence, n_rollouts = _driven(sim, contest, edit, changed)
    is_accepted = decide(evidence, sim.policy).verdict == "accept"
    n_rollouts += _settled(sim, edit, evidence, is_accepted=is_accepted)
    sim.spent += n_rollouts + PROPOSAL_COST
    return Judged(
        is_accepted=is_accepted,
        effect=effect,
        n_rollouts=n_rollouts,
        spent=sim.spent,
        truth=world.true_score(world.val),
    )


def _driven(sim: Simulation, contest: Contest, edit: Edit, changed: Vector) -> tuple[Evidence, int]:
    """Run the gate's course; count what had to be run."""
    trunk_p, candidate_p = chance(sim.world.logits), chance(changed)
    outcomes: dict[Want, Outcome] = {}
    n = 0
    course = course_of(contest, sim.policy)
    try:
        wants = next(course)
        while True:
            for want in wants:
                if want not in outcomes:
                    outcomes[want], cost = _outcome(sim, edit, want, trunk_p, candidate_p)
                    n += cost
            wants = course.send({want: outcomes[want] for want in wants})
    except StopIteration as over:
        evidence: Evidence = over.value
        return evidence, n


def _outcome(sim: Simulation, edit: Edit, want: Want, trunk_p: Vector, candidate_p: Vector) -> tuple[Outcome, int]:
    task = _index(sim.world, want.task)
    if want.side == "trunk":
        key = (want.task, want.trial)
        is_new = key not in sim.paired
        if is_new:
            sim.paired[key] = bool(sim.world.rng.random() < trunk_p[task])
        return Outcome(is_pass=sim.paired[key]), int(is_new)
    if edit.is_local and want.purpose == "val" and want.trial == 0 and edit.change[task] == 0 and want.task in sim.own:
        return Outcome(is_pass=sim.own[want.task], is_replayed=True), 0
    return Outcome(is_pass=bool(sim.world.rng.random() < candidate_p[task])), 1


def _settled(sim: Simulation, edit: Edit, evidence: Evidence, *, is_accepted: bool) -> int:
    """The loop's bookkeeping after a verdict; returns rollouts it costs."""
    if not is_accepted:
        if evidence.validation is not None:
            sim.record = sim.record.after_reject(evidence.val, evidence.validation.shrunk)
        return 0
    touched = {f"t{i}" for i in np.flatnonzero(edit.change[sim.world.train])}
    sim.world.adopt(edit)
    sim.paired = {key: value for key, value in sim.paired.items() if key[0] not in touched}
    sim.record = sim.record.after_accept(evidence.val)
    stale = sim.record.stale()
    p = chance(sim.world.logits)
    fresh = {task: bool(sim.world.rng.random() < p[_index(sim.world, task)]) for task in stale}
    sim.record = sim.record.measured(fresh)
    seen = {task: passes > 0 for task, (passes, _) in evidence.val.items()}
    sim.own = (sim.own if edit.is_local else {}) | seen | fresh
    sim.best = max(sim.best, evidence.score or 0.0)
    _promoted(sim, edit, p)
    return len(stale)


def _promoted(sim: Simulation, edit: Edit, p: Vector) -> None:
    """`published` keeps the solved target tasks as its suite; an oracle leaves the flaky ones out."""
    if sim.policy.rule != "published":
        return
    for task in edit.targets:
        if p[task] >= STABLE:
            sim.suite[f"t{task}"] = SuiteCase(id=f"t{task}", task=f"t{task}", expected=float(p[task]))


def _index(world: World, name: str) -> int:
    return int(name[1:]) + (world.val.start if name[0] == "v" else 0)


def means(seasons: list[Season]) -> Mapping[str, float]:
    """Averages over campaigns, in points and shares."""
    accepted = [each for season in seasons for each in season.judged if each.is_accepted]
    gains = np.array([season.gain for season in seasons])
    n = max(1, len(accepted))
    return {
        "gain": float(gains.mean()),
        "se": float(gains.std(ddof=1) / len(gains) ** 0.5) if len(gains) > 1 else float("nan"),
        "false_accepts": 100 * sum(each.effect <= 0 for each in accepted) / n,
        "harmful": 100 * sum(each.effect < -0.005 for each in accepted) / n,
        "n_accepted": len(accepted) / len(seasons),
        "n_candidates": sum(len(season.judged) for season in seasons) / len(seasons),
        "claim_minus_val": 100 * float(np.mean([season.claim - season.end_val for season in seasons])),
        "claim_minus_truth": 100 * float(np.mean([season.claim - season.end for season in seasons])),
        "gate_rollouts": float(np.mean([sum(each.n_rollouts for each in season.judged) for season in seasons])),
    }
