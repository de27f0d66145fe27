"""How far a conversation has come along a plan, worked out from its messages alone.

Calls and speech move a marker forward; facts the customer has given make an Ask superfluous wherever it stands. Steps
the marker jumped over stay *skipped*. A trap that was taken is recognised by its own steps in the history.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.helpdesk.plan import Ask, Call, Confirm, Plan, Step, Tell, Trap
from benchmarks.helpdesk.sim.transcript import CallSeen, Event, Said, Transcript, normalise
from optimizer.domain.json import JsonObject, canonical_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A plan step made ready for comparison."""

    step: Step
    key: str
    """Normalised words of an Ask, Confirm or Tell; canonical arguments of a Call."""
    value: str = ""
    """Normalised value of an Ask."""
    arguments: JsonObject | None = None

    def is_said_in(self, said: Said) -> bool:
        """Whether these words were spoken."""
        return bool(self.key) and self.key in said.text

    def is_made_by(self, call: CallSeen, *, is_exact: bool) -> bool:
        """Whether this is the call; unless exact, arguments a harness's schema added are overlooked."""
        if not isinstance(self.step, Call) or call.name != self.step.tool or call.arguments is None:
            return False
        if is_exact or not self.arguments:
            return call.arguments == self.arguments
        return all(name in call.arguments and call.arguments[name] == value for name, value in self.arguments.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Bait:
    """A trap made ready for comparison."""

    trap: Trap
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A plan made ready for comparison."""

    stages: tuple[Stage, ...]
    baits: tuple[Bait, ...]

    def stage(self, place: Place) -> Stage | None:
        """The stage at a place; None at the end."""
        stages = self.stages if place.bait is None else self.baits[place.bait].stages
        return stages[place.index] if place.index < len(stages) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A position in a script: in the plan itself, or inside the steps of a trap."""

    index: int
    bait: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a conversation stands."""

    place: Place
    skipped: tuple[int, ...]
    """Plan steps before the place that never happened, in order."""
    n_unanswered: int
    """How often the question at the place was asked in vain."""


def prepare(plan: Plan) -> Script:
    """Make a plan ready."""
    traps = tuple(_from_where_it_differs(plan, trap) for trap in plan.traps)
    baits = tuple(Bait(trap=trap, stages=tuple(map(_stage, trap.instead))) for trap in traps)
    return Script(stages=tuple(map(_stage, plan.steps)), baits=baits)


def _from_where_it_differs(plan: Plan, trap: Trap) -> Trap:
    """Drop the steps a trap shares with the plan, so that taking it shows at its first step."""
    n_shared = 0
    for planned, instead in zip(plan.steps[trap.at : trap.until + 1], trap.instead, strict=False):
        if planned != instead:
            break
        n_shared += 1
    return replace(trap, at=trap.at + n_shared, instead=trap.instead[n_shared:])


def _stage(step: Step) -> Stage:
    match step:
        case Ask():
            return Stage(step=step, key=normalise(step.question), value=normalise(step.value))
        case Call():
            text = canonical_json(step.arguments)
            return Stage(step=step, key=text, arguments=json.loads(text))
        case Confirm() | Tell():
            return Stage(step=step, key=normalise(step.text))


def follow(script: Script, transcript: Transcript) -> Progress:
    """Work out where the conversation stands."""
    walk = _Walk(script=script, heard=transcript.heard)
    for event in transcript.events:
        if isinstance(event, Said) or event.is_ok:
            walk.take(event)
    now = len(transcript.turns)
    place = walk.settle(walk.place, now)
    n_passed = place.index if place.bait is None else script.baits[place.bait].trap.at
    passed = script.stages[:n_passed]
    skipped = (i for i, stage in enumerate(passed) if i not in walk.done and not walk.is_known(stage, now))
    stage = script.stage(place)
    is_question = stage is not None and isinstance(stage.step, Ask)
    asked = [e for e in transcript.events if isinstance(e, Said) and stage is not None and stage.is_said_in(e)]
    return Progress(place=place, skipped=tuple(skipped), n_unanswered=len(asked) if is_question else 0)


class _Walk:
    """The marker, moved by one event at a time."""

    def __init__(self, *, script: Script, heard: tuple[str, ...]) -> None:
        self.script = script
        self.place = Place(index=0)
        self.done: set[int] = set()
        self._heard = heard
        self._first_heard: dict[str, int] = {}

    def is_known(self, stage: Stage, turn: int) -> bool:
        """Whether the stage is a question whose answer had been given before a turn."""
        if not isinstance(stage.step, Ask):
            return False
        if stage.value not in self._first_heard:
            turns = (i for i, text in enumerate(self._heard) if text and stage.value in text)
            self._first_heard[stage.value] = next(turns, len(self._heard) + 1)
        return self._first_heard[stage.value] < turn

    def settle(self, place: Place, turn: int) -> Place:
        """Move on over questions already answered before a turn, and out of a trap that is used up."""
        stage = self.script.stage(place)
        while stage is not None and self.is_known(stage, turn):
            place = replace(place, index=place.index + 1)
            stage = self.script.stage(place)
        if stage is None and place.bait is not None:
            return self.settle(Place(index=self.script.baits[place.bait].trap.until + 1), turn)
        return place

    def take(self, event: Event) -> None:
        """Move to behind the stage this event completes, if it completes one."""
        self.place = self.settle(self.place, event.turn)
        for is_exact in (True, False) if isinstance(event, CallSeen) else (True,):
            found = self._find(event, is_exact=is_exact)
            if found is not None:
                self._arrive(found)
                return

    def _arrive(self, place: Place) -> None:
        stage = self.script.stage(place)
        if place.bait is None:
            self.done.add(place.index)
        is_question = stage is not None and isinstance(stage.step, Ask)
        self.place = place if is_question else replace(place, index=place.index + 1)

    def _find(self, event: Event, *, is_exact: bool) -> Place | None:
        """The stage an event belongs to: the next one, one of the trap it is in, a trap ahead, a later one."""
        candidates = [self.place, *self._ahead_in_trap(), *self._traps_ahead(), *self._ahead_in_plan()]
        return next((place for place in candidates if self._matches(place, event, is_exact=is_exact)), None)

    def _ahead_in_trap(self) -> Iterator[Place]:
        if self.place.bait is not None:
            stages = self.script.baits[self.place.bait].stages
            yield from (Place(index=i, bait=self.place.bait) for i in range(self.place.index + 1, len(stages)))

    def _traps_ahead(self) -> Iterator[Place]:
        for number, bait in enumerate(self.script.baits):
            is_ahead = self.place.index <= bait.trap.until if self.place.bait is None else False
            if is_ahead:
                yield from (Place(index=i, bait=number) for i in range(len(bait.stages)))

    def _ahead_in_plan(self) -> Iterator[Place]:
        bait = self.place.bait
        start = self.place.index + 1 if bait is None else self.script.baits[bait].trap.at
        yield from (Place(index=i) for i in range(start, len(self.script.stages)))

    def _matches(self, place: Place, event: Event, *, is_exact: bool) -> bool:
        stage = self.script.stage(place)
        if stage is None:
            return False
        if isinstance(event, Said):
            return stage.is_said_in(event)
        if not stage.is_made_by(event, is_exact=is_exact):
            return False
        is_repeat = place != self.place and any(self._is_same(i, stage) for i in self.done)
        return not is_repeat

    def _is_same(self, index: int, stage: Stage) -> bool:
        earlier = self.script.stages[index]
        return isinstance(earlier.step, Call) and earlier.step.tool == _tool(stage) and earlier.key == stage.key


def _tool(stage: Stage) -> str:
    return stage.step.tool if isinstance(stage.step, Call) else ""
