"""Any chat-completions request, read leniently into what was said, called and heard.

Nothing here raises: what cannot be understood is left out, as a model would overlook it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from optimizer.domain.json import Json, JsonObject

Role = Literal["system", "user", "assistant", "tool"]

ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
ERROR = re.compile(r"^[\s\[({<\"'*#]*(?:tool |call )?(?:error|refused|blocked|not executed)\b", re.IGNORECASE)
NOTE_LINE = re.compile(
    r"^\s*(?:[\[<#]|\*\*|\(?(?:system|harness|internal|automatic)?\s*"
    r"(?:reminders?|notes?|system|important|instructions?|harness|internal|checklist|self-check)\b[^.?!]{0,30}:)",
    re.IGNORECASE,
)
REVIEW = re.compile(
    r"\b(?:review|check|re-?check|double-check|reconsider|revise|re-?read|rewrite|inspect)\b[^.!?\n]{0,60}"
    r"\b(?:drafts?|answer|reply|response|message)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSeen:
    """A tool call in the history, with what came back."""

    id: str
    name: str
    arguments: JsonObject | None
    """None when the text was not a JSON object."""
    raw: str
    """The arguments as they stood on the wire."""
    result: str | None = None
    """None while no tool message answers it."""
    turn: int = -1

    @property
    def is_error(self) -> bool:
        """Whether the tool, or a guard of the harness, refused it."""
        return self.result is not None and ERROR.match(self.result) is not None

    @property
    def is_ok(self) -> bool:
        """Whether it was carried out."""
        return self.result is not None and ERROR.match(self.result) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something the assistant said; `text` is normalised."""

    text: str
    turn: int


Event: TypeAlias = CallSeen | Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message."""

    role: Role
    text: str
    """As written; of a user message only what is not a harness's note."""
    note: str = ""
    """What a harness put into a user message or behind a tool result."""
    calls: tuple[CallSeen, ...] = ()
    answers: str = ""
    """Of a tool message: the id of the call it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A request as the simulated model understands it."""

    system: str
    """Leading system and developer messages."""
    turns: tuple[Turn, ...]
    """All later messages."""
    events: tuple[Event, ...]
    """Calls and assistant speech in order."""
    heard: tuple[str, ...]
    """Per turn, what the customer, or a note about the customer, said; normalised, empty for other turns."""
    n_chars: int
    """Characters after the system prompt."""

    @property
    def last_error(self) -> CallSeen | None:
        """The call that failed in the last assistant turn, if nothing was said since."""
        for turn in reversed(self.turns):
            if turn.role == "assistant":
                return next((call for call in turn.calls if call.is_error), None)
            if turn.role == "user" and turn.text:
                return None
        return None

    @property
    def tail(self) -> str:
        """Harness notes within the last two non-tool messages and behind the last tool result."""
        notes: list[str] = []
        n_spoken = 0
        for turn in reversed(self.turns):
            notes.append(turn.text if turn.role == "system" else turn.note)
            n_spoken += turn.role != "tool" and bool(turn.text)
            if n_spoken >= 2:
                break
        return "\n".join(note for note in reversed(notes) if note)


def normalise(text: str) -> str:
    """Fold case and blanks, so that texts compare as a reader compares them."""
    return " ".join(text.casefold().split())


def read(request: JsonObject) -> Transcript:
    """Read a request; anything odd in it is overlooked."""
    messages = request.get("messages")
    turns = [turn for turn in map(_turn, _objects(messages)) if turn is not None]
    n_leading = next((i for i, turn in enumerate(turns) if turn.role != "system"), len(turns))
    system = "\n\n".join(turn.text for turn in turns[:n_leading])
    later = _without_draft(_answered(turns[n_leading:]))
    return Transcript(
        system=system,
        turns=later,
        events=tuple(_events(later)),
        heard=tuple(normalise(f"{t.text} {t.note}") if t.role in {"user", "system"} else "" for t in later),
        n_chars=sum(len(t.text) + len(t.note) + sum(len(c.raw) for c in t.calls) for t in later),
    )


def text_of(content: Json) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    parts = (part.get("text") for part in _objects(content))
    return "\n".join(part for part in parts if isinstance(part, str))


