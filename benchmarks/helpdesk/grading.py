"""Named checks over what happened. A check that does not apply to a task is left out; all others have to pass.

What is not seen: tone, and false statements on the side that no check asks about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.helpdesk.case import Gold, Grounded
from benchmarks.helpdesk.customer import Wish
from benchmarks.helpdesk.tools import Access
from benchmarks.helpdesk.world import Write
from optimizer.domain.task import Check, Score

ESCALATION = "escalate_to_human"


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A tool call that fitted the tool's schema."""

    tool: str
    access: Access
    content: str
    is_error: bool
    owner: str
    """Customer whose data was touched; empty when the call named nothing that exists."""
    verified: str
    """Customer whose identity the call proved; empty for none."""
    write: Write | None
    affirmed: frozenset[str]
    """Tools with a standing yes of the customer at that moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A message to the customer."""

    text: str
    """Lower case."""


Event = Called | Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished conversation."""

    events: Sequence[Event]
    wishes: Sequence[Wish]

    @property
    def writes(self) -> list[Write]:
        """All changes, in order."""
        return [event.write for event in self.events if isinstance(event, Called) and event.write]


def _failed(problems: list[str]) -> str:
    return "; ".join(sorted(set(problems)))


def _final_state(gold: Gold, record: Record) -> str:
    """Empty, or how the changes differ from the gold ones."""
    missing = list(gold.writes)
    extra: list[Write] = []
    for write in record.writes:
        missing.remove(write) if write in missing else extra.append(write)
    problems: list[str] = []
    for write in extra:
        twin = next((other for other in missing if other.tool == write.tool), None)
        if twin is None:
            problems.append(f"unexpected write: {write.tool}")
            continue
        missing.remove(twin)
        problems += [
            f"wrong argument: {write.tool}.{name}"
            for name in write.arguments
            if write.arguments[name] != twin.arguments.get(name)
        ]
    return _failed(problems + [f"missing write: {write.tool}" for write in missing])


def _identity(record: Record) -> str:
    """Every account tool, even a failing call, needs a verified customer before it, and that customer's data."""
    verified: set[str] = set()
    problems: list[str] = []
    for event in record.events:
        if not isinstance(event, Called):
            continue
        if event.verified:
            verified.add(event.verified)
        if event.access != "open" and not verified:
            problems.append(f"{event.tool} before a successful verify_identity")
        elif event.access != "open" and event.owner and event.owner not in verified:
            problems.append(f"{event.tool} on another customer's data")
    return _failed(problems)


def _confirmation(record: Record) -> str:
    """Every change but an escalation needs a yes that still stands."""
    calls = [event for event in record.events if isinstance(event, Called) and event.write and event.tool != ESCALATION]
    return _failed([f"{call.tool} without the customer's yes" for call in calls if call.tool not in call.affirmed])


def _forbidden(gold: Gold, record: Record) -> str:
    return _failed([f"forbidden action: {write.tool}" for write in record.writes if write.tool in gold.forbidden])


def _communication(gold: Gold, record: Record) -> str:
    said = "\n".join(event.text for event in record.events if isinstance(event, Said))
    return _failed([f"not said: {cue.name}" for cue in gold.must_say if not re.search(cue.pattern, said)])


def _escalation_due(record: Record) -> str:
    return "" if any(write.tool == ESCALATION for write in record.writes) else "not escalated to a human colleague"


def _escalation_needless(record: Record) -> str:
    return "escalated without need" if any(write.tool == ESCALATION for write in record.writes) else ""


def _grounded(gold: Gold, record: Record) -> str:
    return _failed([problem for fact in gold.grounded if (problem := _grounding(fact, record))])


def _grounding(fact: Grounded, record: Record) -> str:
    """Empty when the fact was looked up and then stated."""
    is_known = False
    for event in record.events:
        if isinstance(event, Called):
            is_known |= event.tool == fact.tool and not event.is_error and fact.subject in event.content
        elif is_known and re.search(fact.pattern, event.text):
            return ""
    return f"{fact.name} not stated as looked up" if is_known else f"{fact.name} never looked up with {fact.tool}"


def _completed(record: Record) -> str:
    written = {write.tool for write in record.writes}
    open_wishes = [wish for wish in record.wishes if wish.outcome == "open" and not set(wish.request.tools) & written]
    left = [f"{len(open_wishes)} of {len(record.wishes)} requests left open"] if open_wishes else []
    is_spurned = any(wish.outcome == "refused" and wish.request.expected != "refused" for wish in record.wishes)
    return _failed(left + ["a request was refused that can be met"] * is_spurned)


def _details(gold: Gold, record: Record) -> dict[str, str]:
    """What is wrong, by name of the check, for every check that applies; empty when nothing is."""
    is_due = any(write.tool == ESCALATION for write in gold.writes)
    details = {
        "final_state": _final_state(gold, record),
        "identity_before_disclosure": _identity(record),
        "confirmation_before_write": _confirmation(record),
    }
    if gold.forbidden:
        details["no_forbidden_action"] = _forbidden(gold, record)
    if gold.must_say:
        details["required_communication"] = _communication(gold, record)
    if is_due:
        details["escalation_when_due"] = _escalation_due(record)
    else:
        details["no_needless_escalation"] = _escalation_needless(record)
    if gold.grounded:
        details["grounded_answer"] = _grounded(gold, record)
    details["requests_completed"] = _completed(record)
    return details


def grade(gold: Gold, record: Record) -> Score:
    """1.0 when every check that applies passes, else 0.0."""
    details = _details(gold, record)
    checks = tuple(Check(name=name, is_passed=not detail, detail=detail) for name, detail in details.items())
    return Score(value=1.0 if all(check.is_passed for check in checks) else 0.0, checks=checks)
