"""Phases B and D: failures become eval cases, believed ones become the regression suite.

Everything a case needs to be believed is read off runs the campaign makes anyway; what is missing when a case is about
to join is paid for then, and never before. Verification and its reasons are `optimizer.evals.admission`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.campaign.evidence import Evidence
from optimizer.campaign.journal import Journal
from optimizer.campaign.semantic import OpenJudge, Semantic
from optimizer.config.settings import Settings
from optimizer.domain.dataset import Pedigree
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.json import content_hash
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Benchmark, CaseSource, Task
from optimizer.evals.admission import Rules
from optimizer.evals.manifest import manifest_of
from optimizer.evals.suite import Suite, Tally, drafted
from optimizer.evals.variations import fitting_variation
from optimizer.evaluate.evaluator import Evaluator
from optimizer.mining.taxonomy import Taxonomy, default_taxonomy

WITHHELD = "[withheld: it shares words with a val or test task]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What eval cases are checked against, on the trusted side."""

    benchmark: Benchmark
    pedigree: Pedigree
    taxonomy: Taxonomy = field(default_factory=default_taxonomy)
    """By which failures are labelled."""
    judge: OpenJudge | None = None
    """Opens the judge of the semantic layer when a case first needs it; None where none is set up."""


def rules_of(settings: Settings) -> Rules:
    """The person's settings as the rules of admission."""
    evals = settings.evals
    return Rules(
        verify_runs=evals.verify_runs,
        flaky_rate=evals.flaky_rate,
        duplicate_at=evals.duplicate_similarity,
        synthetic_share=evals.synthetic_share,
    )


