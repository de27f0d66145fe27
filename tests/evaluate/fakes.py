"""An executor and a log in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from optimizer.domain.rollout import Rollout, RolloutJob, Status
from optimizer.domain.task import Task
from optimizer.domain.trace import Trace, Usage
from optimizer.evaluate.executor import Executed

Plan = Callable[[RolloutJob, int], Status]
"""Status of a job at its n-th execution, from 0."""


def tasks(prefix: str, n: int, split: str = "train") -> tuple[Task, ...]:
    return tuple(Task(id=f"{prefix}{i}", split=split, group=f"{prefix}{i}") for i in range(n))  # type: ignore[arg-type]


def rollout_of(job: RolloutJob, status: Status, usage: Usage | None = None) -> Rollout:
    return Rollout(
        job=job,
        status=status,
        score=None if status == "infra_error" else float(status == "passed"),
        checks=(),
        usage=usage or Usage(input_tokens=100, output_tokens=10, usd=0.01, n_calls=2),
        trace_sha=None,
        note=status,
        sandbox_level="fake",
        wall_s=0.0,
        cpu_s=0.0,
    )


@dataclass
class FakeExecutor:
    """Answers by a plan and counts what it was asked."""

    plan: Plan
    executed: list[RolloutJob] = field(default_factory=list)
    usage: Usage | None = None

    async def execute(self, job: RolloutJob) -> Executed:
        n = sum(job.id == done.id for done in self.executed)
        self.executed.append(job)
        return Executed(rollout=rollout_of(job, self.plan(job, n), self.usage), trace=Trace(spans=()))


@dataclass
class MemoryLog:
    """A ledger's rollouts, forgotten at exit."""

    kept: dict[str, Rollout] = field(default_factory=dict)

    def rollout(self, rollout_id: str) -> Rollout | None:
        return self.kept.get(rollout_id)

    def trace(self, sha: str) -> Trace:
        return Trace(spans=())

    def paid(self, rollout_id: str) -> Usage:
        return Usage()

    def record_rollout(self, rollout: Rollout, trace: Trace) -> str:
        assert rollout.job.id not in self.kept, "a rollout is recorded once"
        self.kept[rollout.job.id] = replace(rollout, trace_sha="sha")
        return "sha"
