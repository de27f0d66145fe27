"""The race of one candidate: smoke -> targets -> regression suite (what is read off first) -> validation.

Each stage is run only if it is still worth it: cheap and telling ones come first, and the gate's pure rules say after
every round whether to go on. What the race returns is evidence; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.domain.evalcase import EvalCase
from optimizer.domain.json import content_hash
from optimizer.domain.rollout import Purpose, Rollout, RolloutJob
from optimizer.domain.task import Task
from optimizer.domain.trace import Usage
from optimizer.evaluate.evaluator import Evaluator
from optimizer.gate.decide import Evidence, Policy
from optimizer.gate.guard import BLOCK, TrunkRecord, judge_guard, posterior
from optimizer.gate.suite import MAX_RUNS, CaseRuns, judge_suite
from optimizer.gate.target import Pair, judge_target


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
    trunk_val: Mapping[str, Rollout]
    """The trunk's own validation runs of trial 0, whose recordings a candidate may replay."""
    tasks: Mapping[str, Task]
    """All train and val tasks by id."""
    seed: int
    holds: Callable[[EvalCase, Rollout], Awaitable[bool]] = is_solved
    """Whether a case holds in a measured run of its task; a case of a cheaper layer looks at its own check alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """The runs behind the evidence, for bookkeeping and for the flips a person reads."""

    evidence: Evidence
    val: Mapping[str, bool] = field(default_factory=dict)
    """Measured, not replayed validation runs of the candidate, by task."""
    suite: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Passes and measured runs of each case, by case id."""
    rollouts: tuple[Rollout, ...] = ()
    """Every rollout of the race, trunk side included, in order."""