class Curator:
    """Keeps the eval cases of a campaign. Deterministic: it knows only what the loop has shown it."""

    def __init__(self, journal: Journal, evaluator: Evaluator, sources: Sources, settings: Settings) -> None:
        self._journal = journal
        self._evaluator = evaluator
        self._sources = sources
        self._settings = settings
        self._suite = Suite(limit=settings.loop.suite_limit, rules=rules_of(settings))
        self._evidence = Evidence(
            journal,
            sources.benchmark,
            admitted=settings.evals.admit,
            taxonomy=sources.taxonomy,
            semantic=Semantic(sources.judge, journal.trace),
        )
        self._version = manifest_of((), pedigree=sources.pedigree)
        self._accepted: set[str] = set()
        self._reopened: set[int] = set()
        """Clusters that came back and have had no accepted edit since."""
        self.tasks = {task.id: task for task in sources.benchmark.tasks() if task.split == "train"}
        """Train tasks by id, made-up ones included."""
        self.holds = self._evidence.holds

    def gating(self) -> tuple[EvalCase, ...]:
        """What a candidate must not break: the regression suite, and what a person has pinned."""
        return (*self._suite.active(), *self._suite.pinned(self._settings.gate.pin))

    async def curate(
        self, tree: str, rollouts: Sequence[Rollout], found: Iterable[Failure], cluster_of: Mapping[str, int]
    ) -> None:
        """Take in a batch of the trunk's runs, and make a case of each failure (by its id, with its cluster)."""
        await self.learn(tree, rollouts)
        run_of = {rollout.job.id: rollout for rollout in rollouts}
        changed: list[EvalCase] = []
        for failure in found:
            case = drafted(failure, cluster_of[failure.id], self.tasks[failure.task_id].slices)
            if self._suite.get(case.id) is None:
                text = await self._evidence.first(failure, self.tasks[failure.task_id])
                prefix = self._evidence.prefix(failure, run_of[failure.rollout_id])
                case = replace(case, prefix=prefix, verification=text)
                changed += self._suite.draft(await self._examined(case, failure.tree))
        self._keep(changed)

    async def learn(self, tree: str, rollouts: Sequence[Rollout]) -> None:
        """Count runs that were made for any purpose; `tree` is the trunk's."""
        new = self._evidence.learn(rollouts)
        changed: list[EvalCase] = []
        for task_id in dict.fromkeys(run.job.task.id for run in new):
            for case in self._suite.of_task(task_id):
                changed += self._suite.verify(case.id, (await self._evidence.updated(case)).verification)
        if tree in self._accepted:
            changed += await self._observed([run for run in new if run.job.tree == tree])
        self._keep(changed)

    def accepted(self, runs: Mapping[str, tuple[int, int]]) -> None:
        """A candidate was accepted; these are passes and measured runs of the cases it was held against."""
        self._keep(self._suite.observe(runs))

    def reopened(self, clusters: Iterable[Cluster], commit: str) -> None:
        """Say once on the cases of clusters that came back that they did, and since when."""
        for cluster in clusters:
            if cluster.state == "reopened" and cluster.id not in self._reopened:
                self._reopened.add(cluster.id)
                since = cluster.reopened_since or commit
                words = f"cluster {cluster.id} was reopened in batch {cluster.last_seen_batch}, since {since[:12]}"
                self._keep(self._suite.reopened(cluster.id, words))

    def cleared(self, failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
        """Failures as a proposer may see them: what shares words with val or test is withheld, and says so."""
        return tuple(
            replace(failure, evidence=WITHHELD, symptom=WITHHELD, cause=WITHHELD, expected=WITHHELD)
            if self._evidence.leak_of(failure)
            else failure
            for failure in failures
        )

    async def promote(self, tree: str, cluster: Cluster, family: Sequence[int]) -> frozenset[str]:
        """What an accepted version now solves reliably joins the regression suite; the solved tasks.

        `family` are the ids of the cluster and of all that were merged into it: their cases join with its own.
        """
        self._accepted.add(tree)
        self._reopened -= set(family)
        tasks = [self.tasks[task_id] for task_id in cluster.failing_tasks]
        runs = await self._runs(tree, tasks, self._settings.loop.promote_runs)
        cases = [case for member in family for case in self._suite.open_of(member)]
        changed = await self._judged(cases, runs)
        self._journal.promoted(cluster, changed)
        self._keep([*changed, *await self._varied(tree, changed)])
        return frozenset(
            task_id
            for task_id, mine in runs.items()
            if any(run.is_measured for run in mine) and all(run.is_pass for run in mine if run.is_measured)
        )

    async def _judged(self, cases: Sequence[EvalCase], runs: Mapping[str, Sequence[Rollout]]) -> list[EvalCase]:
        """Judge cases by runs of an accepted version on their tasks; the last repeats they need are paid for here."""
        tallies = {case.id: await self._tally(case, runs.get(case.task_id, ())) for case in cases}
        lacking = {case: self._suite.lacking(case, tallies[case.id]) for case in cases}
        jobs = [
            self._job(self._evidence.tree_of(case), self.tasks[case.task_id], trial)
            for case, n in lacking.items()
            for trial in range(n)
        ]
        self._evidence.learn(await self._evaluator.run(jobs) if jobs else ())
        changed: dict[str, EvalCase] = {}
        for case in cases:
            known = await self._evidence.updated(case)
            for each in (
                *self._suite.verify(case.id, known.verification),
                *self._suite.promote(case.id, tallies[case.id]),
            ):
                changed[each.id] = each
        return list(changed.values())

    async def _runs(self, tree: str, tasks: Sequence[Task], n: int) -> dict[str, list[Rollout]]:
        runs: dict[str, list[Rollout]] = {task.id: [] for task in tasks}
        for trial in range(n):
            for rollout in await self._evaluator.run([self._job(tree, task, trial) for task in tasks]):
                runs[rollout.job.task.id].append(rollout)
        self._evidence.learn([run for mine in runs.values() for run in mine])
        return runs

    async def _tally(self, case: EvalCase, runs: Sequence[Rollout]) -> Tally:
        measured = [run for run in runs if run.is_measured]
        part = replace(case, layer="deterministic")
        held = [await self._evidence.holds(part, run) for run in measured]
        return Tally(n=len(measured), n_passes=sum(run.is_pass for run in measured), n_held=sum(held))

    async def _observed(self, runs: Sequence[Rollout]) -> list[EvalCase]:
        """Runs of an accepted version keep the pass rates of its cases true."""
        changed: list[EvalCase] = []
        for run in runs:
            for case in self._suite.of_task(run.job.task.id):
                changed += self._suite.observe({case.id: (int(await self.holds(case, run)), 1)})
        return changed

    async def _examined(self, case: EvalCase, tree: str) -> EvalCase:
        """A new case with all that is known of it."""
        self._evidence.originates(case, tree)
        return await self._evidence.updated(case)

    async def _varied(self, tree: str, joined: Sequence[EvalCase]) -> list[EvalCase]:
        """Made-up neighbours of the cases that have just joined, while they have room; off unless asked for."""
        source, changed = self._sources.benchmark, list[EvalCase]()
        if not isinstance(source, CaseSource):
            return changed
        for case in joined:
            is_model = case.state == "active" and case.layer == "behavioural" and case.synthetic_of is None
            if is_model and self._suite.has_room_for_synthetic():
                held = self._evidence.held_out
                task = await fitting_variation(source, source, self.tasks[case.task_id], held)
                changed += [] if task is None or task.id in self.tasks else await self._neighbour(tree, case, task)
        return changed

    async def _neighbour(self, tree: str, model: EvalCase, task: Task) -> list[EvalCase]:
        """A case of a made-up task: it must fail where its model failed and pass where its model passes."""
        self.tasks[task.id] = task
        failing_tree = self._evidence.tree_of(model)
        await self._evidence.open(task)
        found = (await self._runs(failing_tree, [task], 1 + self._suite.rules.verify_runs))[task.id]
        case = replace(
            model,
            id=content_hash(task.id, model.cluster_id),
            task_id=task.id,
            failure_id="",
            rollout_id=next((run.job.id for run in found if not run.is_pass), ""),
            n_runs=0,
            n_passes=0,
            weight=model.weight / 2,
            slices=tuple(dict.fromkeys((*task.slices, *model.slices))),
            synthetic_of=model.id,
            prefix=None,
            verification=self._evidence.of_text(task, ""),
        )
        changed = [*self._suite.draft(await self._examined(case, failing_tree))]
        runs = await self._runs(tree, [task], self._settings.loop.promote_runs)
        return [*changed, *await self._judged([self._suite.get(case.id) or case], runs)]

    def _keep(self, changed: Sequence[EvalCase]) -> None:
        """Write cases down, and the version of the suite when they change it."""
        self._journal.cases(changed)
        version = manifest_of(self._suite.kept(), parent=self._version.parent, pedigree=self._sources.pedigree)
        if version.entries != self._version.entries:
            parent = self._version.id if self._version.entries or self._version.parent else ""
            self._version = manifest_of(self._suite.kept(), parent=parent, pedigree=self._sources.pedigree)
            self._journal.dataset(self._version)

    def _job(self, tree: str, task: Task, trial: int) -> RolloutJob:
        """Both harness versions run with the same luck: whether the case holds is the only question."""
        return RolloutJob(tree=tree, task=task, purpose="promote", trial=trial)
