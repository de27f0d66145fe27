"""What was measured of a version against itself; kept beside the rollouts it was measured by."""

from __future__ import annotations

import json
import sqlite3
import time

from optimizer.domain.json import JsonObject
from optimizer.ledger import schema
from optimizer.ledger.codec import dump_json
from optimizer.ledger.store import Row, Store
from optimizer.ledger.table import has_table

_LATEST = "SELECT content FROM calibration ORDER BY tree = ? DESC, n_trials DESC, recorded_at DESC LIMIT 1"


class Calibrations:
    """The writer's side. Used from one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, tree: str, n_trials: int, content: JsonObject) -> None:
        """Keep a calibration; the first of a tree and a number of trials stands."""
        key = (tree, n_trials)
        if self._store.database.execute("SELECT 1 FROM calibration WHERE tree = ? AND n_trials = ?", key).fetchone():
            return
        row: Row = {"tree": tree, "n_trials": n_trials, "content": dump_json(content), "recorded_at": time.time()}
        self._store.record(schema.CALIBRATION, row)


def calibration_of(database: sqlite3.Connection, tree: str) -> JsonObject | None:
    """The calibration with the most trials, of this tree if there is one, else of another; None when there is none."""
    if not has_table(database, "calibration"):
        return None
    row = database.execute(_LATEST, (tree,)).fetchone()
    if row is None:
        return None
    content: JsonObject = json.loads(row["content"])
    return content
