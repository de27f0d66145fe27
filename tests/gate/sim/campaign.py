"""A whole campaign against a world: proposals, the shipped gate's own courses, the loop's own bookkeeping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from optimizer.gate.course import Contest, Course, Outcome, SuiteCase, Want
from optimizer.gate.decide import decide
from optimizer.gate.evidence import Evidence
from optimizer.gate.final import paired_interval
from optimizer.gate.guard import TrunkRecord
from optimizer.gate.policy import Policy
from optimizer.gate.rules import course_of
from tests.gate.sim.rivals import halving
from tests.gate.sim.world import Edit, Vector, World, WorldRule, chance

PROPOSAL_COST = 20
"""Rollout equivalents that one proposal costs."""
STABLE = 0.8
"""True pass probability from which a solved task is kept in the suite; an oracle's choice, kind to `published`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A rule with its settings. Picklable: the benchmark plays campaigns in several processes."""

    name: str
    policy: Policy
    course: Callable[[Contest, Policy], Course] = course_of
    n_racers: int = 1
    """Candidates that are judged together; above 1, successive halving picks the one that is."""
    is_literal: bool = False
    """`published` as its code has it: whatever failed and then passed is kept in the suite, flaky or not."""


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
    is_null: bool
    """The edit does not raise the mean true pass probability of its targets."""
    is_through: bool
    """The target test was passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """What a campaign came to."""

    start: float
    end: float
    """True mean pass probability on the population."""
    start_val: float
    end_val: float
    claim: float
    """The score that a person would have been shown."""
    is_covered: tuple[bool, bool]
    """Whether the interval of the last comparison holds the truth: tasks that stand alone, tasks in groups."""
    judged: tuple[Judged, ...]

    @property
    def gain(self) -> float:
        """In points."""
        return 100 * (self.end - self.start)


@dataclass(slots=True)
class Simulation:
    """State of a running campaign."""

    world: World
    contender: Contender
    record: TrunkRecord
    best: float
    own: dict[str, bool]
    suite: dict[str, SuiteCase] = field(default_factory=dict)
    paired: dict[tuple[str, int], bool] = field(default_factory=dict)
    """The trunk's stored outcomes on target tasks, by task and trial."""
    spent: float = 0.0
    n: int = 0

    @property
    def policy(self) -> Policy:
        """The contender's settings."""
        return self.contender.policy


def play(
    rule: WorldRule, contender: Contender, *, seed: int, budget: float | None = None, candidates: int | None = None
) -> Season:
    """One campaign until the budget (rollout equivalents) or the number of candidates is used up."""
    world = World(rule, seed)
    at_first = chance(world.logits[world.population])
    start, start_val = world.true_score(world.population), world.true_score(world.val)
    names = [f"v{i}" for i in range(rule.n_val)]
    first = world.luck.random(rule.n_val) < chance(world.logits[world.val])
    own = {name: bool(passed) for name, passed in zip(names, first, strict=True)}
    record = TrunkRecord(cells={}).measured(own)
    sim = Simulation(world=world, contender=contender, record=record, best=record.estimate, own=own, spent=rule.n_val)
    judged: list[Judged] = []
    while (budget is None or sim.spent < budget) and (candidates is None or sim.n < candidates):
        judged += _round(sim)
    return Season(
        start=start,
        end=world.true_score(world.population),
        start_val=start_val,
        end_val=world.true_score(world.val),
        claim=sim.best if sim.policy.rule == "published" and contender.n_racers == 1 else sim.record.estimate,
        is_covered=_covered(world, at_first, chance(world.logits[world.population])),
        judged=tuple(judged),
    )


def _covered(world: World, before: Vector, after: Vector) -> tuple[bool, bool]:
    """100 untouched test tasks, then 40 templates of one to four tasks each; three runs of both versions of each."""
    truth = float((after - before).mean())
    alone = world.luck.integers(len(before), size=100)
    templates = world.luck.integers(len(before), size=40)
    grouped = np.repeat(templates, world.luck.integers(1, 5, size=40))
    found = []
    for chosen in (alone, grouped):
        runs = [world.luck.binomial(3, p[chosen]) / 3 for p in (before, after)]
        differences = {f"x{i}": float(d) for i, d in enumerate(runs[1] - runs[0])}
        groups = {f"x{i}": str(task) for i, task in enumerate(chosen)}
        interval = paired_interval(differences, None if chosen is alone else groups)
        found.append(interval.low <= truth <= interval.high)
    return found[0], found[1]


