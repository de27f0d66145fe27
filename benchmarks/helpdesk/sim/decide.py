"""One decision: follow the plan from where the conversation stands, unless a lapse comes in between."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.helpdesk.plan import Ask, Call, Confirm, Step
from benchmarks.helpdesk.sim.chances import Chances, uniform
from benchmarks.helpdesk.sim.moves import (
    AGAIN,
    CLOSING,
    FAREWELL,
    GIVE_UP,
    GONE,
    NO_TOOL,
    STUCK,
    WAIT,
    Move,
    Speak,
    Use,
)
from benchmarks.helpdesk.sim.progress import Place, Progress, Script, Stage
from benchmarks.helpdesk.sim.rates import LapseKind
from benchmarks.helpdesk.sim.slips import completed, spoiled, wrong_name
from benchmarks.helpdesk.sim.transcript import CallSeen, Said, Transcript, normalise

TRANSIENT = re.compile(r"\b(?:busy|temporar\w+|try again|timed? ?out|unavailable|overloaded)\b", re.IGNORECASE)
MAX_JUMPS = 8
"""Skips one reply may add up; more would be a loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything one decision looks at."""

    script: Script
    transcript: Transcript
    progress: Progress
    chances: Chances
    luck: str
    """Seeds the dice: model seed, luck of the trial, request, occurrence."""
    can_call: bool
    lapsed: Callable[[LapseKind, int], None]
    """Told of each lapse, with the plan step it happens at."""

    def falls(self, kind: LapseKind, place: Place, *, tool: str = "", odds: float = 1.0) -> bool:
        """Throw the dice for a lapse."""
        chance = self.chances.of(kind, tool=tool, odds=odds)
        if chance <= 0.0 or self.draw(kind, place) >= chance:
            return False
        self.lapsed(kind, place.index)
        return True

    def draw(self, purpose: str, place: Place) -> float:
        """A number in (0, 1) for one purpose at one place."""
        return uniform(self.luck, purpose, str(place.index), str(place.bait))


def decide(situation: Situation) -> Move:
    """The next thing the model does."""
    if _is_gone(situation.transcript):
        return Speak(text=FAREWELL)
    failed = situation.transcript.last_error
    place = _reopened(situation) or situation.progress.place
    if failed is not None:
        move = _after_error(situation, failed, place)
        if move is not None:
            return move
        place = _behind_error(situation, failed, place)
    if _gives_up(situation, place):
        return Speak(text=GIVE_UP)
    question = _superfluous_question(situation, place)
    return question or _perform(situation, _led_astray(situation, place))


def _is_gone(transcript: Transcript) -> bool:
    last = transcript.turns[-1] if transcript.turns else None
    return last is not None and last.role == "user" and re.search(GONE, last.text, re.IGNORECASE) is not None


# Errors


def _after_error(situation: Situation, failed: CallSeen, place: Place) -> Move | None:
    """Repeat the failed call, or stop before a wall; None to go on."""
    n_same = _n_same(situation.transcript, failed)
    is_transient = TRANSIENT.search(failed.result or "") is not None
    stage = situation.script.stage(place)
    is_right = stage is not None and stage.is_made_by(failed, is_exact=False)
    odds = situation.chances.rates.repeated_error ** (n_same - 1)
    if not is_transient and situation.falls("repeats_failed_call", place, tool=failed.name, odds=odds):
        return Use(tool=failed.name, arguments=failed.arguments or {}, raw="" if failed.arguments else failed.raw)
    return Speak(text=STUCK) if n_same >= 3 and is_right else None


def _behind_error(situation: Situation, failed: CallSeen, place: Place) -> Place:
    """Where to go on after an error: at the failed step, behind it as if it had worked, or out of a trap."""
    if place.bait is not None:
        trap = situation.script.baits[place.bait].trap
        odds = situation.chances.rates.taken_trap
        if not situation.falls(trap.kind, place, tool=failed.name, odds=odds):
            return Place(index=trap.at)
    stage = situation.script.stage(place)
    is_call = stage is not None and isinstance(stage.step, Call)
    if is_call and situation.falls("ignores_tool_error", place, tool=failed.name):
        return replace(place, index=place.index + 1)
    return place


def _n_same(transcript: Transcript, failed: CallSeen) -> int:
    """How often this very call has failed since something else was said or done."""
    n_same = 0
    for event in reversed(transcript.events):
        if isinstance(event, Said) or (event.name, event.raw) != (failed.name, failed.raw):
            break
        n_same += 1
    return max(1, n_same)


def _reopened(situation: Situation) -> Place | None:
    """A skipped step that an error or a note asks for, unless it slips the model's mind once more."""
    conditions = situation.chances.conditions
    readings = [conditions.reminder.asserted]
    readings += [conditions.error.reading.asserted | conditions.error.reading.denied] if conditions.error else []
    for index in situation.progress.skipped:
        place = Place(index=index)
        kind = _kind_of_skip(situation.script, index)
        cue = situation.chances.rates.kinds[kind].cue if kind else None
        if kind is not None and any(cue in reading for reading in readings) and not situation.falls(kind, place):
            return place
    return None


