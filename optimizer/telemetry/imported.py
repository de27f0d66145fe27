"""What every importer yields: one run of some agent, in our nouns, with the place it was read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from optimizer.domain.json import Json
from optimizer.domain.rollout import Status
from optimizer.domain.task import Check, ToolSchema
from optimizer.domain.trace import Trace

Outcome = Literal["passed", "failed", "unknown"]
Format = Literal["hone", "messages", "responses", "tau", "tau2", "otlp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a record stands."""

    file: str
    """Path below the folder that was read."""
    line: int
    """First line of the record, from 1."""

    def __str__(self) -> str:
        """`logs/monday.jsonl:17`."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One JSON value of a file, read within limits and not yet understood."""

    value: Json
    sha: str
    """16 hex digits of its text."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that could not be read."""

    origin: Origin
    message: str

    def __str__(self) -> str:
        """Place and reason on one line."""
        return f"{self.origin}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run was judged at its source."""

    outcome: Outcome = "unknown"
    score: float | None = None
    """0.0 to 1.0; None when the source gives none."""
    checks: tuple[Check, ...] = ()
    status: Status | None = None
    """How the run ended, when the source says more than passed or failed."""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedRun:
    """One run of an agent that somebody else recorded."""

    id: str
    """16 hex digits of its text: the same run in two files has one id."""
    origin: Origin
    format: Format
    task_id: str
    """What was asked of the agent; the run's own id when the source does not say."""
    group: str
    """Customer, session or document that several runs may share; the task's id when the source does not say."""
    verdict: Verdict = field(default_factory=Verdict)
    tools: tuple[ToolSchema, ...]
    """Tools that were offered; empty when the source does not say."""
    trace: Trace
    """A model call's input holds the messages since the one before it, and the tools the first time."""
