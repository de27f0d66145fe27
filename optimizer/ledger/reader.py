"""Read models of a campaign: what the CLI, the explorer and the report ask. No SQL lives outside this room.

Reads are single statements that end before they return: a reader never holds a transaction, so it never keeps the
writer's log from being folded into the file.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from optimizer.domain.budget import Spend
from optimizer.domain.dataset import DatasetVersion
from optimizer.domain.failure import Cluster
from optimizer.domain.json import JsonObject
from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Trace
from optimizer.ledger import calibrations, candidates, datasets, finals, lineage, reviews, snapshots
from optimizer.ledger.codec import SqlValue
from optimizer.ledger.connection import FILE_NAME, open_reader, translated
from optimizer.ledger.control import Mail, Message
from optimizer.ledger.datasets import DatasetCase, DatasetRow
from optimizer.ledger.finals import FinalRow
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.lineage_view import Choices, Lineage, LineageItem
from optimizer.ledger.nouns import Nouns
from optimizer.ledger.reviews import ReviewRow
from optimizer.ledger.status import read_status
from optimizer.ledger.views import (
    AcceptedRow,
    BatchRow,
    BudgetPoint,
    CandidateDetail,
    CandidateFilter,
    CandidateRow,
    CaseRow,
    ClusterDetail,
    EventRow,
    FailureRow,
    Node,
    Page,
    PreviewHit,
    ReasonCount,
    ResultRow,
    ScoreBucket,
    StatusView,
    TraceEventRow,
    TrunkPoint,
)

_BUDGET = """
    WITH RECURSIVE step(at) AS (SELECT :first UNION ALL SELECT at + :stride FROM step WHERE at + :stride <= :last)
    SELECT DISTINCT s.* FROM step JOIN spend s ON s.seq = (SELECT min(seq) FROM spend WHERE seq >= step.at)
    UNION SELECT * FROM spend WHERE seq = :last ORDER BY 1
