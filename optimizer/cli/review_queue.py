"""The review queue for a terminal: what waits, one question in full, an answer on its way."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from optimizer.cli.render import one_line
from optimizer.domain.errors import ConfigError
from optimizer.ledger.control import Message, ReviewPayload, read_all, send
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.reviews import ReviewRow


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedItem:
    """A question, and answers to it that no session has read yet."""

    row: ReviewRow
    state: str
    """`open`, `answered`, `applied` (the default, at once) or `sent` (answered, not read yet)."""
    sent: tuple[str, ...]
    """Answers that wait in the control file, oldest first."""


def queue_of(reader: LedgerReader, *, with_settled: bool = False, item: str | None = None) -> tuple[QueuedItem, ...]:
    """Open questions, or all of them, or the one whose id begins so.

    Raises:
        LedgerError: several begin so.
    """
    one = None if item is None else reader.review(item.lower())
    rows = reader.reviews() if item is None else () if one is None else (one,)
    sent: dict[str, list[str]] = {}
    for message in reader.unread(read_all(reader.folder)):
        if message.verb == "review":
            payload = json.loads(message.payload_json)
            sent.setdefault(payload["item"], []).append(payload["answer"])
    queued = (
        QueuedItem(row=row, state=_state(row, row.item_id in sent), sent=tuple(sent.get(row.item_id, ())))
        for row in rows
    )
    return tuple(each for each in queued if with_settled or item is not None or each.row.is_open)


def _state(row: ReviewRow, is_sent: bool) -> str:  # noqa: FBT001 - one caller, one line above
    if is_sent:
        return "sent"
    if row.is_open:
        return "open"
    return "applied" if row.answers[-1].answer.is_automatic else "answered"


def send_answer(folder: Path, row: ReviewRow, answer: str, *, note: str, who: str) -> Message:
    """Put an answer into the control channel of the campaign in `folder`.

    Raises:
        ConfigError: it is none of the question's options, or cannot be sent.
    """
    if answer not in row.item.options:
        raise ConfigError(f"{answer!r} answers nothing here: question {row.item_id} has {', '.join(row.item.options)}")
    try:
        payload = ReviewPayload(item=row.item_id, answer=answer, note=note)
    except ValidationError as error:
        raise ConfigError(f"the note cannot be sent: {error.errors(include_url=False)[0]['msg']}") from error
    return send(folder, "review", payload, who=who)


def person() -> str:
    """Who sits at the terminal; the number of a user that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def queue_lines(queue: Sequence[QueuedItem]) -> Iterator[str]:
    """One line a question."""
    if not queue:
        yield "no question waits; `hone review --all` shows those that are answered"
        return
    yield "  id            kind            state     goes by     question"
    for each in queue:
        row = each.row
        question = one_line(row.item.question, 90)
        yield f"  {row.item_id:<12}  {row.item.kind:<14}  {each.state:<8}  {row.in_force:<10}  {question}"


def item_lines(queued: QueuedItem) -> Iterator[str]:
    """One question in full."""
    row, item = queued.row, queued.row.item
    yield f"{row.item_id}  {item.kind}  {queued.state}  {item.question}"
    yield f"  subject   {item.subject}   asked in batch {row.batch}, step {row.step}"
    yield f"  options   {', '.join(item.options)}   default {item.default}, cautious {item.cautious}"
    yield f"  in force  {row.in_force}"
    for answered in row.answers:
        note = f": {one_line(answered.answer.note, 80)}" if answered.answer.note else ""
        yield f"    {answered.answer.answer} by {answered.answer.by} at step {answered.step}{note}"
    for answer in queued.sent:
        yield f"    {answer} sent, not read yet"
    for name, value in item.payload.items():
        yield f"  {name:<9} {one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 100)}"
