"""The writer: one method per event of a campaign, each committed when it returns.

Resume runs the deterministic loop again from the start; every effect that has a row is answered from here. So to record
what is recorded already is a no-op, and to record something else under the same key is an error. What depends on the
budget at hand - the end of a session, a candidate that was cut short - is recorded by `record_end` alone, since a later
session with a larger budget takes another turn there.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self

import zstandard

from optimizer.domain.budget import BudgetLimits, Spend
from optimizer.domain.candidate import Candidate, Decision, Proposal
from optimizer.domain.dataset import DatasetVersion
from optimizer.domain.errors import LedgerError
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.recording import IntendedCall, RecordedCall
from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Trace, Usage
from optimizer.ledger import rows, schema
from optimizer.ledger.answers import Answers
from optimizer.ledger.blobs import blob_sha
from optimizer.ledger.calibrations import Calibrations
from optimizer.ledger.codec import USAGE_FIELDS, dump_json, from_bytes, to_bytes, trace_to_bytes
from optimizer.ledger.connection import FILE_NAME, create_database, translated
from optimizer.ledger.control_log import ControlLog
from optimizer.ledger.finals import Finals
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.intents import Intents, uncertain_spend
from optimizer.ledger.lock import WriterLock
from optimizer.ledger.nouns import Nouns, usage_from
from optimizer.ledger.records import ProposalRecord, SessionEnd, TaskResult, TrunkEstimate
from optimizer.ledger.reviews import Reviews
from optimizer.ledger.sessions import Sessions, elapsed_s
from optimizer.ledger.store import Row, Store
from optimizer.ledger.table import Table
from optimizer.ledger.totals import TALLY_ROLLOUTS, rollout_totals

LOCK_NAME = "ledger.lock"

_CALL = (
    f"SELECT rollout_id, body, {', '.join(USAGE_FIELDS)} FROM model_call"  # noqa: S608 - names of fields
    " WHERE luck = ? AND request_hash = ? AND occurrence = ?"
)
_PARENT = (
    "SELECT candidate AS n FROM accepted WHERE commit_sha = :commit"
    " UNION ALL SELECT n FROM candidate WHERE commit_sha = :commit LIMIT 1"
)
_LAST_SNAPSHOT = {
    table.name: f"SELECT * FROM {table.name} WHERE id = :id AND (batch, step) <= (:batch, :step)"  # noqa: S608 - names
    " ORDER BY batch DESC, step DESC LIMIT 1"
    for table in (schema.CLUSTER, schema.EVAL_CASE)
}


_PAID = """
    SELECT coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(cached_tokens), 0) AS cached_tokens,
        coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens,
        CASE WHEN count(*) > count(usd) THEN NULL ELSE coalesce(sum(usd), 0.0) END AS usd,
        count(*) AS n_calls, 0 AS n_replayed_calls
    FROM model_call WHERE rollout_id = ?
