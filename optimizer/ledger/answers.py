"""What hone's own models answered, and what was made of their diagnoses; found again on resume, not paid for twice."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Literal

from optimizer.domain.json import Json
from optimizer.domain.model import ModelReply, ModelToolCall
from optimizer.domain.trace import Usage
from optimizer.ledger import schema
from optimizer.ledger.codec import dump_json
from optimizer.ledger.connection import translated
from optimizer.ledger.nouns import usage_from
from optimizer.ledger.rows import usage_columns
from optimizer.ledger.store import Row, Store

Purpose = Literal["diagnosis", "name", "induction", "judge"]
Outcome = Literal["agrees", "conflict", "refused", "unavailable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAnswer:
    """One call of a model of hone's own."""

    purpose: Purpose
    subject: str
    """What it was about: a failure, a cluster, a rollout."""
    question_hash: str
    model: str
    reply: ModelReply | None
    """None when there was no answer."""
    error: str = ""
    """What the provider said then."""
    is_absent: bool = False
    """Whether the provider stayed out of reach; otherwise one without an answer refused the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisRecord:
    """What came of asking a model about one failure."""

    failure_id: str
    """The detectors' record."""
    batch: int
    model: str
    outcome: Outcome
    """`agrees`, `conflict` with the detectors' class, `refused`: no usable answer, `unavailable`: nobody answered."""
    label: str = ""
    """Class by the model; '' without a usable answer, as are the texts below."""
    span: int | None = None
    evidence: str = ""
    cause: str = ""
    expected: str = ""
    intervention: str = ""
    rung: str | None = None
    superseded_by: str | None = None
    """The failure that replaces the detectors' record; None while theirs stands."""
    winner: str | None = None
    """Whose class was followed in a conflict; None without one, or while a person is to say."""
    rule: str = ""
    refused: tuple[tuple[str, str], ...] = ()
    """Code and reason of each answer that was not taken."""
    usage: Usage = Usage()


class Answers:
    """The writer's side. Used from one thread; every method raises LedgerError like the ledger itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def answer(self, purpose: Purpose, subject: str, question_hash: str) -> RecordedAnswer | None:
        """The answer to a question that was put before; None when it was not."""
        row = self._row(
            "SELECT * FROM model_answer WHERE purpose = ? AND subject = ? AND question_hash = ?",
            (purpose, subject, question_hash),
        )
        if row is None:
            return None
        is_answered = row["outcome"] == "answered"
        return RecordedAnswer(
            purpose=purpose,
            subject=subject,
            question_hash=question_hash,
            model=row["model"],
            reply=_reply(row) if is_answered else None,
            error="" if is_answered else row["text"],
            is_absent=row["outcome"] == "unavailable",
        )

    def record_answer(self, answer: RecordedAnswer) -> None:
        """Keep what a model answered, or that it did not."""
        reply = answer.reply or ModelReply(text=answer.error)
        without = "unavailable" if answer.is_absent else "refused"
        calls: list[Json] = [[call.id, call.name, call.arguments] for call in reply.tool_calls]
        row: Row = {
            "purpose": answer.purpose,
            "subject": answer.subject,
            "question_hash": answer.question_hash,
            "model": answer.model,
            "outcome": without if answer.reply is None else "answered",
            "text": reply.text,
            "tool_calls": dump_json(calls),
            "stop": reply.stop,
            "recorded_at": time.time(),
            **usage_columns(reply.usage),
        }
        self._store.record(schema.MODEL_ANSWER, row)

    def record_diagnosis(self, record: DiagnosisRecord) -> None:
        """Keep what came of asking about a failure, costs and refusals included."""
        row: Row = {
            "failure_id": record.failure_id,
            "batch": record.batch,
            "model": record.model,
            "outcome": record.outcome,
            "label": record.label,
            "span": record.span,
            "evidence": record.evidence,
            "cause": record.cause,
            "expected": record.expected,
            "intervention": record.intervention,
            "rung": record.rung,
            "superseded_by": record.superseded_by,
            "winner": record.winner,
            "rule": record.rule,
            "refused": dump_json(record.refused),
            "recorded_at": time.time(),
            **usage_columns(record.usage),
        }
        self._store.record(schema.DIAGNOSIS, row)

    def _row(self, query: str, key: tuple[str, ...]) -> sqlite3.Row | None:
        with translated(self._store.path):
            row: sqlite3.Row | None = self._store.database.execute(query, key).fetchone()
        return row


def _reply(row: sqlite3.Row) -> ModelReply:
    calls = (
        ModelToolCall(id=id_, name=name, arguments=arguments) for id_, name, arguments in json.loads(row["tool_calls"])
    )
    return ModelReply(text=row["text"], tool_calls=tuple(calls), stop=row["stop"], usage=usage_from(row))
