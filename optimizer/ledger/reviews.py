"""Questions and their answers: rows of the writer, and the queue as a reader sees it."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass

from optimizer.domain.errors import LedgerError
from optimizer.domain.review import ReviewAnswer, ReviewItem
from optimizer.ledger import schema
from optimizer.ledger.codec import dump_json
from optimizer.ledger.control import Mail, Message
from optimizer.ledger.store import Row, Store
from optimizer.ledger.table import has_table

_ANSWERS = "SELECT * FROM review_answer WHERE item_id = ? ORDER BY ord"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """An answer with the step at which it took effect."""

    answer: ReviewAnswer
    batch: int
    step: int
    recorded_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRow:
    """An item of the queue with all its answers, oldest first; the last one is in force."""

    item_id: str
    item: ReviewItem
    batch: int
    """Batch at which it was asked."""
    step: int
    is_waiting: bool
    """Whether a person is waited for; else the default has applied at once."""
    answers: tuple[AnswerRow, ...]

    @property
    def is_open(self) -> bool:
        """Whether a person is still to answer."""
        return self.is_waiting and not self.answers

    @property
    def in_force(self) -> str:
        """The answer that the loop goes by."""
        return self.answers[-1].answer.answer if self.answers else self.item.cautious


class Reviews:
    """The writer's side. Used from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open_item(self, item: ReviewItem, batch: int, step: int, *, is_waiting: bool) -> None:
        """Keep that a question came up, and whether a person is waited for."""
        row: Row = {
            "id": item.id,
            "batch": batch,
            "step": step,
            "kind": item.kind,
            "subject": item.subject,
            "question": item.question,
            "options": dump_json(item.options),
            "default_answer": item.default,
            "cautious_answer": item.cautious,
            "payload": dump_json(item.payload),
            "is_waiting": is_waiting,
        }
        self._store.record(schema.REVIEW, row)

    def answer(self, answer: ReviewAnswer, ordinal: int, batch: int, step: int) -> None:
        """Keep answer number `ordinal` (0, 1, ...) to an item, at the step at which it takes effect."""
        row: Row = {"item_id": answer.item_id, "ord": ordinal, "answer": answer.answer, "answered_by": answer.by}
        place: Row = {"note": answer.note, "batch": batch, "step": step, "recorded_at": time.time()}
        self._store.record(schema.REVIEW_ANSWER, {**row, **place})


def review_rows(database: sqlite3.Connection) -> tuple[ReviewRow, ...]:
    """All items, the latest first."""
    if not has_table(database, "review"):
        return ()
    rows = database.execute("SELECT * FROM review ORDER BY batch DESC, step DESC, id").fetchall()
    return tuple(_review(database, row) for row in rows)


def review_row(database: sqlite3.Connection, prefix: str) -> ReviewRow | None:
    """The one item whose id begins so; None when there is none.

    Raises:
        LedgerError: there are several.
    """
    if not has_table(database, "review"):
        return None
    query = "SELECT * FROM review WHERE id >= ? AND id < ? ORDER BY id LIMIT 6"
    rows = database.execute(query, (prefix, f"{prefix}\U0010ffff")).fetchall()
    if len(rows) > 1:
        raise LedgerError(f"{prefix!r} begins several items: {', '.join(row['id'] for row in rows)}; name one")
    return _review(database, rows[0]) if rows else None


def unread(database: sqlite3.Connection, mail: Mail) -> tuple[Message, ...]:
    """Messages of the control channel that no runner has taken yet."""
    if not has_table(database, "control_message"):
        return mail.messages
    taken = {row["id"] for row in database.execute("SELECT id FROM control_message").fetchall()}
    return tuple(message for message in mail.messages if message.id not in taken)


def _review(database: sqlite3.Connection, row: sqlite3.Row) -> ReviewRow:
    item = ReviewItem(
        kind=row["kind"],
        subject=row["subject"],
        question=row["question"],
        options=tuple(json.loads(row["options"])),
        default=row["default_answer"],
        cautious=row["cautious_answer"],
        payload=json.loads(row["payload"]),
    )
    answers = tuple(_answer(found) for found in database.execute(_ANSWERS, (row["id"],)).fetchall())
    return ReviewRow(
        item_id=row["id"],
        item=item,
        batch=row["batch"],
        step=row["step"],
        is_waiting=bool(row["is_waiting"]),
        answers=answers,
    )


def _answer(row: sqlite3.Row) -> AnswerRow:
    answer = ReviewAnswer(item_id=row["item_id"], answer=row["answer"], by=row["answered_by"], note=row["note"])
    return AnswerRow(answer=answer, batch=row["batch"], step=row["step"], recorded_at=row["recorded_at"])
