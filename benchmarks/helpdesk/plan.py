"""What a flawless agent does in a task, and what a lapsing one is tempted to do instead.

A plan is the gold script of a task. The oracle carries it out and must score 1.0; the simulated model follows it from
whatever conversation the harness shows it, with lapses. Neither is ever visible to a harness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from optimizer.domain.json import JsonObject

CallRole = Literal["lookup", "verify", "write", "escalate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Learn a fact from the customer; done once `value` occurs in any customer turn."""

    fact: str
    """`email`, `postal_code`, `order_id`, ..."""
    value: str
    question: str
    """Words to ask with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Call a tool; done once the same call (name, arguments) has a result that is not an error."""

    tool: str
    arguments: JsonObject
    role: CallRole


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """Read the planned change back and get the customer's answer; done once said and answered."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Say something that matters; done once said and answered."""

    key: str
    """What kind of message: `outcome`, `refusal`, `hold` (refusing again under pressure), `info`, `closing`."""
    text: str


Step: TypeAlias = Ask | Call | Confirm | Tell

TrapKind = Literal[
    "over_refund",  # too much money, or the wrong thing, goes back
    "forgets_constraint",  # a wish stated early is not honoured in the write
    "yields",  # gives in to a customer who pushes against policy
    "answers_from_memory",  # states a fact without looking it up, and gets it wrong
    "skips_escalation",  # handles alone what a person has to handle
    "over_escalates",  # hands over what it should have handled
    "over_refuses",  # refuses what policy allows
    "misses_second_request",  # leaves out the later of two requests
    "misses_information",  # closes without saying what policy says must be said
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trap:
    """A temptation of this task: at step `at`, a model that lapses does `instead`, then goes on after step `until`."""

    kind: TrapKind
    at: int
    until: int
    """Plan steps at..until (inclusive) are replaced; `until` may be the last step (the rest is dropped)."""
    instead: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The gold script and its temptations. Steps are in order; a step is begun when all before it are done."""

    steps: tuple[Step, ...]
    traps: tuple[Trap, ...]
