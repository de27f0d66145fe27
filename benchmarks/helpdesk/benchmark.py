"""The benchmark `helpdesk`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from importlib import resources

from benchmarks.helpdesk.case import Case
from benchmarks.helpdesk.environment import INSTRUCTIONS, HelpdeskEnvironment, policy
from benchmarks.helpdesk.oracle import play
from benchmarks.helpdesk.plan import Plan
from benchmarks.helpdesk.sim.model import SimModel
from benchmarks.helpdesk.tasks import cases
from benchmarks.helpdesk.variations import is_neighbour, neighbour, neighbour_name
from optimizer.domain.errors import BenchmarkError
from optimizer.domain.json import content_hash
from optimizer.domain.task import Score, Task


class HelpdeskBenchmark:
    """Customer service for a fictional shop; implements `optimizer.domain.task.Benchmark` and `CaseSource`."""

    name = "helpdesk"

    def __init__(self) -> None:
        self._cases = {case.task.id: case for case in cases()}
        self.policy = policy()

    @cached_property
    def version(self) -> str:
        """Hash over everything that decides what a task is and how it is graded."""
        return _version()

    def tasks(self) -> Sequence[Task]:
        """All tasks, in a stable order."""
        return tuple(case.task for case in self._cases.values())

    def case(self, task_id: str) -> Case:
        """A task with everything behind it.

        Raises:
            BenchmarkError: when there is no such task.
        """
        case = neighbour(task_id) if is_neighbour(task_id) else self._cases.get(task_id)
        if case is None:
            raise BenchmarkError(f"helpdesk has no task {task_id!r}; `tasks()` lists the {len(self._cases)} there are")
        return case

    def plan(self, task_id: str) -> Plan:
        """The gold plan with its temptations; never for a harness."""
        return self.case(task_id).plan

    def simulated_model(self, *, seed: int) -> SimModel:
        """The stand-in for the agent's model that knows this benchmark's plans; everything it says is simulated."""
        return SimModel(self.plan, self.policy, seed, instructions=INSTRUCTIONS)

    async def gold_score(self, task: Task) -> Score:
        """What the gold plan scores, carried out word for word."""
        score, _ = await play(await self.open(task, trial=f"{task.id}/gold/0"), self.plan(task.id).steps)
        return score

    def variations(self, task: Task, *, n: int, seed: int) -> Sequence[Task]:
        """Neighbours of a train task; fewer than `n` where a story has no further telling."""
        found = []
        for number in range(n):
            with suppress(BenchmarkError):
                found.append(self.case(neighbour_name(task.id, seed, number)).task)
        return tuple(found)

    async def open(self, task: Task, *, trial: str) -> HelpdeskEnvironment:
        """A fresh environment; `trial` varies the customer's wording only."""
        return HelpdeskEnvironment(self.case(task.id), trial=trial)


def _version() -> str:
    """The files of this folder are the benchmark: their content is its version."""
    root = resources.files("benchmarks.helpdesk")
    folders = (root, root.joinpath("families"))
    files = [file for folder in folders for file in folder.iterdir() if file.name.endswith((".py", ".md"))]
    texts = sorted(f"{file.name}\n{file.read_text(encoding='utf-8')}" for file in files)
    return content_hash(texts, length=12)


def load() -> HelpdeskBenchmark:
    """Entry point `hone.benchmarks`."""
    return HelpdeskBenchmark()