def _objects(value: Json) -> Iterator[JsonObject]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (item for item in value if isinstance(item, Mapping))


def _turn(message: JsonObject) -> Turn | None:
    name = message.get("role")
    role = ROLES.get(name) if isinstance(name, str) else None
    if role is None:
        return None
    text = text_of(message.get("content"))
    if role == "user":
        said, note = _split_note(text)
        return Turn(role=role, text=said, note=note)
    if role == "tool":
        answers = str(message.get("tool_call_id", ""))
        return Turn(role=role, text=text, note=_behind_json(text), answers=answers)
    if role == "assistant":
        return Turn(role=role, text=text, calls=tuple(map(_call, _objects(message.get("tool_calls")))))
    return Turn(role=role, text=text)


def _call(entry: JsonObject) -> CallSeen:
    function = entry.get("function")
    function = function if isinstance(function, Mapping) else {}
    raw = function.get("arguments", "")
    raw = raw if isinstance(raw, str) else _dump(raw)
    name = str(function.get("name", ""))
    return CallSeen(id=str(entry.get("id", "")), name=name, arguments=parse_arguments(raw), raw=raw)


def parse_arguments(raw: str) -> JsonObject | None:
    """Arguments text as an object; empty text is the empty object, anything else is None."""
    try:
        value = json.loads(raw, parse_float=_finite, parse_constant=_finite) if raw.strip() else {}
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _dump(value: Json) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return ""


def _answered(turns: list[Turn]) -> tuple[Turn, ...]:
    """Pair tool messages with the calls they answer, by id, else by order."""
    answers: dict[tuple[int, int], str] = {}
    waiting: list[tuple[int, int, str]] = []
    for index, turn in enumerate(turns):
        waiting.extend((index, place, call.id) for place, call in enumerate(turn.calls))
        if turn.role == "tool" and waiting:
            found = next((entry for entry in waiting if entry[2] == turn.answers), waiting[0])
            waiting.remove(found)
            answers[found[:2]] = turn.text
    return tuple(_settled(turn, index, answers) for index, turn in enumerate(turns))


def _settled(turn: Turn, index: int, answers: Mapping[tuple[int, int], str]) -> Turn:
    if not turn.calls:
        return turn
    calls = (replace(call, result=answers.get((index, place)), turn=index) for place, call in enumerate(turn.calls))
    return replace(turn, calls=tuple(calls))


def _events(turns: tuple[Turn, ...]) -> Iterator[Event]:
    for index, turn in enumerate(turns):
        if turn.role == "assistant":
            if turn.text.strip():
                yield Said(text=normalise(turn.text), turn=index)
            yield from turn.calls


def _without_draft(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """When the harness asks to look over the last message, that message is a draft: not said yet."""
    n_notes = 0
    for turn in reversed(turns):
        if turn.role == "system" or (turn.role == "user" and not turn.text.strip() and turn.note):
            n_notes += 1
            continue
        break
    place = len(turns) - n_notes - 1
    if not n_notes or place < 0 or turns[place].role != "assistant" or turns[place].calls:
        return turns
    notes = turns[place + 1 :]
    is_review = any(REVIEW.search(turn.text) or REVIEW.search(turn.note) for turn in notes)
    return (*turns[:place], *notes) if is_review else turns


def _split_note(text: str) -> tuple[str, str]:
    """Tell the customer's words from paragraphs a harness marked as its own ([...], <tag>, `Reminder:`)."""
    if NOTE_LINE.search(text) is None and "\n" not in text:
        return text, ""
    said: list[str] = []
    notes: list[str] = []
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*[\[<#])", text):
        (notes if NOTE_LINE.match(paragraph) else said).append(paragraph)
    return "\n".join(said), "\n".join(notes)


def _behind_json(text: str) -> str:
    """What a harness appended to a tool result: prose behind the JSON, or marked paragraphs."""
    stripped = text.lstrip()
    if not stripped.startswith(("{", "[")):
        return _split_note(text)[1]
    try:
        _, end = json.JSONDecoder().raw_decode(stripped)
    except (ValueError, RecursionError):
        return _split_note(text)[1]
    return stripped[end:].strip()


def _finite(text: str) -> float:
    """A number that JSON can say again; `1e999` and `NaN` make the arguments malformed."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
