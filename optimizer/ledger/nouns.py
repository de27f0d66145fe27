"""Rows as nouns: what the writer finds again on resume and a reader shows, through the same queries."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from optimizer.domain.candidate import Candidate, Decision, FileEdit, GateCheck, Proposal
from optimizer.domain.errors import LedgerError
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Check, Task
from optimizer.domain.trace import Trace, Usage
from optimizer.ledger.blobs import Place, read_blob
from optimizer.ledger.codec import USAGE_FIELDS, from_bytes, trace_from_bytes
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.records import ProposalRecord, Refusal


class Nouns:
    """Finds nouns by their key through one connection; None where there is no row."""

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        self._database = database
        self._folder = folder

    def header(self) -> CampaignHeader:
        """What the campaign was started with."""
        row = self._database.execute("SELECT * FROM campaign WHERE id = 1").fetchone()
        fields = {name: row[name] for name in CampaignHeader.__dataclass_fields__}
        return CampaignHeader(**(fields | {"is_simulated": bool(row["is_simulated"])}))

    def rollout(self, rollout_id: str) -> Rollout | None:
        """The outcome of a job, its task rebuilt."""
        row = self._one(
            "SELECT rollout.*, split, group_name, slices FROM rollout JOIN task ON task.id = task_id"
            " WHERE rollout.id = ?",
            rollout_id,
        )
        return None if row is None else _rollout(row, self._metrics(rollout_id))

    def _metrics(self, rollout_id: str) -> dict[str, float]:
        """Metrics of a rollout; a ledger that was begun before there were any has no table of them."""
        if not self._database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'rollout_metric'").fetchone():
            return {}
        query = "SELECT name, value FROM rollout_metric WHERE rollout_id = ? ORDER BY name"
        return {row["name"]: row["value"] for row in self._database.execute(query, (rollout_id,)).fetchall()}

    def trace(self, sha: str) -> Trace:
        """All spans of a rollout.

        Raises:
            LedgerError: no such trace, or its bytes are lost or damaged.
        """
        query = "SELECT wall_s FROM trace_event WHERE trace_sha = ? ORDER BY seq"
        wall_s = [row["wall_s"] for row in self._database.execute(query, (sha,)).fetchall()]
        return trace_from_bytes(self.blob(sha), wall_s)

    def blob(self, sha: str) -> bytes:
        """A payload by its address.

        Raises:
            LedgerError: no such blob, or its bytes are lost or damaged.
        """
        row = self._one("SELECT pack, offset, length FROM blob WHERE sha = ?", sha)
        if row is None:
            message = f"the ledger in {self._folder} has no blob {sha}: check the address"
            raise LedgerError(message)
        return read_blob(self._folder, sha, Place(pack=row["pack"], offset=row["offset"], length=row["length"]))

    def proposal(self, n: int) -> ProposalRecord | None:
        """What the proposer answered when candidate `n` was asked for."""
        row = self._one("SELECT * FROM proposal WHERE n = ?", n)
        if row is None:
            return None
        code = row["refusal_code"]
        return ProposalRecord(
            n=n,
            batch=row["batch"],
            cluster_id=row["cluster_id"],
            proposal=self._proposal(row) if row["is_proposed"] else None,
            refusal=None if code is None else Refusal(code=code, reason=row["refusal_reason"]),
            usage=usage_from(row),
        )

    def candidate(self, n: int) -> Candidate | None:
        """A proposal that has become a commit."""
        row = self._one("SELECT * FROM candidate WHERE n = ?", n)
        record = self.proposal(n)
        if row is None or record is None or record.proposal is None:
            return None
        return Candidate(
            n=n,
            parent=row["parent"],
            commit=row["commit_sha"],
            tree=row["tree"],
            cluster_id=row["cluster_id"],
            batch=row["batch"],
            proposal=record.proposal,
            diff=from_bytes(self.blob(row["diff_sha"])),
        )

    def decision(self, n: int) -> Decision | None:
        """Verdict on a candidate with its checks."""
        row = self._one("SELECT * FROM decision WHERE candidate = ?", n)
        if row is None:
            return None
        checks = self._database.execute("SELECT * FROM gate_check WHERE candidate = ? ORDER BY ord", (n,)).fetchall()
        return Decision(
            candidate=n,
            verdict=row["verdict"],
            reason_code=row["reason_code"],
            reason=row["reason"],
            checks=tuple(_check(check) for check in checks),
            val_before=row["val_before"],
            val_after=row["val_after"],
            val_interval=None if row["val_low"] is None else (row["val_low"], row["val_high"]),
            fixed=tuple(json.loads(row["fixed"])),
            broken=tuple(json.loads(row["broken"])),
            n_rollouts=row["n_rollouts"],
            usage=usage_from(row),
        )

    def _proposal(self, row: sqlite3.Row) -> Proposal:
        return Proposal(
            title=row["title"],
            hypothesis=row["hypothesis"],
            edits=tuple(self._edit(path, sha) for path, sha in json.loads(row["edits"])),
            target_tasks=tuple(json.loads(row["target_tasks"])),
            rung=row["rung"],
            proposer=row["proposer"],
            predicted_fixes=row["predicted_fixes"],
            predicted_risks=row["predicted_risks"],
            usage=Usage(**dict(zip(USAGE_FIELDS, json.loads(row["proposal_usage"]), strict=True))),
        )

    def _edit(self, path: str, sha: str | None) -> FileEdit:
        return FileEdit(path=path, content=None if sha is None else self.blob(sha))

    def _one(self, query: str, key: str | int) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._database.execute(query, (key,)).fetchone()
        return row


def usage_from(row: sqlite3.Row) -> Usage:
    """Usage from columns of the same names."""
    return Usage(**{name: row[name] for name in USAGE_FIELDS})


def _rollout(row: sqlite3.Row, metrics: dict[str, float]) -> Rollout:
    task = Task(id=row["task_id"], split=row["split"], group=row["group_name"], slices=tuple(json.loads(row["slices"])))
    checks: list[Any] = json.loads(row["checks"])
    return Rollout(
        job=RolloutJob(tree=row["tree"], task=task, purpose=row["purpose"], trial=row["trial"]),
        status=row["status"],
        score=row["score"],
        checks=tuple(Check(name=name, is_passed=passed, detail=detail) for name, passed, detail in checks),
        usage=usage_from(row),
        trace_sha=row["trace_sha"],
        note=row["note"],
        sandbox_level=row["sandbox_level"],
        wall_s=row["wall_s"],
        cpu_s=row["cpu_s"],
        metrics=metrics,
    )


def _check(row: sqlite3.Row) -> GateCheck:
    passed = row["is_passed"]
    return GateCheck(
        name=row["name"],
        value=row["value"],
        op=row["op"],
        threshold=row["threshold"],
        is_passed=None if passed is None else bool(passed),
        note=row["note"],
    )