def _round(sim: Simulation) -> list[Judged]:
    """Judge one candidate, or race several for the place of the one that is adopted."""
    edits = [sim.world.propose() for _ in range(sim.contender.n_racers)]
    if len(edits) == 1:
        return [_judged(sim, edits[0], *_trial(sim, edits[0]))]
    winner, evidence, spent = halving(sim.world, sim.record, edits)
    each, rest = divmod(spent, len(edits))
    return [_judged(sim, edit, evidence if edit is winner else None, each + rest * (edit is winner)) for edit in edits]


def _trial(sim: Simulation, edit: Edit) -> tuple[Evidence, int]:
    names = list(sim.record.cells)
    contest = Contest(
        candidate=sim.n + 1,
        targets=tuple(f"t{task}" for task in edit.targets),
        record=sim.record,
        val_order=tuple(names[i] for i in sim.world.luck.permutation(len(names))),
        trunk_val=sim.own,
        suite=tuple(sim.suite.values()),
        best_val=sim.best,
    )
    return driven(sim, contest, edit)


def _judged(sim: Simulation, edit: Edit, evidence: Evidence | None, n_rollouts: int) -> Judged:
    world = sim.world
    sim.n += 1
    changed = world.logits + edit.change
    before, after = chance(world.logits), chance(changed)
    is_accepted = evidence is not None and decide(evidence, sim.policy).verdict == "accept"
    if evidence is not None:
        n_rollouts += _settled(sim, edit, evidence, is_accepted=is_accepted)
    sim.spent += n_rollouts + PROPOSAL_COST
    targets = list(edit.targets)
    return Judged(
        is_accepted=is_accepted,
        effect=float((after - before)[world.population].mean()),
        n_rollouts=n_rollouts,
        spent=sim.spent,
        truth=world.true_score(world.val),
        is_null=bool((after - before)[targets].mean() <= 0),
        is_through=evidence is not None and evidence.target is not None and evidence.target.state == "passed",
    )


def driven(sim: Simulation, contest: Contest, edit: Edit) -> tuple[Evidence, int]:
    """Run the contender's course; count what had to be run."""
    trunk_p, candidate_p = chance(sim.world.logits), chance(sim.world.logits + edit.change)
    outcomes: dict[Want, Outcome] = {}
    n = 0
    course = sim.contender.course(contest, sim.policy)
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
    task = index(sim.world, want.task)
    is_free = sim.contender.course is course_of and sim.policy.rule != "trial" and want.purpose == "target"
    if want.side == "trunk":
        key = (want.task, want.trial)
        is_new = key not in sim.paired
        if is_new:
            sim.paired[key] = bool(sim.world.luck.random() < trunk_p[task])
        return Outcome(is_pass=sim.paired[key]), int(is_new and not is_free)
    if edit.is_local and want.purpose == "val" and want.trial == 0 and edit.change[task] == 0 and want.task in sim.own:
        return Outcome(is_pass=sim.own[want.task], is_replayed=True), 0
    return Outcome(is_pass=bool(sim.world.luck.random() < candidate_p[task])), int(not is_free)


def _settled(sim: Simulation, edit: Edit, evidence: Evidence, *, is_accepted: bool) -> int:
    """The loop's bookkeeping after a verdict; returns rollouts it costs."""
    if not is_accepted:
        if evidence.validation is not None:
            sim.record = sim.record.after_reject(evidence.val, evidence.validation.shrunk)
        return 0
    touched = {f"t{i}" for i in np.flatnonzero(edit.change[sim.world.train])}
    failed = sim.world.failed
    sim.world.adopt(edit)
    sim.paired = {key: value for key, value in sim.paired.items() if key[0] not in touched}
    sim.record = sim.record.after_accept(evidence.val)
    stale = sim.record.stale()
    p = chance(sim.world.logits)
    fresh = {task: bool(sim.world.luck.random() < p[index(sim.world, task)]) for task in stale}
    sim.record = sim.record.measured(fresh)
    seen = {task: passes > 0 for task, (passes, _) in evidence.val.items()}
    sim.own = (sim.own if edit.is_local else {}) | seen | fresh
    sim.best = max(sim.best, evidence.score or 0.0)
    if sim.policy.rule == "published" and sim.contender.course is course_of:
        _promoted(sim, np.flatnonzero(failed & ~sim.world.failed), p)
    return len(stale)


def _promoted(sim: Simulation, solved: np.ndarray, p: Vector) -> None:
    """`published` keeps the train tasks that failed and now pass; an oracle leaves the flaky ones out, free."""
    for task in solved:
        if sim.contender.is_literal or p[task] >= STABLE:
            sim.suite[f"t{task}"] = SuiteCase(id=f"t{task}", task=f"t{task}", expected=float(p[task]))


def index(world: World, name: str) -> int:
    """A task's place in the world's vectors."""
    return int(name[1:]) + (world.val.start if name[0] == "v" else 0)