"""


class Ledger:
    """The single writer of a campaign. Used from one thread; closes itself as a context manager.

    Every method raises LedgerError when the disk is full, the file cannot be written, or the record contradicts an
    earlier one. Killed at any instant it loses nothing a method has returned from.
    """

    def __init__(self, folder: Path, lock: WriterLock) -> None:
        """Open a ledger whose lock is held; use `create` or `open`."""
        self._lock = lock
        self._store = Store(folder)
        self._database = self._store.database
        self._nouns = Nouns(self._database, folder)
        self._tasks: set[str] = set()
        self._compressor = zstandard.ZstdCompressor(level=1, write_checksum=False)
        self._sessions = Sessions(self._store)
        self._intents = Intents(self._store)
        self.answers = Answers(self._store)
        self._is_open = True
        self.folder = folder
        self.reviews = Reviews(self._store)
        self.control = ControlLog(self._store)
        self.finals = Finals(self._store)
        self.calibrations = Calibrations(self._store)
        self.header = self._nouns.header()

    @classmethod
    def create(cls, folder: Path, header: CampaignHeader) -> Ledger:
        """Begin the ledger of a new campaign in `folder`, which is made when it is missing.

        Raises:
            LedgerError: a campaign is recorded there already, or the folder cannot be written.
        """
        path = folder / FILE_NAME
        with translated(path):
            folder.mkdir(parents=True, exist_ok=True)
            lock = WriterLock(folder / LOCK_NAME)
        try:
            with translated(path):
                _write_new(path, header)
            return cls(folder, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def open(cls, folder: Path) -> Ledger:
        """Go on with the ledger of a campaign.

        Raises:
            LedgerError: there is none, another process writes to it, or a newer version has written it.
        """
        path = folder / FILE_NAME
        if not path.exists():
            message = f"there is no campaign in {folder} (no {FILE_NAME}): start one with `hone run`"
            raise LedgerError(message)
        with translated(path):
            lock = WriterLock(folder / LOCK_NAME)
        try:
            return cls(folder, lock)
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Close the file and let the next writer in; again does nothing. Nothing is lost without it."""
        if self._is_open:
            self._is_open = False
            self._store.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Sessions: not part of the comparable content.

    def start_session(self, pid: int, host: str, *, limits: BudgetLimits | None = None) -> int:
        """Note that a process begins to work on the campaign, under these limits; the session's number.

        Calls that an earlier process has left without an answer are settled as uncertain here.
        """
        self._intents.close_open()
        return self._sessions.start(pid, host, limits or BudgetLimits())

    def heartbeat(self) -> None:
        """Say that the session is alive; every 5 s."""
        self._sessions.heartbeat()

    def end_session(self, reason: SessionEnd) -> None:
        """Say that the session ends by itself."""
        self._sessions.end(reason)

    def elapsed_s(self) -> float:
        """Wall time over all sessions, each from its start to its end or last heartbeat, in seconds."""
        with translated(self._store.path):
            return elapsed_s(self._database)

    # Rollouts and the model calls inside them.

    def record_rollout(self, rollout: Rollout, trace: Trace) -> str:
        """Keep an outcome and its trace; the trace's address, which is also filled into the stored rollout."""
        payload = trace_to_bytes(trace)
        sha = blob_sha(payload)
        with self._store.transaction():
            if rollout.job.task.id not in self._tasks:
                self._store.insert(schema.TASK, rows.task_row(rollout.job.task))
            if self._store.put_addressed_blob(sha, payload, "trace"):
                self._store.insert_new(schema.TRACE_EVENT, rows.trace_event_rows(sha, trace))
            if self._store.insert(schema.ROLLOUT, rows.rollout_row(rollout, sha, time.time())):
                self._store.insert_new(schema.ROLLOUT_METRIC, rows.metric_rows(rollout))
                self._tally()
        self._tasks.add(rollout.job.task.id)
        return sha

    def rollout(self, rollout_id: str) -> Rollout | None:
        """The outcome of a job that has been run; None when it has not."""
        with translated(self._store.path):
            return self._nouns.rollout(rollout_id)

    def trace(self, sha: str) -> Trace:
        """The trace at an address.

        Raises:
            LedgerError: there is none, or its bytes are lost or damaged.
        """
        with translated(self._store.path):
            return self._nouns.trace(sha)

    def recorded(self, luck: str, request_hash: str, occurrence: int) -> RecordedCall | None:
        """The answered model call under this key; None when it was never answered."""
        with translated(self._store.path):
            row = self._database.execute(_CALL, (luck, request_hash, occurrence)).fetchone()
        if row is None:
            return None
        return RecordedCall(
            luck=luck,
            request_hash=request_hash,
            occurrence=occurrence,
            rollout_id=row["rollout_id"],
            body_json=from_bytes(zstandard.decompress(row["body"])),
            usage=usage_from(row),
        )

    def intend(self, call: IntendedCall) -> int:
        """Keep, before it is made, that a call may be billed; the intent's number."""
        return self._intents.begin(call)

    def withdraw(self, intent: int) -> None:
        """Keep that the provider has refused a call, and bills nothing."""
        with self._store.transaction():
            self._intents.end(intent, "refused")

    def lose(self, intent: int) -> None:
        """Keep that a call was sent and broke off: it counts as spent, at its worst case."""
        with self._store.transaction():
            self._intents.end(intent, "lost")

    def uncertain_spend(self) -> Spend:
        """What calls may have taken that broke off, or were in flight when their process died: at their worst case."""
        with translated(self._store.path):
            return uncertain_spend(self._database, is_running=True)

    def record(self, call: RecordedCall, *, intent: int | None = None) -> None:
        """Keep an answered model call; when another rollout was first under this key, its answer stands."""
        earlier = self.recorded(call.luck, call.request_hash, call.occurrence)
        if earlier is not None and earlier.rollout_id != call.rollout_id:
            return  # the intent stays open: this rollout's own usage counts what was paid twice
        body = to_bytes(call.body_json)
        row: Row = {
            "luck": call.luck,
            "request_hash": call.request_hash,
            "occurrence": call.occurrence,
            "rollout_id": call.rollout_id,
            "body": self._compressor.compress(body),
            "body_hash": blob_sha(body),
            **rows.usage_columns(call.usage),
        }
        with self._store.transaction():
            self._store.insert(schema.MODEL_CALL, row)
            if intent is not None:
                self._intents.end(intent, "answered")

    def paid(self, rollout_id: str) -> Usage:
        """All that a rollout has paid for, over all its tries and sessions."""
        with translated(self._store.path):
            row = self._database.execute(_PAID, (rollout_id,)).fetchone()
        return usage_from(row)

    # Traffic, failures, clusters, cases.

    def record_batch(self, n: int, head_commit: str, task_ids: tuple[str, ...], rollout_ids: tuple[str, ...]) -> None:
        """Keep a window of traffic and the rollouts made for it."""
        tasks, rollouts = dump_json(task_ids), dump_json(rollout_ids)
        row: Row = {"n": n, "head_commit": head_commit, "task_ids": tasks, "rollout_ids": rollouts}
        self._store.record(schema.BATCH, {**row, "recorded_at": time.time()})

    def record_failure(self, failure: Failure, batch: int) -> None:
        """Keep one failure seen in a batch."""
        self._store.record(schema.FAILURE, rows.failure_row(failure, batch))

    def record_cluster(self, cluster: Cluster, batch: int, step: int) -> None:
        """Keep a cluster as it stands after a step of a batch; nothing when it stands as before."""
        self._record_snapshot(schema.CLUSTER, rows.cluster_row(cluster, batch, step))

    def record_cluster_member(self, cluster_id: int, failure_id: str) -> None:
        """Keep that a failure belongs to a cluster."""
        self._store.record(schema.CLUSTER_MEMBER, {"cluster_id": cluster_id, "failure_id": failure_id})

    def record_case(self, case: EvalCase, batch: int, step: int = 0) -> None:
        """Keep a case as it stands after a step of a batch; nothing when it stands as before."""
        self._record_snapshot(schema.EVAL_CASE, rows.case_row(case, batch, step))

    def record_dataset(self, version: DatasetVersion, batch: int, step: int) -> None:
        """Keep a version of the regression suite."""
        self._store.record(schema.DATASET, rows.dataset_row(version, batch, step))

    # Candidates.

    def record_proposal(self, record: ProposalRecord) -> None:
        """Keep what a proposer answered."""
        with self._store.transaction():
            self._insert_proposal(record)

    def proposal(self, n: int) -> ProposalRecord | None:
        """What the proposer answered when candidate `n` was asked for; None when it was not asked yet."""
        with translated(self._store.path):
            return self._nouns.proposal(n)

    def record_candidate(self, candidate: Candidate) -> None:
        """Keep a proposal that has become a commit; its tree is new in this campaign."""
        with self._store.transaction():
            if not self._database.execute("SELECT 1 FROM proposal WHERE n = ?", (candidate.n,)).fetchone():
                self._insert_proposal(_answer(candidate, candidate.proposal))
            parent = self._database.execute(_PARENT, {"commit": candidate.parent}).fetchone()
            diff_sha = self._store.put_blob(to_bytes(candidate.diff), "diff")
            parent_n = None if parent is None else parent["n"]
            self._store.insert(schema.CANDIDATE, rows.candidate_row(candidate, parent_n, diff_sha, time.time()))

    def candidate(self, n: int) -> Candidate | None:
        """A candidate by its number; None when it never became a commit."""
        with translated(self._store.path):
            return self._nouns.candidate(n)

    def record_decision(self, decision: Decision, results: tuple[TaskResult, ...] = ()) -> None:
        """Keep a verdict with its checks and the single results behind it."""
        n = decision.candidate
        with self._store.transaction():
            self._store.insert(schema.DECISION, rows.decision_row(decision, time.time()))
            for position, check in enumerate(decision.checks):
                self._store.insert(schema.GATE_CHECK, rows.check_row(n, position, check))
            for result in results:
                self._store.insert(schema.TASK_RESULT, rows.result_row(n, result))

    def decision(self, n: int) -> Decision | None:
        """The verdict on a candidate; None while there is none."""
        with translated(self._store.path):
            return self._nouns.decision(n)

    def record_accept(self, candidate: int, commit: str, position: int) -> None:
        """Keep that a candidate is commit number `position` (1, 2, ...) of the campaign's branch."""
        row: Row = {"candidate": candidate, "commit_sha": commit, "position": position, "recorded_at": time.time()}
        self._store.record(schema.ACCEPTED, row)

    # The course of the campaign, under the loop's deterministic counter.

    def record_event(self, seq: int, kind: str, candidate: int | None, text: str) -> None:
        """Keep one line of the narration."""
        row: Row = {"seq": seq, "kind": kind, "candidate": candidate, "text": text, "recorded_at": time.time()}
        self._store.record(schema.EVENT, row)

    def record_trunk(self, estimate: TrunkEstimate) -> None:
        """Keep what the trunk is believed to score on val."""
        self._store.record(schema.TRUNK, rows.trunk_row(estimate, time.time()))

    def record_spend(self, seq: int, spend: Spend) -> None:
        """Keep all that is spent up to a step.

        Dollars are kept to the nano-dollar, so that the order in which rollouts ended, which moves the last bits of a
        sum, is not content; the shift keeps sums of round prices away from the edges of rounding.
        """
        usd = round(spend.usd + 3.7e-11, 9)
        row: Row = {"usd": usd, "tokens": spend.tokens, "rollouts": spend.rollouts, "candidates": spend.candidates}
        self._store.record(schema.SPEND, {"seq": seq, **row, "recorded_at": time.time()})

    def record_end(self, seq: int, reason_code: str, text: str) -> None:
        """Keep why this session ended at this step; the next one may go further, to another end."""
        row: Row = {"session_id": self._sessions.id, "seq": seq, "reason_code": reason_code, "text": text}
        self._store.record(schema.END, {**row, "recorded_at": time.time()})

    def _record_snapshot(self, table: Table, row: Row) -> None:
        with self._store.transaction():
            last = self._database.execute(_LAST_SNAPSHOT[table.name], row).fetchone()
            if last is None or any(last[name] != row[name] for name in row if name not in {"batch", "step"}):
                self._store.insert(table, row)

    def _insert_proposal(self, record: ProposalRecord) -> None:
        edits = record.proposal.edits if record.proposal else ()
        shas = tuple(None if edit.content is None else self._store.put_blob(edit.content, "file") for edit in edits)
        row = rows.proposal_row(record, rows.edits_json(edits, shas), time.time())
        self._store.insert(schema.PROPOSAL, row)

    def _tally(self) -> None:
        (n_rollouts,) = self._database.execute("SELECT max(rowid) FROM rollout").fetchone()
        if n_rollouts % TALLY_ROLLOUTS == 0:
            totals = rollout_totals(self._database)
            row: Row = {"n_rollouts": n_rollouts, "n_unpriced": totals.n_unpriced}
            self._store.insert(schema.TALLY, {**row, **rows.usage_columns(totals.usage)})


def _write_new(path: Path, header: CampaignHeader) -> None:
    """Make the file complete under another name first: a ledger that exists has its header."""
    if path.exists():
        message = (
            f"a campaign is recorded in {path.parent} already: continue it with `hone resume`, or name another one"
        )
        raise LedgerError(message)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    create_database(unfinished, schema.CAMPAIGN.insert_sql, rows.header_row(header))
    unfinished.rename(path)


def _answer(candidate: Candidate, proposal: Proposal) -> ProposalRecord:
    return ProposalRecord(
        n=candidate.n,
        batch=candidate.batch,
        cluster_id=candidate.cluster_id,
        proposal=proposal,
        usage=proposal.usage,
    )
