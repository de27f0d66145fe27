"""A task with everything behind it: the database it begins with, its customer, the gold plan and what is graded."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.helpdesk.customer import Script
from benchmarks.helpdesk.plan import Plan
from benchmarks.helpdesk.world import Seed, Write
from optimizer.domain.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Something that has to be said."""

    name: str
    """`refund time`, `return label`, ...: named in the detail of a failed check."""
    pattern: str
    """Regular expression, searched in lower-case text the agent said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounded:
    """A fact that has to be stated, after it was looked up."""

    name: str
    tool: str
    subject: str
    """Id that has to occur in the tool's result."""
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """What is graded. Nothing here ever reaches a harness."""

    writes: tuple[Write, ...]
    """Changes and escalations, every argument filled in, in any order."""
    forbidden: tuple[str, ...] = ()
    """Tools whose success is against policy here."""
    must_say: tuple[Cue, ...] = ()
    grounded: tuple[Grounded, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A task as the trusted side knows it."""

    task: Task
    seed: Seed
    script: Script
    plan: Plan
    gold: Gold
    flaky: tuple[str, ...] = ()
    """Tools whose first valid call answers that the service is busy."""
