"""What is known of an eval case: how it fails, what passes it, what it resembles, and what it must not share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from optimizer.campaign.journal import Journal
from optimizer.campaign.semantic import Semantic
from optimizer.domain.errors import BenchmarkError
from optimizer.domain.evalcase import EvalCase, Verification
from optimizer.domain.failure import Failure
from optimizer.domain.json import canonical_json
from optimizer.domain.rollout import Rollout
from optimizer.domain.task import Benchmark, CaseSource, Score, Task
from optimizer.domain.trace import Trace
from optimizer.evals.admission import REFUSED
from optimizer.evals.decontam import HeldOut
from optimizer.evals.duplicates import NearIndex, Neighbour
from optimizer.evals.openings import TRIES, opening_text, read_openings
from optimizer.evals.reduction import shortest_prefix
from optimizer.evals.runs import RunBook
from optimizer.mining.detectors.explain import explain, findings
from optimizer.mining.taxonomy import Taxonomy


class Evidence:
    """Finds out about cases on the trusted side. Only the openings of val and test are read, never a run of test."""

    def __init__(
        self,
        journal: Journal,
        benchmark: Benchmark,
        *,
        admitted: Mapping[str, str],
        taxonomy: Taxonomy,
        semantic: Semantic,
    ) -> None:
        """`admitted` names, by train task, who admits its cases in spite of what their text shares."""
        self._journal = journal
        self._benchmark = benchmark
        self._admitted = admitted
        self._taxonomy = taxonomy
        self._semantic = semantic
        self._runs = RunBook()
        self._near = NearIndex()
        self._like: dict[str, Neighbour | None] = {}
        self._first_case: dict[str, str] = {}
        self._held: HeldOut | None = None
        self._texts: dict[str, str] = {}
        self._groups: dict[str, str] = {}
        self._trees: dict[str, str] = {}
        self._gold: dict[str, Score | None] = {}
        self._signs: dict[str, frozenset[str]] = {}

    @property
    def held_out(self) -> HeldOut:
        """What val and test show; read by the first `first`."""
        assert self._held is not None
        return self._held

    def learn(self, rollouts: Iterable[Rollout]) -> tuple[Rollout, ...]:
        """Take runs in; those of train that are new and were measured."""
        return self._runs.learn(rollouts)

    async def first(self, failure: Failure, task: Task) -> Verification:
        """What the text of a new case shows."""
        await self._open_all()
        return self.of_text(task, "\n".join((*_words(failure), self._shown(failure))))

    async def open(self, task: Task) -> None:
        """Read a made-up task, which is not among the benchmark's."""
        self._texts[task.id] = await opening_text(self._benchmark, task)
        self._groups[task.id] = task.group

    def of_text(self, task: Task, shown: str) -> Verification:
        """Likeness of the task's opening to those of earlier cases, and what its text shares with val or test."""
        opening = self._texts[task.id]
        if task.id not in self._like:
            self._like[task.id] = self._near.nearest(opening)
            self._near.add(task.id, opening)
        like = self._like[task.id]
        return Verification(
            nearest_case="" if like is None else self._first_case[like.key],
            similarity=0.0 if like is None else like.similarity,
            leak=self.held_out.leak(f"{opening}\n{shown}", task.group),
            overridden_by=self._admitted.get(task.id, ""),
        )

    def originates(self, case: EvalCase, tree: str) -> None:
        """Remember the harness a case failed on."""
        self._trees[case.id] = tree
        self._first_case.setdefault(case.task_id, case.id)

    def tree_of(self, case: EvalCase) -> str:
        """The harness a case failed on."""
        return self._trees[case.id]

    async def updated(self, case: EvalCase) -> EvalCase:
        """The case with its runs counted: on the harness that failed, and one of any harness that its check accepts."""
        failing = [not await self.holds(case, run) for run in self._runs.on(self._trees[case.id], case.task_id)]
        found = replace(
            case.verification,
            n_failing=sum(failing),
            n_failing_runs=len(failing),
            known_good=await self._known_good(case),
        )
        return replace(case, verification=found)

    async def holds(self, case: EvalCase, rollout: Rollout) -> bool:
        """Whether a case holds in a measured run of its task.

        `behavioural`: the whole task is solved. `deterministic`: the run ended by itself and neither the named check
        failed nor a detector of that label fired, whatever else went wrong.

        Raises:
            ConfigError: a semantic case, for which no calibrated judge is at hand.
            BudgetExhaustedError: a judgement is not affordable.
        """
        if case.layer == "semantic":
            return await self._semantic.holds(case, rollout)
        if rollout.is_pass or case.layer == "behavioural":
            return rollout.is_pass
        return rollout.status == "failed" and case.check not in self._signs_of(rollout)

    def prefix(self, failure: Failure, rollout: Rollout) -> int | None:
        """Spans of the failed run that suffice to show the failure to the detectors."""
        if failure.span is None:
            return None
        trace = self._journal.trace(rollout)

        def shows(cut: Trace) -> bool:
            finding = explain(rollout, cut, self._taxonomy)
            return finding.label == failure.label and finding.span == failure.span

        return shortest_prefix(trace, shows, at_least=failure.span + 1) if shows(trace) else None

    def leak_of(self, failure: Failure) -> str:
        """What the words of a failure share with val or test; '' when nothing."""
        return self.held_out.leak("\n".join(_words(failure)), self._groups[failure.task_id])

    async def _known_good(self, case: EvalCase) -> str:
        for run in self._runs.of(case.task_id):
            if await self.holds(case, run):
                return run.job.id
        gold = await self._gold_of(case.task_id)
        if gold is None:
            return ""
        refused = {check.name for check in gold.checks if not check.is_passed}
        is_fine = gold.is_pass if case.layer == "behavioural" else case.check not in refused
        return "gold" if is_fine else REFUSED

    async def _gold_of(self, task_id: str) -> Score | None:
        if task_id not in self._gold:
            task = next((task for task in self._benchmark.tasks() if task.id == task_id), None)
            is_offered = task is not None and isinstance(self._benchmark, CaseSource)
            self._gold[task_id] = await self._rehearsed(task) if is_offered and task is not None else None
        return self._gold[task_id]

    async def _rehearsed(self, task: Task) -> Score | None:
        assert isinstance(self._benchmark, CaseSource)
        for _ in range(TRIES - 1):
            try:
                return await self._benchmark.gold_score(task)
            except BenchmarkError:
                continue
        return await self._benchmark.gold_score(task)

    async def _open_all(self) -> None:
        if self._held is None:
            openings = await read_openings(self._benchmark, self._benchmark.tasks())
            self._held = HeldOut(openings)
            self._texts = {opened.task.id: opened.text for opened in openings if opened.task.split == "train"}
            self._groups = {opened.task.id: opened.task.group for opened in openings}

    def _shown(self, failure: Failure) -> str:
        """What the task let the agent see in the failed run."""
        run = next((run for run in self._runs.of(failure.task_id) if run.job.id == failure.rollout_id), None)
        if run is None:
            return ""
        spans = self._journal.trace(run).spans
        return "\n".join(_text(span.output) for span in spans if span.kind in {"tool_call", "user_turn"})

    def _signs_of(self, rollout: Rollout) -> frozenset[str]:
        """Everything that is wrong with a run: its failed checks, and the labels of all detectors that fire."""
        if rollout.job.id not in self._signs:
            trace = self._journal.trace(rollout)
            labels = {finding.label for finding in findings(rollout, trace, self._taxonomy)}
            failed = {check.name for check in rollout.checks if not check.is_passed}
            self._signs[rollout.job.id] = frozenset({explain(rollout, trace, self._taxonomy).label, *labels, *failed})
        return self._signs[rollout.job.id]


def _words(failure: Failure) -> tuple[str, ...]:
    return failure.symptom, failure.cause, failure.evidence, failure.expected


def _text(value: object) -> str:
    return value if isinstance(value, str) else canonical_json(value)  # type: ignore[arg-type]
