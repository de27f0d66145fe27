"""Wishes for a running campaign: a file of lines beside the ledger that any process appends to.

The runner reads it between two steps (`optimizer.ledger.control_log`); where no runner lives, a line waits for the next
session. Each message is one `write` of one line to a file opened for appending, so that writers need no lock. A line
begins with a line break of its own: what a writer that was cut off has left never spoils the next message.

A further verb is a further payload model in `VERBS`, and a handler in the campaign.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from optimizer.domain.errors import ConfigError, LedgerError
from optimizer.domain.json import Json, canonical_json
from optimizer.ledger.connection import translated

CONTROL_NAME = "control.jsonl"
MAX_LINE_BYTES = 16 * 1024
"""Longest line, its line breaks included; more is foreign."""
MAX_FILE_BYTES = 64 * 1024 * 1024
"""A file that has grown past this is read no further."""

Line = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8,64}$")]


class Payload(BaseModel):
    """What a verb says: unknown keys are refused, types are not converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ReviewPayload(Payload):
    """An answer to an open question."""

    item: Id
    answer: Annotated[Line, StringConstraints(min_length=1)]
    note: Annotated[str, StringConstraints(max_length=4000)] = ""


VERBS: Mapping[str, type[Payload]] = {"review": ReviewPayload}


class _Spelled(Payload):
    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    sent_at: Annotated[float, Field(ge=0)]
    who: Line
    verb: Line
    payload: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One wish."""

    id: str
    """32 hex digits, drawn at random."""
    sent_at: float
    """Unix time, seconds."""
    who: str
    verb: str
    payload_json: str
    """The verb's payload, canonically spelled; `payload_of` reads it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What the file holds."""

    messages: tuple[Message, ...]
    """In the order they were written; the first of equal ids."""
    problems: tuple[str, ...]
    """Lines that are no messages, each with its number and why."""


def payload_of(message: Message) -> Payload:
    """The parsed payload of a message that was read or recorded.

    Raises:
        LedgerError: this version does not know the verb, or its payload has another form.
    """
    try:
        return VERBS[message.verb].model_validate_json(message.payload_json)
    except (KeyError, ValidationError) as error:
        text = (
            f"control message {message.id} ({message.verb!r}) was recorded by another version of hone: resume with it"
        )
        raise LedgerError(text) from error


def send(folder: Path, verb: str, payload: Payload, *, who: str) -> Message:
    """Append a message and put it on the disk.

    Raises:
        ConfigError: it is longer than a line may be.
        LedgerError: the file cannot be written.
    """
    named = who.encode("utf-8", "replace").decode()
    message = Message(
        id=secrets.token_hex(16),
        sent_at=round(time.time(), 3),
        who=" ".join(named.split())[:200],
        verb=verb,
        payload_json=canonical_json(payload.model_dump(mode="json")),
    )
    line = _line(message)
    read_back = _parse(line.strip(b"\n"))
    if isinstance(read_back, str):
        raise ConfigError(f"the message cannot be sent: {read_back}. Say it shorter, or in plain text.")
    path = folder / CONTROL_NAME
    with translated(path):
        _append(path, line)
    return message


def _line(message: Message) -> bytes:
    spelled: dict[str, Json] = {"id": message.id, "sent_at": message.sent_at, "who": message.who, "verb": message.verb}
    return f"\n{canonical_json(spelled | {'payload': json.loads(message.payload_json)})}\n".encode()


def _append(path: Path, line: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o644)
    try:
        if os.write(descriptor, line) != len(line):
            raise LedgerError(f"there is no space left for {path}: free space, then send it again")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Mailbox:
    """The file as its reader sees it: what was read once is not read again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CONTROL_NAME
        self._offset = 0
        self._n_lines = 0
        self._known: set[str] = set()

    def fresh(self) -> Mail:
        """Everything appended since the last call. A line that is still being written waits.

        Raises:
            LedgerError: the file cannot be read.
        """
        messages, problems = [], []
        for number, line in self._lines():
            parsed = _parse(line)
            if isinstance(parsed, str):
                problems.append(f"line {number} of {self.path} is skipped: {parsed}")
            elif parsed.id not in self._known:
                self._known.add(parsed.id)
                messages.append(parsed)
        return Mail(messages=tuple(messages), problems=tuple(problems))

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with translated(self.path):
            text = self._unread()
        whole, end, _ = text.rpartition(b"\n")
        self._offset += len(whole) + len(end)
        for line in whole.split(b"\n") if end else ():
            self._n_lines += 1
            if line.strip():
                yield self._n_lines, line

    def _unread(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                return file.read(max(0, MAX_FILE_BYTES - self._offset))
        except FileNotFoundError:
            return b""


def read_all(folder: Path) -> Mail:
    """Everything the file holds now."""
    return Mailbox(folder).fresh()


def _parse(line: bytes) -> Message | str:
    if len(line) > MAX_LINE_BYTES:
        return f"it has {len(line)} bytes, {MAX_LINE_BYTES} are allowed"
    try:
        spelled = _Spelled.model_validate_json(line)
    except ValidationError as error:
        return _why(error)
    model = VERBS.get(spelled.verb)
    if model is None:
        return f"verb {spelled.verb[:40]!r} is unknown; there is {', '.join(sorted(VERBS))}"
    try:
        payload = model.model_validate(spelled.payload)
    except ValidationError as error:
        return f"{spelled.verb}: {_why(error)}"
    return Message(
        id=spelled.id,
        sent_at=spelled.sent_at,
        who=spelled.who,
        verb=spelled.verb,
        payload_json=canonical_json(payload.model_dump(mode="json")),
    )


def _why(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