class Race:
    """Measures one candidate."""

    def __init__(self, evaluator: Evaluator, policy: Policy, contest: Contest) -> None:
        self._evaluator = evaluator
        self._policy = policy
        self._contest = contest
        self._evidence = Evidence(
            candidate=contest.candidate, trunk_estimate=contest.record.estimate, n_val_tasks=len(contest.record.cells)
        )
        self._rollouts: list[Rollout] = []
        self._fresh: set[str] = set()
        self._val: dict[str, bool] = {}
        self._suite: dict[str, tuple[int, int]] = {}

    async def run(self) -> Outcomes:
        """Run stage after stage until one ends the race."""
        for stage in (self._smoke, self._targets, self._read_off, self._regressions, self._validation):
            if not await stage():
                break
        return Outcomes(
            evidence=self._accounted(),
            val=dict(self._val),
            suite=dict(self._suite),
            rollouts=tuple(self._rollouts),
        )

    async def _smoke(self) -> bool:
        """The first pair alone: a candidate that cannot run is not run twice."""
        first = self._contest.targets[0]
        _, candidate = await self._pairs([first], 0)
        if candidate[0].status == "crashed":
            self._evidence = replace(self._evidence, crash=candidate[0].note)
        return candidate[0].status != "crashed"

    async def _pairs(self, tasks: Sequence[Task], trial: int) -> tuple[tuple[Rollout, ...], tuple[Rollout, ...]]:
        """Outcomes of the trunk and of the candidate; the trunk goes first, so that replays are the candidate's."""
        jobs = [
            self._job(tree, task, "target", trial)
            for tree in (self._contest.trunk_tree, self._contest.tree)
            for task in tasks
        ]
        outcomes = await self._run(jobs)
        return outcomes[: len(tasks)], outcomes[len(tasks) :]

    async def _targets(self) -> bool:
        """Paired rounds over the tasks the edit promised to fix."""
        rounds: list[tuple[Pair, ...]] = []
        contest = self._contest
        while True:
            trunk, candidate = await self._pairs(contest.targets, len(rounds))
            rounds.append(tuple(self._pair(*sides) for sides in zip(candidate, trunk, strict=True)))
            test = judge_target(tuple(rounds), self._policy.target)
            self._evidence = replace(self._evidence, target=test)
            if test.state != "continue":
                return test.state != "failed"

    def _pair(self, candidate: Rollout, trunk: Rollout) -> Pair:
        return Pair(
            task_id=candidate.job.task.id,
            candidate=candidate.is_pass if candidate.is_measured else None,
            trunk=trunk.is_pass if trunk.is_measured else None,
            is_replayed=candidate.is_pass == trunk.is_pass and self._is_trunks_luck(candidate, trunk),
        )

    async def _read_off(self) -> bool:
        """Cases that need no run of their own, code before judges: they are read off the runs of the targets."""
        contest = self._contest
        for layer in ("deterministic", "semantic"):
            for case in (case for case in contest.suite if case.layer == layer):
                for rollout in self._target_runs(case.task_id):
                    await self._look(case, rollout)
            if not self._judge_suite(n_suite=len(contest.suite)):
                return False
        return True

    def _target_runs(self, task_id: str) -> list[Rollout]:
        mine = [r for r in self._rollouts if r.job.tree == self._contest.tree and r.job.task.id == task_id]
        return list({r.job.id: r for r in mine if r.job.purpose == "target"}.values())

    async def _look(self, case: EvalCase, rollout: Rollout) -> bool:
        """Count one run of a case."""
        passes, runs = self._suite.get(case.id, (0, 0))
        is_held = rollout.is_measured and await self._contest.holds(case, rollout)
        self._suite[case.id] = (passes + is_held, runs + rollout.is_measured)
        return is_held

    async def _regressions(self) -> bool:
        """Every case that nothing has shown to hold yet, once; what fails is repeated before it counts as broken."""
        contest = self._contest
        pending = {case.id: case for case in contest.suite if not self._suite.get(case.id, (0, 0))[0]}
        for trial in range(MAX_RUNS if pending else 0):
            cases = list(pending.values())
            jobs = [self._job(contest.tree, contest.tasks[case.task_id], "suite", trial) for case in cases]
            for case, rollout in zip(cases, await self._run(jobs), strict=True):
                if await self._look(case, rollout):
                    del pending[case.id]
            if not pending:
                break
        return self._judge_suite()

    def _judge_suite(self, *, n_suite: int = 0) -> bool:
        """What the suite says so far; silent while nothing of it is certain."""
        looked_at = tuple(self._case_runs(case) for case in self._contest.suite if case.id in self._suite)
        if n_suite:  # some cases wait for their repeats
            looked_at = tuple(runs for runs in looked_at if runs.n_passes or runs.n_runs >= MAX_RUNS)
        if not looked_at:
            return True
        verdict = judge_suite(looked_at, required_rate=self._policy.regression_rate, n_suite=n_suite)
        self._evidence = replace(self._evidence, suite=verdict)
        return verdict.is_passed

    def _case_runs(self, case: EvalCase) -> CaseRuns:
        passes, runs = self._suite[case.id]
        return CaseRuns(
            case_id=case.id,
            task_id=case.task_id,
            n_passes=passes,
            n_runs=runs,
            expected=case.pass_rate or 0.0,
            is_pinned=case.task_id in self._contest.pinned,
            weight=case.weight,
        )

    async def _validation(self) -> bool:
        """Blocks of held-out tasks in an order fixed by the candidate, until the guard is sure."""
        test = self._evidence.target
        assert test is not None
        rule = self._policy.route(test)
        differences: list[float] = []
        order = self._val_order()
        for start in range(0, len(order), BLOCK):
            block = order[start : start + BLOCK]
            jobs = [self._job(self._contest.tree, self._contest.tasks[task], "val", 0) for task in block]
            differences += self._differences(await self._run(jobs))
            if not differences:
                continue
            post = posterior(tuple(differences), rule.prior_mean)
            state = judge_guard(post, rule, is_complete=start + BLOCK >= len(order))
            self._evidence = replace(self._evidence, validation=post, is_admitted=state == "accept")
            if state != "continue":
                break
        return True

    def _val_order(self) -> list[str]:
        contest = self._contest
        return sorted(contest.record.cells, key=lambda task: content_hash(contest.seed, contest.candidate, task))

    def _differences(self, rollouts: tuple[Rollout, ...]) -> Iterator[float]:
        """Candidate less pooled trunk per task.

        Where every model call was the trunk's own, replayed, the run is compared with the trunk's
        run - a difference of exactly zero unless the edit matters without a word to the model - and says nothing new
        about the trunk.
        """
        contest = self._contest
        for rollout in rollouts:
            task_id = rollout.job.task.id
            trunk = contest.trunk_val.get(task_id)
            if trunk is not None and self._is_trunks_luck(rollout, trunk):
                self._evidence = replace(self._evidence, n_replayed=self._evidence.n_replayed + 1)
                yield float(rollout.is_pass) - trunk.is_pass
            elif rollout.is_measured:
                rate = contest.record.cells[task_id].rate
                self._val[task_id] = rollout.is_pass
                self._note_flip(task_id, is_pass=rollout.is_pass, rate=rate)
                yield rollout.is_pass - rate

    def _is_trunks_luck(self, candidate: Rollout, trunk: Rollout) -> bool:
        """All calls were replayed, and they are the trunk's: another candidate's recordings do not count."""
        return candidate.is_replayed and self._evaluator.asks_the_same(candidate, trunk)

    def _note_flip(self, task_id: str, *, is_pass: bool, rate: float) -> None:
        if is_pass and rate < 0.5:
            self._evidence = replace(self._evidence, fixed=(*self._evidence.fixed, task_id))
        elif not is_pass and rate >= 0.5:
            self._evidence = replace(self._evidence, broken=(*self._evidence.broken, task_id))

    async def _run(self, jobs: list[RolloutJob]) -> tuple[Rollout, ...]:
        fresh = {job.id for job in jobs if not self._evaluator.is_settled(job.id)}
        outcomes = await self._evaluator.run(jobs)
        self._rollouts += outcomes
        self._fresh |= fresh
        return outcomes

    def _job(self, tree: str, task: Task, purpose: Purpose, trial: int) -> RolloutJob:
        return RolloutJob(tree=tree, task=task, purpose=purpose, trial=trial)

    def _accounted(self) -> Evidence:
        """Totals over the rollouts that this race was the first to pay for."""
        distinct = {rollout.job.id: rollout for rollout in self._rollouts if rollout.job.id in self._fresh}
        return replace(
            self._evidence,
            n_rollouts=len(distinct),
            n_unmeasured=sum(not rollout.is_measured for rollout in distinct.values()),
            usage=sum((rollout.usage for rollout in distinct.values()), Usage()),
        )
