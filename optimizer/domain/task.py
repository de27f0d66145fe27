"""What a benchmark offers: tasks, the environments behind them, and the score a finished one gets."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from optimizer.domain.json import JsonObject
from optimizer.domain.model import Upstream

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
BUILT_IN_METRICS = frozenset(
    {"success", "score", "usd", "tokens", "latency_s", "model_calls", "escalation", "safety", "trajectory", "utility"}
)
"""Metrics that hone measures itself; docs/contract.md says how. A benchmark's own bear other names."""
METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task of a benchmark. Never leaves the trusted side."""

    id: str
    """Stable over versions of the benchmark; never shown to a harness."""
    split: Split
    group: str
    """What must not straddle splits (a customer, a source document); equal groups share a split."""
    slices: tuple[str, ...] = ()
    """Names for reporting: family, language, difficulty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSchema:
    """A tool as the harness sees it."""

    name: str
    description: str
    parameters: JsonObject
    """JSON Schema of the arguments object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a harness learns before its first step."""

    instructions: str
    """What the agent is for, one or two paragraphs."""
    policy: str
    """The rules it must follow, as a document."""
    tools: tuple[ToolSchema, ...]
    first_message: str
    """The first user turn; empty when the task has no user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The harness calls a tool of the task."""

    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """The harness speaks to the user."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """The harness ends the task, with an answer where the task asks for one."""

    answer: str = ""


Action: TypeAlias = ToolCall | Say | Submit


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What comes back from one action."""

    source: Literal["tool", "user", "end"]
    content: str
    """Tool result (JSON text where the tool returns a structure), or the user's words."""
    is_error: bool = False
    """A tool refused or failed; `content` says why. Part of the task, not an infrastructure error."""
    is_final: bool = False
    """The conversation is over; further actions are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One named programmatic check of a finished task."""

    name: str
    """Stable name such as `identity_before_disclosure`; the unit failures are mined from."""
    is_passed: bool
    detail: str = ""
    """Why it failed, without gold values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The grade of a finished environment."""

    value: float
    """0.0 to 1.0."""
    checks: tuple[Check, ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Business outcomes of this one task by name, such as `csat`; a `[contract]` may speak of them. Leave out what was
    not measured."""

    def __post_init__(self) -> None:
        """Refuse a value outside [0, 1], NaN included, and a metric that is no number or bears a taken name."""
        if not 0.0 <= self.value <= 1.0:
            message = f"a score lies in [0, 1], got {self.value!r}"
            raise ValueError(message)
        for name, value in self.metrics.items():
            if not METRIC_NAME.fullmatch(name) or name in BUILT_IN_METRICS:
                taken = ", ".join(sorted(BUILT_IN_METRICS))
                message = f"a metric is named in a-z, 0-9 and _, and not as one of hone's own ({taken}); got {name!r}"
                raise ValueError(message)
            if not math.isfinite(value):
                message = f"metric {name} is a finite number, got {value!r}; leave out what was not measured"
                raise ValueError(message)

    @property
    def is_pass(self) -> bool:
        """A task is passed at 0.5 and above."""
        return self.value >= 0.5


class Environment(Protocol):
    """One open task on the trusted side. Not shared between rollouts; used by one caller at a time."""

    def opening(self) -> Opening:
        """What the harness may know before its first step."""
        ...

    async def step(self, action: Action) -> Observation:
        """Carry out one action. Raises BenchmarkError on the benchmark's own fault (an infra_error)."""
        ...

    async def grade(self) -> Score:
        """Grade the current state; may be called once, after the last step."""
        ...

    async def close(self) -> None:
        """Free what the environment holds."""
        ...


class Benchmark(Protocol):
    """What harnesses are measured on."""

    name: str
    version: str
    """Changes whenever a task, a tool or a check changes; recorded in the ledger."""

    def tasks(self) -> Sequence[Task]:
        """All tasks of all splits, in a stable order."""
        ...

    async def open(self, task: Task, *, trial: str) -> Environment:
        """Open a fresh environment. `trial` seeds what is random in it (a simulated user), nothing else."""
        ...


@runtime_checkable
class SimulatedBenchmark(Protocol):
    """A benchmark that brings a simulated model along, so that it runs with no key and no network."""

    def simulated_model(self, *, seed: int) -> Upstream:
        """The stand-in for the agent's model. What it says and costs is simulated, and says so."""
        ...


@runtime_checkable
class CaseSource(Protocol):
    """A benchmark that helps to keep eval cases: it can show that a task is solvable, and make neighbours of it."""

    async def gold_score(self, task: Task) -> Score | None:
        """What the gold run of a train task scores; None when there is none. Raises BenchmarkError."""
        ...

    def variations(self, task: Task, *, n: int, seed: int) -> Sequence[Task]:
        """At most n made-up neighbours of a train task: other names, amounts, order of facts, equal checks.

        They are train tasks that `open` knows in every process, tagged with the slice `synthetic`, and repeat no task
        of the benchmark. The same arguments give the same tasks.
        """
        ...
