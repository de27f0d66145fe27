"""What the runner has read from the control channel, and at which step it took effect.

A read that was recorded, even one that found nothing, is answered from here: a resumed campaign meets every message at
the step at which it met it first. Only the first read that has no row yet looks into the file.
"""

from __future__ import annotations

import sqlite3
import time

from optimizer.ledger import schema
from optimizer.ledger.connection import translated
from optimizer.ledger.control import Mail, Mailbox, Message
from optimizer.ledger.store import Row, Store

_MESSAGES = "SELECT id, sent_at, who, verb, payload AS payload_json FROM control_message WHERE read_n = ? ORDER BY ord"


class ControlLog:
    """The runner's side of the channel. Used from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mailbox = Mailbox(store.folder)

    def take(self, n: int, batch: int, step: int) -> Mail:
        """The messages of read number n (1, 2, ...), recorded before they are handed over.

        Raises:
            LedgerError: the file or the ledger cannot be used.
        """
        recorded = self._recorded(n)
        if recorded is not None:
            return Mail(messages=recorded, problems=())
        mail = self._mailbox.fresh()
        messages = tuple(message for message in mail.messages if not self._is_taken(message))
        with self._store.transaction():
            row: Row = {"n": n, "batch": batch, "step": step, "n_messages": len(messages), "recorded_at": time.time()}
            self._store.insert(schema.CONTROL_READ, row)
            for position, message in enumerate(messages):
                self._store.insert(schema.CONTROL_MESSAGE, _row(message, n, position))
        return Mail(messages=messages, problems=mail.problems)

    def _recorded(self, n: int) -> tuple[Message, ...] | None:
        with translated(self._store.path):
            if self._store.database.execute("SELECT 1 FROM control_read WHERE n = ?", (n,)).fetchone() is None:
                return None
            return tuple(_message(row) for row in self._store.database.execute(_MESSAGES, (n,)).fetchall())

    def _is_taken(self, message: Message) -> bool:
        query = "SELECT 1 FROM control_message WHERE id = ?"
        with translated(self._store.path):
            return self._store.database.execute(query, (message.id,)).fetchone() is not None


def _row(message: Message, n: int, position: int) -> Row:
    return {
        "id": message.id,
        "read_n": n,
        "ord": position,
        "who": message.who,
        "verb": message.verb,
        "payload": message.payload_json,
        "sent_at": message.sent_at,
    }


def _message(row: sqlite3.Row) -> Message:
    return Message(**{name: row[name] for name in Message.__dataclass_fields__})
