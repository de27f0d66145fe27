"""The loop. Read `Campaign.run` first: it is the whole system on one screen.

The loop is deterministic given its seed and the outcomes of what it pays for, and everything it pays for is in the
ledger. So resuming is running it again from the start: what is recorded is not done twice, what is not is done now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from optimizer.campaign.contracting import missed_bounds, require_measured, values_by_task
from optimizer.campaign.curating import Curator, Sources
from optimizer.campaign.journal import Journal
from optimizer.campaign.keeping import Keeper
from optimizer.campaign.mining import Lens, Miner
from optimizer.campaign.proposing import Version, Workshop
from optimizer.campaign.steering import Steering
from optimizer.campaign.traffic import Traffic
from optimizer.config.settings import Settings
from optimizer.domain.budget import Budget
from optimizer.domain.candidate import Candidate, Decision
from optimizer.domain.errors import BudgetExhaustedError, HarnessError
from optimizer.domain.failure import Cluster
from optimizer.domain.rollout import Purpose, Rollout, RolloutJob
from optimizer.domain.task import Task
from optimizer.evaluate.evaluator import Evaluator
from optimizer.evaluate.race import Contest, Outcomes, Race
from optimizer.gate.decide import decide
from optimizer.gate.guard import TrunkRecord
from optimizer.gate.policy import Policy
from optimizer.gate.pooled import Pooled, pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trunk:
    """The accepted version and what is known of it."""

    version: Version
    record: TrunkRecord
    """Pooled record on validation."""
    val: Mapping[str, Rollout]
    """Its own validation runs of trial 0."""
    best_val: float
    """Best validation score any accepted version was ever seen with; what `published` compares with."""
    pooled: Mapping[str, Pooled]
    """Pooled record of every other metric that the contract names, and of the cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why a campaign stopped; every ending is planned and can be resumed with a larger budget."""

    code: str
    """`usd`, `tokens`, `rollouts`, `candidates`, `hours`, or `exhausted`: nothing left to try."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The rooms the loop calls on, chosen by the composition root."""

    journal: Journal
    workshop: Workshop
    keeper: Keeper
    evaluator: Evaluator
    budget: Budget
    steering: Steering
    tasks: tuple[Task, ...]
    """Train and val tasks."""
    lens: Lens
    """Through what failures are seen."""
    sources: Sources
    """What eval cases are checked against."""
    elapsed_s: Callable[[], float]
    """Seconds of all sessions of this campaign so far."""


