"""What the gate wants to see of a candidate, and in which order: a conversation without any input or output.

A course is a generator. It yields the runs it wants next and is sent their outcomes; what it returns is the evidence.
Whoever drives it - the campaign with sandboxes, the benchmark with a simulator, a person with a list - drives the same
rule. It sees no model, process, clock or dice, so equal outcomes give equal evidence.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from optimizer.domain.evalcase import Layer
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import Cell, TrunkRecord
from optimizer.gate.pooled import Pooled, Weighed
from optimizer.gate.suite import MAX_RUNS, CaseRuns
from optimizer.gate.target import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One run that the gate asks for. Trials of different purposes never share luck."""

    side: Literal["candidate", "trunk"]
    purpose: Literal["target", "suite", "val"]
    task: str
    trial: int
    case: str = ""
    """Regression case that is looked at in this run, so that a pass means that the case holds; '' for the whole task.
    A case looked at in a run that was made already costs no further run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run."""

    is_pass: bool | None
    """None when it was not measured (infrastructure): it counts neither for nor against anyone."""
    crash: str | None = None
    """Why the harness crashed; None when it did not. A crash is a fail."""
    is_replayed: bool = False
    """Every model call was byte-identical to the trunk's run of the same trial: the edit never mattered."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Measured values of the run by name; read for validation alone."""
    utility: float | None = None
    """0.0 to 1.0: what validation weighs where that is not the pass; None where it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteCase:
    """A regression case as the gate knows it."""

    id: str
    task: str
    expected: float
    """Its pass-rate estimate on accepted versions, 0.0 to 1.0."""
    is_pinned: bool = False
    weight: float = 1.0
    """How much it counts, above 0."""
    layer: Layer = "behavioural"
    """`deterministic` and `semantic` cases are read off the runs of the targets first, in that order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One candidate against the trunk."""

    candidate: int
    targets: tuple[str, ...]
    """Train tasks the edit claims to fix; at least one."""
    record: TrunkRecord
    """Pooled trunk record; its cells are the validation tasks."""
    val_order: tuple[str, ...]
    """All validation tasks, in the order in which this candidate meets them."""
    trunk_val: Mapping[str, bool] = field(default_factory=dict)
    """The trunk's own validation runs of trial 0."""
    suite: tuple[SuiteCase, ...] = ()
    best_val: float = 0.0
    """Best validation score any accepted version was ever seen with; read by `published` alone."""
    slices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Slices of each validation task; read by the metric contract alone."""
    pooled: Mapping[str, Pooled] = field(default_factory=dict)
    """The trunk's record of every metric but success."""
    trunk_metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Metrics of the trunk's own validation runs of trial 0, by task."""
    weighed: Weighed | None = None
    """What validation compares; None for the pass."""

    def value(self, task: str, outcome: Outcome) -> float | None:
        """What validation weighs of a run; None where it was not measured, or never on the trunk."""
        if outcome.is_pass is None or self.weighed is None:
            return outcome.is_pass
        return outcome.utility if task in self.weighed.record.cells else None

    def cell(self, task: str) -> Cell:
        """The trunk's record of the same on a task."""
        return (self.record if self.weighed is None else self.weighed.record).cells[task]

    def own(self, task: str) -> float:
        """The same of the trunk's own run of trial 0."""
        return self.trunk_val[task] if self.weighed is None else self.weighed.own.get(task, self.cell(task).rate)


Outcomes: TypeAlias = Mapping[Want, Outcome]
Course: TypeAlias = Generator[tuple[Want, ...], Outcomes, Evidence]


def drive(course: Course, run: Mapping[Want, Outcome]) -> Evidence:
    """Drive a course with outcomes that are all known beforehand. Raises KeyError for one that is missing."""
    try:
        wants = next(course)
        while True:
            wants = course.send({want: run[want] for want in wants})
    except StopIteration as over:
        evidence: Evidence = over.value
        return evidence


def smoke(contest: Contest) -> Generator[tuple[Want, ...], Outcomes, str | None]:
    """The first pair alone: a candidate that cannot run is not run twice. Returns why it crashed."""
    wants = pair_wants(contest.targets[:1], 0)
    outcomes = yield wants
    return outcomes[wants[-1]].crash


def pair_wants(tasks: tuple[str, ...], trial: int) -> tuple[Want, ...]:
    """Both sides of a round; the trunk goes first, so that what is replayed is the candidate's."""
    return tuple(
        Want(side=side, purpose="target", task=task, trial=trial) for side in ("trunk", "candidate") for task in tasks
    )


def pairs_of(tasks: tuple[str, ...], trial: int, outcomes: Outcomes) -> tuple[Pair, ...]:
    """A round as the target test reads it."""
    wants = pair_wants(tasks, trial)
    trunk, candidate = ([outcomes[want] for want in side] for side in (wants[: len(tasks)], wants[len(tasks) :]))
    return tuple(
        Pair(task_id=task, candidate=c.is_pass, trunk=t.is_pass, is_replayed=c.is_replayed and c.is_pass == t.is_pass)
        for task, c, t in zip(tasks, candidate, trunk, strict=True)
    )


Runs: TypeAlias = dict[str, tuple[int, int]]
"""Passes and measured runs of each case that was looked at, by case id."""


def read_off(contest: Contest, n_rounds: int, layer: Layer) -> Generator[tuple[Want, ...], Outcomes, Runs]:
    """Look at the cases of a layer in the runs that the targets have had anyway."""
    cases = [case for case in contest.suite if case.layer == layer and case.task in contest.targets]
    wants = tuple(
        Want(side="candidate", purpose="target", task=case.task, trial=trial, case=case.id)
        for case in cases
        for trial in range(n_rounds)
    )
    outcomes = (yield wants) if wants else {}
    runs: Runs = {}
    for want in wants:
        _count(runs, want.case, outcomes[want])
    return runs


def regressions(
    contest: Contest, runs: Runs, *, max_runs: int = MAX_RUNS
) -> Generator[tuple[Want, ...], Outcomes, Runs]:
    """Every case that nothing has shown to hold yet, once; what fails is repeated before it counts as broken."""
    runs = dict(runs)
    for trial in range(max_runs):
        pending = [case for case in contest.suite if not runs.get(case.id, (0, 0))[0]]
        if not pending:
            break
        wants = tuple(
            Want(side="candidate", purpose="suite", task=case.task, trial=trial, case=case.id) for case in pending
        )
        outcomes = yield wants
        for want in wants:
            _count(runs, want.case, outcomes[want])
    return runs


def _count(runs: Runs, case: str, outcome: Outcome) -> None:
    passes, n = runs.get(case, (0, 0))
    runs[case] = (passes + bool(outcome.is_pass), n + (outcome.is_pass is not None))


def case_runs(contest: Contest, runs: Mapping[str, tuple[int, int]]) -> tuple[CaseRuns, ...]:
    """What was looked at of the suite, as its judge reads it."""
    return tuple(
        CaseRuns(
            case_id=case.id,
            task_id=case.task,
            n_passes=runs[case.id][0],
            n_runs=runs[case.id][1],
            expected=case.expected,
            is_pinned=case.is_pinned,
            weight=case.weight,
        )
        for case in contest.suite
        if case.id in runs
    )
