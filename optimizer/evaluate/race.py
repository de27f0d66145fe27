"""The race of one candidate: what the gate asks for is run, and it is told what came of it.

Which stages there are, in which order, and when to stop is the gate's business (`optimizer.gate.rules`); what the race
returns is evidence, and it decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from optimizer.domain.evalcase import EvalCase
from optimizer.domain.json import content_hash
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Task
from optimizer.domain.trace import Usage
from optimizer.evaluate.evaluator import Evaluator
from optimizer.evaluate.metrics import values_of
from optimizer.gate import course
from optimizer.gate.contract import Contract
from optimizer.gate.course import Outcome, SuiteCase, Want
from optimizer.gate.evidence import Evidence
from optimizer.gate.guard import TrunkRecord
from optimizer.gate.policy import Policy
from optimizer.gate.pooled import Pooled
from optimizer.gate.rules import course_of


async def is_solved(_: EvalCase, rollout: Rollout) -> bool:
    """A case holds when its whole task is solved."""
    return rollout.is_pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One candidate against the trunk."""

    candidate: int
    tree: str
    trunk_tree: str
    targets: tuple[Task, ...]
    suite: tuple[EvalCase, ...]
    pinned: frozenset[str]
    """Tasks that must pass."""
    record: TrunkRecord
    """Pooled trunk record on validation."""
    best_val: float = 0.0
    """Best validation score any accepted version was ever seen with."""
    trunk_val: Mapping[str, Rollout]
    """The trunk's own validation runs of trial 0, whose recordings a candidate may replay."""
    tasks: Mapping[str, Task]
    """All train and val tasks by id."""
    seed: int
    holds: Callable[[EvalCase, Rollout], Awaitable[bool]] = is_solved
    """Whether a case holds in a measured run of its task; a case of a cheaper layer looks at its own check alone."""
    pooled: Mapping[str, Pooled] = field(default_factory=dict)
    """The trunk's record of every metric but success."""

    def for_gate(self, contract: Contract) -> course.Contest:
        """The same with names alone; validation tasks in an order fixed by the candidate."""
        return course.Contest(
            candidate=self.candidate,
            targets=tuple(task.id for task in self.targets),
            record=self.record,
            val_order=tuple(sorted(self.record.cells, key=lambda task: content_hash(self.seed, self.candidate, task))),
            trunk_val={task: rollout.is_pass for task, rollout in self.trunk_val.items() if rollout.is_measured},
            suite=tuple(
                SuiteCase(
                    id=case.id,
                    task=case.task_id,
                    expected=case.pass_rate or 0.0,
                    is_pinned=case.task_id in self.pinned,
                    weight=case.weight,
                    layer=case.layer,
                )
                for case in self.suite
            ),
            best_val=self.best_val,
            slices={task: self.tasks[task].slices for task in self.record.cells},
            pooled=self.pooled,
            trunk_metrics={task: values_of(rollout, contract) for task, rollout in self.trunk_val.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """The evidence and the runs behind it."""

    evidence: Evidence
    rollouts: tuple[Rollout, ...] = ()
    """Every rollout of the race, trunk side included, in order."""


class Race:
    """Measures one candidate."""

    def __init__(self, evaluator: Evaluator, policy: Policy, contest: Contest) -> None:
        self._evaluator = evaluator
        self._policy = policy
        self._contest = contest
        self._cases = {case.id: case for case in contest.suite}
        self._rollouts: list[Rollout] = []
        self._fresh: set[str] = set()

    async def run(self) -> Outcomes:
        """Run what the gate wants until it has seen enough."""
        wanted = course_of(self._contest.for_gate(self._policy.contract), self._policy)
        try:
            wants = next(wanted)
            while True:
                wants = wanted.send(await self._outcomes(wants))
        except StopIteration as over:
            return Outcomes(evidence=self._accounted(over.value), rollouts=tuple(self._rollouts))

    async def _outcomes(self, wants: tuple[Want, ...]) -> dict[Want, Outcome]:
        """Run a batch of wants; the trunk's side of a pair is there when the candidate's is compared with it."""
        job_of = {want: self._job(want) for want in wants}
        jobs = list({job.id: job for job in job_of.values()}.values())
        fresh = {job.id for job in jobs if not self._evaluator.is_settled(job.id)}
        rollouts = await self._evaluator.run(jobs)
        self._rollouts += rollouts
        self._fresh |= fresh
        by_job = {rollout.job.id: rollout for rollout in rollouts}
        round_ = {want: by_job[job.id] for want, job in job_of.items()}
        return {want: await self._outcome(want, rollout, round_) for want, rollout in round_.items()}

    async def _outcome(self, want: Want, rollout: Rollout, round_: Mapping[Want, Rollout]) -> Outcome:
        if not rollout.is_measured:
            return Outcome(is_pass=None)
        if want.case:
            return Outcome(is_pass=await self._contest.holds(self._cases[want.case], rollout))
        trunk = None
        if want.side == "candidate" and want.purpose == "target":
            trunk = round_.get(replace(want, side="trunk"))
        elif want.purpose == "val" and want.trial == 0:
            trunk = self._contest.trunk_val.get(want.task)
        return Outcome(
            is_pass=rollout.is_pass,
            crash=rollout.note if rollout.status == "crashed" else None,
            is_replayed=trunk is not None and self._is_trunks_luck(rollout, trunk),
            metrics=values_of(rollout, self._policy.contract) if want.purpose == "val" and rollout.is_measured else {},
        )

    def _is_trunks_luck(self, candidate: Rollout, trunk: Rollout) -> bool:
        """All calls were replayed, and they are the trunk's: another candidate's recordings do not count."""
        return candidate.is_replayed and self._evaluator.asks_the_same(candidate, trunk)

    def _job(self, want: Want) -> RolloutJob:
        tree = self._contest.tree if want.side == "candidate" else self._contest.trunk_tree
        return RolloutJob(tree=tree, task=self._contest.tasks[want.task], purpose=want.purpose, trial=want.trial)

    def _accounted(self, evidence: Evidence) -> Evidence:
        """Totals over the rollouts that this race was the first to pay for."""
        distinct = {rollout.job.id: rollout for rollout in self._rollouts if rollout.job.id in self._fresh}
        return replace(
            evidence,
            n_rollouts=len(distinct),
            n_unmeasured=sum(not rollout.is_measured for rollout in distinct.values()),
            usage=sum((rollout.usage for rollout in distinct.values()), Usage()),
        )