def _kind_of_skip(script: Script, index: int) -> LapseKind | None:
    """Which lapse leaves this step out."""
    step = script.stages[index].step
    if _verify_ahead(script.stages, index) is not None:
        return "skips_identity"
    if isinstance(step, Confirm):
        return "skips_confirmation"
    covering = (b.trap.kind for b in script.baits if not b.trap.instead and b.trap.at <= index <= b.trap.until)
    return next(covering, None)


# Quitting and asking


def _gives_up(situation: Situation, place: Place) -> bool:
    if situation.script.stage(place) is None:
        return False
    last = next((e for e in reversed(situation.transcript.events) if isinstance(e, Said)), None)
    has_given_up = last is not None and normalise(GIVE_UP) in last.text
    rates = situation.chances.rates
    odds = rates.given_up if has_given_up else 1.0
    odds *= rates.error_discourages if situation.transcript.last_error else 1.0
    return situation.falls("gives_up_early", place, odds=odds)


def _superfluous_question(situation: Situation, place: Place) -> Speak | None:
    """Ask again for the last fact the customer gave."""
    before = situation.script.stages[: place.index] if place.bait is None else ()
    known = [stage.step for stage in before if isinstance(stage.step, Ask)]
    last = situation.transcript.turns[-1].role if situation.transcript.turns else "system"
    if not known or last != "user" or not situation.falls("asks_superfluous", place):
        return None
    return Speak(text=AGAIN + known[-1].question)


# Following the plan, or leaving it


def _led_astray(situation: Situation, place: Place) -> Place:
    """Where the model really goes on: the place itself, unless lapses move it."""
    for _ in range(MAX_JUMPS):
        moved = _skip(situation, place) or _bite(situation, place)
        if moved is None:
            return place
        place = moved
    return place


def _skip(situation: Situation, place: Place) -> Place | None:
    """Jump over the identity check or a confirmation; None to stay."""
    stages = _stages(situation.script, place)
    if place.index >= len(stages):
        return None
    verify = _verify_ahead(stages, place.index)
    if verify is not None:
        odds = situation.chances.rates.identity_begun if _has_begun(situation, stages, place) else 1.0
        tool = _next_tool(stages, verify + 1)
        return (
            replace(place, index=verify + 1) if situation.falls("skips_identity", place, tool=tool, odds=odds) else None
        )
    if isinstance(stages[place.index].step, Confirm):
        tool = _next_tool(stages, place.index)
        falls = situation.falls("skips_confirmation", place, tool=tool)
        return replace(place, index=place.index + 1) if falls else None
    return None


def _bite(situation: Situation, place: Place) -> Place | None:
    """Fall into a trap that lies here; None to stay."""
    if place.bait is not None:
        return None
    for number, bait in enumerate(situation.script.baits):
        tool = _next_tool(bait.stages, 0) or _next_tool(situation.script.stages, place.index)
        if bait.trap.at == place.index and situation.falls(bait.trap.kind, place, tool=tool):
            return Place(index=0, bait=number) if bait.stages else Place(index=bait.trap.until + 1)
    return None


def _verify_ahead(stages: Sequence[Stage], index: int) -> int | None:
    """Index of the identity check when the step here is it, or a question that leads to it."""
    for i in range(index, len(stages)):
        step = stages[i].step
        if isinstance(step, Call):
            return i if step.role == "verify" else None
        if not isinstance(step, Ask):
            return None
    return None


def _has_begun(situation: Situation, stages: Sequence[Stage], place: Place) -> bool:
    """Whether a question of the identity check has been asked already."""
    before = stages[place.index - 1].step if place.index else None
    return isinstance(before, Ask) or situation.progress.n_unanswered > 0


def _stages(script: Script, place: Place) -> Sequence[Stage]:
    return script.stages if place.bait is None else script.baits[place.bait].stages


def _next_tool(stages: Sequence[Stage], index: int) -> str:
    calls = (stage.step.tool for stage in stages[index:] if isinstance(stage.step, Call))
    return next(calls, "")


def _perform(situation: Situation, place: Place) -> Move:
    """Do the step at a place."""
    if place.bait is not None and situation.script.stage(place) is None:
        place = Place(index=situation.script.baits[place.bait].trap.until + 1)
    stage = situation.script.stage(place)
    if stage is None:
        return Speak(text=CLOSING)
    step: Step = stage.step
    if isinstance(step, Call):
        return _call(situation, place, step)
    return Speak(text=step.question if isinstance(step, Ask) else step.text)


def _call(situation: Situation, place: Place, step: Call) -> Move:
    if not situation.can_call:
        return Speak(text=WAIT)
    offered = situation.chances.conditions.tools
    tool = offered.get(step.tool)
    if tool is None:
        return Speak(text=NO_TOOL)
    use = Use(tool=step.tool, arguments=completed(step.arguments, tool))
    if situation.falls("hallucinated_tool", place, tool=step.tool):
        return replace(use, tool=wrong_name(step.tool, offered, situation.draw("wrong name", place)))
    if situation.falls("malformed_arguments", place, tool=step.tool):
        return spoiled(use, situation.draw("spoiled", place))
    return use