class Campaign:
    """One optimization of one harness on one benchmark."""

    def __init__(self, crew: Crew, settings: Settings, policy: Policy) -> None:
        self._crew = crew
        self._settings = settings
        self._policy = policy
        self._tasks = {task.id: task for task in crew.tasks}
        loop = settings.loop
        self._traffic = Traffic(crew.tasks, batch_size=loop.batch_size, seed=settings.campaign.seed)
        self._miner = Miner(crew.journal, crew.steering.desk, crew.lens, settings, crew.budget)
        self._book = self._miner.book
        self._curator = Curator(crew.journal, crew.evaluator, crew.sources, settings)
        self._n_candidates = 0
        self._n_idle = 0

    async def run(self) -> Ending:
        """Mine, cluster, propose, measure, decide, keep, promote - until a budget ends it."""
        try:
            trunk = await self._baseline()
            while not self._is_exhausted():
                self._crew.steering.read()
                await self._mine(trunk)
                for cluster in self._book.targets(self._settings.loop.candidates_per_batch):
                    self._crew.steering.read()
                    candidate = await self._propose(trunk, cluster)
                    if candidate is None:
                        continue
                    outcomes = await self._measure(trunk, candidate)
                    decision = decide(outcomes.evidence, self._policy)
                    trunk = await self._settle(trunk, candidate, outcomes, decision)
                    if decision.verdict == "accept":
                        await self._promote(trunk, cluster.id, candidate.n)
        except BudgetExhaustedError as spent:
            return self._end(spent.limit, str(spent))
        return self._end("exhausted", "no open cluster has an untried fix; a further proposer would find work")

    async def _baseline(self) -> Trunk:
        """Measure the harness as it is, once, on validation."""
        base = self._crew.workshop.base
        val = [task for task in self._crew.tasks if task.split == "val"]
        _require_running(await self._rollouts(base.tree, val[:1], "val", 0))
        outcomes = await self._rollouts(base.tree, val, "val", 0)
        _require_running(outcomes)
        passed = {r.job.task.id: r.is_pass for r in outcomes if r.is_measured}
        record = TrunkRecord(cells={}).measured(passed)
        self._crew.journal.baseline(record, base.commit, self._crew.budget.spent)
        own = {r.job.task.id: r for r in outcomes if r.is_measured}
        pooled = pool({}, self._policy.contract, values_by_task(outcomes, self._policy.contract))
        require_measured(self._policy.contract, pooled, outcomes)
        for missed in missed_bounds(self._policy.contract, pooled, record.estimate):
            self._crew.steering.report(missed)
        return Trunk(version=base, record=record, val=own, best_val=record.estimate, pooled=pooled)

    async def _mine(self, trunk: Trunk) -> None:
        """Phase A and B: run a batch of train tasks; group what failed; keep each failure as a case."""
        self._check_clock()
        tasks, trial_of = self._traffic.next()
        jobs = [self._job(trunk.version.tree, task, "mine", trial_of[task.id]) for task in tasks]
        rollouts = await self._crew.evaluator.run(jobs)
        mined = await self._miner.mine(self._traffic.n, trunk.version.commit, rollouts)
        await self._curator.curate(trunk.version.tree, rollouts, mined.found, mined.cluster_of)
        self._curator.reopened(mined.changed, trunk.version.commit)
        self._n_idle += 1

    async def _propose(self, trunk: Trunk, cluster: Cluster) -> Candidate | None:
        """Phase C: one candidate for one cluster, or None when nothing usable is offered."""
        self._check_clock()
        failures = self._curator.cleared(self._book.recent[cluster.id])
        offer = await self._crew.workshop.offer(
            self._n_candidates + 1, self._traffic.n, trunk.version, cluster, failures
        )
        if offer is None:
            self._crew.journal.clusters(self._book.set_aside(cluster.id, self._traffic.n))
            return None
        self._n_candidates += 1
        self._n_idle = 0
        self._crew.journal.clusters(self._book.targeted(cluster.id))
        if isinstance(offer, Decision):
            self._crew.journal.refused(offer, self._crew.budget.spent)
            self._crew.journal.clusters(self._book.attempted(cluster.id, self._traffic.n, is_accepted=False))
            return None
        self._crew.journal.proposed(offer, cluster)
        return offer

    async def _measure(self, trunk: Trunk, candidate: Candidate) -> Outcomes:
        """Smoke, targets, regression suite, validation."""
        contest = Contest(
            candidate=candidate.n,
            tree=candidate.tree,
            trunk_tree=trunk.version.tree,
            targets=tuple(self._tasks[task_id] for task_id in candidate.proposal.target_tasks),
            suite=self._curator.gating(),
            pinned=frozenset(self._settings.gate.pin),
            record=trunk.record,
            best_val=trunk.best_val,
            pooled=trunk.pooled,
            trunk_val=trunk.val,
            tasks=self._tasks | self._curator.tasks,
            seed=self._settings.campaign.seed,
            holds=self._curator.holds,
        )
        return await Race(self._crew.evaluator, self._policy, contest).run()

    async def _settle(self, trunk: Trunk, candidate: Candidate, outcomes: Outcomes, decision: Decision) -> Trunk:
        """Keep the commit or set it aside; either way its runs teach us about the trunk."""
        self._crew.journal.judged(candidate, decision, outcomes.rollouts, self._crew.budget.spent)
        self._crew.workshop.remember(candidate.cluster_id, candidate.proposal, decision, trunk.version.tree)
        await self._curator.learn(trunk.version.tree, outcomes.rollouts)
        is_accepted = decision.verdict == "accept"
        if decision.verdict != "inconclusive":
            changed = self._book.attempted(candidate.cluster_id, self._traffic.n, is_accepted=is_accepted)
            self._crew.journal.clusters(changed)
        if is_accepted:
            commit = self._crew.keeper.accept(candidate, decision, expected_head=trunk.version.commit)
            self._curator.accepted(outcomes.evidence.suite_runs)
            return await self._crowned(trunk, candidate, outcomes, commit)
        self._crew.keeper.set_aside(candidate, decision)
        post = outcomes.evidence.on_success
        if post is None:
            return trunk
        record = trunk.record.after_reject(outcomes.evidence.val, post.shrunk)
        self._crew.journal.trunk(record, trunk.version.commit, None)
        return replace(trunk, record=record)

    async def _crowned(self, trunk: Trunk, candidate: Candidate, outcomes: Outcomes, commit: str) -> Trunk:
        """The candidate is the trunk now: re-measure what has faded."""
        record = trunk.record.after_accept(outcomes.evidence.val)
        own = {
            r.job.task.id: r
            for r in outcomes.rollouts
            if r.job.purpose == "val" and r.job.tree == candidate.tree and r.is_measured
        }
        stale = [self._tasks[task_id] for task_id in record.stale()]
        fresh = {r.job.task.id: r for r in await self._rollouts(candidate.tree, stale, "val", 0) if r.is_measured}
        record = record.measured({task_id: r.is_pass for task_id, r in fresh.items()})
        self._crew.journal.trunk(record, commit, candidate.n)
        own |= fresh
        return Trunk(
            version=Version(commit=commit, tree=candidate.tree),
            record=record,
            val=own,
            best_val=max(trunk.best_val, outcomes.evidence.score or 0.0),
            pooled=self._repooled(trunk, candidate, outcomes, fresh),
        )

    def _repooled(
        self, trunk: Trunk, candidate: Candidate, outcomes: Outcomes, fresh: Mapping[str, Rollout]
    ) -> Mapping[str, Pooled]:
        """As for success: what was known counts half, the candidate's runs in full."""
        its = [r for r in outcomes.rollouts if r.job.purpose == "val" and r.job.tree == candidate.tree]
        return pool(
            trunk.pooled,
            self._policy.contract,
            values_by_task((*its, *fresh.values()), self._policy.contract),
            keep=0.5,
        )

    async def _promote(self, trunk: Trunk, cluster_id: int, candidate: int) -> None:
        """Phase D: what the accepted version now solves reliably joins the regression suite."""
        family = self._book.family(cluster_id)
        solved = await self._curator.promote(trunk.version.tree, self._book.get(cluster_id), family)
        self._crew.journal.clusters(self._book.resolved(cluster_id, solved, candidate=candidate))

    async def _rollouts(self, tree: str, tasks: list[Task], purpose: Purpose, trial: int) -> tuple[Rollout, ...]:
        return await self._crew.evaluator.run([self._job(tree, task, purpose, trial) for task in tasks])

    def _job(self, tree: str, task: Task, purpose: Purpose, trial: int) -> RolloutJob:
        return RolloutJob(tree=tree, task=task, purpose=purpose, trial=trial)

    def _is_exhausted(self) -> bool:
        """Nothing was offered while the whole of the train split went by."""
        return self._n_idle * self._settings.loop.batch_size >= self._traffic.n_tasks

    def _check_clock(self) -> None:
        hours = self._settings.budget.hours
        if hours is not None and self._crew.elapsed_s() >= 3600 * hours:
            raise BudgetExhaustedError(
                "hours", f"the wall-time budget of {hours:g} h is used up. Raise [budget] hours and `hone resume`."
            )

    def _end(self, code: str, text: str) -> Ending:
        self._crew.journal.ended(code, text)
        return Ending(code=code, text=text)


def _require_running(rollouts: tuple[Rollout, ...]) -> None:
    """A harness that never once runs to its end cannot be improved, only mended.

    Raises:
        HarnessError: every rollout crashed or ran into a limit, or none could be measured.
    """
    if any(rollout.status in {"passed", "failed", "infra_error"} for rollout in rollouts):
        return
    worst = rollouts[0]
    raise HarnessError(
        f"the harness as committed does not run: {worst.status} ({worst.note})."
        f" `hone trace {worst.job.id}` shows what it did; `hone doctor` checks it in the sandbox."
    )