"""


class LedgerReader:
    """One read-only connection. Used from one thread; any number may be open while a writer works.

    Every method raises LedgerError when the file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        """Open the ledger in a campaign's folder; see `open`."""
        self.folder = folder
        self._path = folder / FILE_NAME
        self._database = open_reader(self._path)
        self._nouns = Nouns(self._database, folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read a campaign that runs, died or is over.

        Raises:
            LedgerError: there is none, or a newer version has written it.
        """
        return cls(folder)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def interrupt(self) -> None:
        """Break off a query that runs in another thread; that query raises LedgerError."""
        self._database.interrupt()

    # The campaign.

    def version(self) -> int:
        """A number that differs whenever something was written since the last time."""
        (version,) = self._all("PRAGMA data_version")[0]
        return int(version)

    def header(self) -> CampaignHeader:
        """What the campaign was started with."""
        with translated(self._path):
            return self._nouns.header()

    def status(self, *, now: float | None = None) -> StatusView:
        """The campaign at a glance; `now` is Unix time in seconds, by default the present."""
        with translated(self._path):
            return read_status(self._database, self._nouns, time.time() if now is None else now)

    def events(self, since: int = -1, limit: int = 500) -> tuple[EventRow, ...]:
        """The narration after event `since`, oldest first."""
        rows = self._all("SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?", (since, limit))
        return tuple(_event(row) for row in rows)

    def last_events(self, limit: int = 50) -> tuple[EventRow, ...]:
        """The end of the narration, oldest first."""
        rows = self._all("SELECT * FROM event ORDER BY seq DESC LIMIT ?", (limit,))
        return tuple(_event(row) for row in reversed(rows))

    def trunk_series(self) -> tuple[TrunkPoint, ...]:
        """Internal val estimates of the trunk, oldest first."""
        return tuple(
            TrunkPoint(
                seq=row["seq"],
                batch=row["batch"],
                commit=row["commit_sha"],
                candidate=row["candidate"],
                value=row["value"],
                low=row["low"],
                high=row["high"],
                n_tasks=row["n_tasks"],
                n_rollouts=row["n_rollouts"],
                recorded_at=row["recorded_at"],
            )
            for row in self._all("SELECT * FROM trunk ORDER BY seq")
        )

    def budget_series(self, n_points: int = 300) -> tuple[BudgetPoint, ...]:
        """What was spent, at about `n_points` steps spread evenly, the latest one included."""
        ((first, last),) = self._all("SELECT (SELECT min(seq) FROM spend), (SELECT max(seq) FROM spend)")
        if first is None:
            return ()
        stride = max(1, -(-(last - first) // n_points))
        rows = self._all(_BUDGET, {"first": first, "last": last, "stride": stride})
        return tuple(_budget_point(row) for row in rows)

    # The sealed test.

    def finals(self) -> tuple[FinalRow, ...]:
        """Seals that were broken, oldest first; normally none or one."""
        with translated(self._path):
            return finals.final_rows(self._database)

    def n_val_candidates(self) -> int:
        """Candidates that were judged on validation."""
        with translated(self._path):
            return finals.n_val_candidates(self._database)

    def usd_per_rollout(self, tree: str) -> float | None:
        """Mean cost of a tree's validation runs; None when it is not known."""
        with translated(self._path):
            return finals.usd_per_rollout(self._database, tree)

    def calibration(self, tree: str) -> JsonObject | None:
        """What `hone calibrate` has measured: of this tree, else of an earlier one; None when it has not."""
        with translated(self._path):
            return calibrations.calibration_of(self._database, tree)

    # Candidates.

    def candidates(self, wanted: CandidateFilter | None = None, page: Page | None = None) -> tuple[CandidateRow, ...]:
        """One window of the log."""
        with translated(self._path):
            return candidates.candidate_page(self._database, wanted or CandidateFilter(), page or Page())

    def candidate(self, n: int) -> CandidateDetail | None:
        """Everything about one candidate; None when there is none of this number."""
        with translated(self._path):
            return candidates.candidate_detail(self._database, self._nouns, n)

    def tree(self) -> tuple[Node, ...]:
        """All candidates with parent and status, by number."""
        with translated(self._path):
            return candidates.candidate_tree(self._database)

    def numbers_by_val(self) -> tuple[int, ...]:
        """Numbers of measured candidates, best val estimate first."""
        with translated(self._path):
            return candidates.numbers_by_val(self._database)

    def numbers_by_reason(self, reason_code: str) -> tuple[int, ...]:
        """Numbers of the candidates a reason decided, ascending."""
        with translated(self._path):
            return candidates.numbers_by_reason(self._database, reason_code)

    def reasons(self) -> tuple[ReasonCount, ...]:
        """How often each reason decided, most frequent first."""
        with translated(self._path):
            return candidates.reason_counts(self._database)

    def flips(self, n: int) -> tuple[ResultRow, ...]:
        """Results in which a candidate differs from the trunk."""
        with translated(self._path):
            return candidates.candidate_flips(self._database, n)

    def task_history(self, task_id: str, limit: int = 500) -> tuple[ResultRow, ...]:
        """Latest results on a task, newest candidate first."""
        with translated(self._path):
            return candidates.task_history(self._database, task_id, limit)

    def accepted(self) -> tuple[AcceptedRow, ...]:
        """The campaign's branch, oldest first."""
        with translated(self._path):
            return candidates.accepted_rows(self._database)

    def scores(self, n_buckets: int = 400) -> tuple[ScoreBucket, ...]:
        """Val estimates of all measured candidates in at most `n_buckets` groups of consecutive numbers."""
        with translated(self._path):
            return candidates.score_buckets(self._database, n_buckets)

    # Traffic, failures, clusters, suite.

    def batches(self) -> tuple[BatchRow, ...]:
        """All windows of traffic, oldest first."""
        rows = self._all(
            "SELECT batch.*, (SELECT count(DISTINCT rollout_id) FROM failure WHERE failure.batch = batch.n)"
            " AS n_failures FROM batch ORDER BY n"
        )
        return tuple(_batch(row) for row in rows)

    def failures(self, *, batch: int | None = None, limit: int = 1000) -> tuple[FailureRow, ...]:
        """Failures seen in a batch, or the latest of all."""
        with translated(self._path):
            return snapshots.failures_of_batch(self._database, batch, limit)

    def clusters(self) -> tuple[Cluster, ...]:
        """All clusters as they stand, by number."""
        with translated(self._path):
            return snapshots.latest_clusters(self._database)

    def cluster(self, cluster_id: int) -> ClusterDetail | None:
        """One cluster with its life; None when there is none of this number."""
        with translated(self._path):
            history = snapshots.cluster_history(self._database, cluster_id)
            if not history:
                return None
            latest = history[-1].cluster
            return ClusterDetail(
                cluster=latest,
                absorbed=snapshots.absorbed_by(self._database, cluster_id),
                resolution_rate=latest.resolution_rate,
                is_one_off=latest.is_one_off,
                history=history,
                failures=snapshots.failures_of_cluster(self._database, cluster_id, 100),
                candidates=candidates.candidate_page(
                    self._database, CandidateFilter(cluster_id=cluster_id), Page(is_newest_first=True)
                ),
            )

    def suite(self) -> tuple[CaseRow, ...]:
        """All eval cases as they stand, by id; the regression suite is those in state `active`."""
        with translated(self._path):
            return snapshots.latest_cases(self._database)

    def datasets(self) -> tuple[DatasetVersion, ...]:
        """All versions of the regression suite, oldest first."""
        with translated(self._path):
            return snapshots.datasets(self._database)

    # Lineage, datasets, review.

    def choices(self, asked: str) -> Choices:
        """What an id, or the beginning of one, may mean."""
        with translated(self._path):
            return lineage.choices(self._database, asked)

    def lineage(self, subject: LineageItem, limit: int = 10) -> Lineage:
        """Where an item comes from and what became of it; each list is cut at `limit`."""
        with translated(self._path):
            return lineage.lineage_of(self._database, subject, limit)

    def dataset_rows(self) -> tuple[DatasetRow, ...]:
        """All versions of the regression suite, oldest first."""
        with translated(self._path):
            return datasets.dataset_rows(self._database)

    def dataset_cases(self, dataset: DatasetRow) -> tuple[DatasetCase, ...]:
        """The cases of a version as they stood then."""
        with translated(self._path):
            return datasets.dataset_cases(self._database, dataset)

    def reviews(self) -> tuple[ReviewRow, ...]:
        """All questions that ever came up, the latest first; those that wait have `is_open`."""
        with translated(self._path):
            return reviews.review_rows(self._database)

    def review(self, prefix: str) -> ReviewRow | None:
        """The question whose id begins so. Raises LedgerError also when there are several."""
        with translated(self._path):
            return reviews.review_row(self._database, prefix)

    def unread(self, mail: Mail) -> tuple[Message, ...]:
        """Those control messages that no runner has taken yet."""
        with translated(self._path):
            return reviews.unread(self._database, mail)

    # Rollouts and traces.

    def rollout(self, rollout_id: str) -> Rollout | None:
        """The outcome of a job; None when it was not run."""
        with translated(self._path):
            return self._nouns.rollout(rollout_id)

    def trace(self, sha: str) -> Trace:
        """A trace in full.

        Raises:
            LedgerError: there is none, or its bytes are lost or damaged; other traces may be well.
        """
        with translated(self._path):
            return self._nouns.trace(sha)

    def trace_events(self, sha: str) -> tuple[TraceEventRow, ...]:
        """The spans of a trace as a list shows them; there even when the trace's bytes are lost."""
        rows = self._all("SELECT * FROM trace_event WHERE trace_sha = ? ORDER BY seq", (sha,))
        return tuple(
            TraceEventRow(
                seq=row["seq"],
                kind=row["kind"],
                name=row["name"],
                is_error=bool(row["is_error"]),
                preview=row["preview"],
                wall_s=row["wall_s"],
            )
            for row in rows
        )

    def search_traces(self, text: str, limit: int = 200) -> tuple[PreviewHit, ...]:
        """Spans whose preview contains `text`; up to a second on a million spans, so run it in a thread."""
        query = "SELECT trace_sha, seq, preview FROM trace_event WHERE preview LIKE ? ESCAPE '\\' LIMIT ?"
        rows = self._all(query, (candidates.like_pattern(text), limit))
        return tuple(PreviewHit(trace_sha=row["trace_sha"], seq=row["seq"], preview=row["preview"]) for row in rows)

    def _all(self, query: str, values: Sequence[SqlValue] | dict[str, SqlValue] = ()) -> list[sqlite3.Row]:
        with translated(self._path):
            return self._database.execute(query, values).fetchall()


def _event(row: sqlite3.Row) -> EventRow:
    return EventRow(
        seq=row["seq"],
        kind=row["kind"],
        candidate=row["candidate"],
        text=row["text"],
        recorded_at=row["recorded_at"],
    )


def _budget_point(row: sqlite3.Row) -> BudgetPoint:
    spend = Spend(usd=row["usd"], tokens=row["tokens"], rollouts=row["rollouts"], candidates=row["candidates"])
    return BudgetPoint(seq=row["seq"], spend=spend, recorded_at=row["recorded_at"])


def _batch(row: sqlite3.Row) -> BatchRow:
    return BatchRow(
        n=row["n"],
        head_commit=row["head_commit"],
        task_ids=tuple(json.loads(row["task_ids"])),
        rollout_ids=tuple(json.loads(row["rollout_ids"])),
        n_failures=row["n_failures"],
        recorded_at=row["recorded_at"],
    )
