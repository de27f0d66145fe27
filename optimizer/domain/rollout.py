"""One run of one harness tree on one task with one trial number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from optimizer.domain.json import content_hash
from optimizer.domain.task import Check, Task
from optimizer.domain.trace import Usage

Status = Literal["passed", "failed", "crashed", "timed_out", "over_budget", "infra_error"]
Purpose = Literal["mine", "target", "suite", "val", "promote", "replay", "final"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutJob:
    """A rollout to be run; its id is its content, so that a repeated job is recognised and never paid for twice."""

    tree: str
    """Git tree hash of the harness (40 hex digits)."""
    task: Task
    purpose: Purpose
    """Runs for different purposes never share luck: the run that chose a target is no evidence about it."""
    trial: int
    """0, 1, ... within the purpose. Two trees with equal (task, purpose, trial) share their luck."""

    @property
    def id(self) -> str:
        """16 hex digits of (tree, task, purpose, trial)."""
        return content_hash(self.tree, self.task.id, self.purpose, self.trial)

    @property
    def luck(self) -> str:
        """The part of the identity that two harness versions share: task, purpose and trial."""
        return f"{self.task.id}/{self.purpose}/{self.trial}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The outcome of a job."""

    job: RolloutJob
    status: Status
    score: float | None
    """0.0 to 1.0. None for `infra_error` alone: not measured. A crash scores 0."""
    checks: tuple[Check, ...]
    usage: Usage
    trace_sha: str | None
    """Address of the trace in the ledger's blob store."""
    note: str
    """One line on how it ended: the exception, the limit, the infrastructure fault."""
    sandbox_level: str
    """Isolation reached, as the sandbox reports it."""
    wall_s: float
    """Seconds; not part of the comparable outcome."""
    cpu_s: float
    """CPU seconds of the sandboxed side; not part of the comparable outcome."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What the benchmark reports besides the score, and what is read off the trace when it is recorded: `trajectory`,
    `escalation`, and `usd` and `tokens` at the full price of replayed calls too."""

    def __post_init__(self) -> None:
        """`infra_error` and only `infra_error` has no score."""
        if (self.score is None) != (self.status == "infra_error"):
            message = f"a rollout with status {self.status} cannot have score {self.score}"
            raise ValueError(message)

    @property
    def is_pass(self) -> bool:
        """Whether it counts as a success."""
        return self.status == "passed"

    @property
    def is_measured(self) -> bool:
        """False for an infrastructure error, which counts neither for nor against anyone."""
        return self.status != "infra_error"

    @property
    def is_replayed(self) -> bool:
        """Every model call was answered from a recording: the edit never mattered here."""
        return self.usage.n_calls > 0 and self.usage.n_replayed_calls == self.usage.n_calls
