"""What a reader of a campaign sees: plain values for the CLI, the explorer and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizer.domain.budget import BudgetLimits, Spend
from optimizer.domain.candidate import Decision, Proposal, ReasonCode, Rung, Verdict
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster, ClusterState, Failure
from optimizer.domain.rollout import Purpose
from optimizer.domain.task import Split
from optimizer.domain.trace import SpanKind, Usage
from optimizer.ledger.finals import FinalRow
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.records import Refusal

CampaignState = Literal["new", "running", "stale", "died", "finished", "interrupted", "failed"]
"""new: never started; stale: no sign of life for 15 s; died: its process is gone, or silent for ten minutes."""
CandidateStatus = Literal["accept", "reject", "inconclusive", "refused", "running"]
"""A verdict; or refused before it became a commit, with no verdict; or not decided yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """The latest process that worked on the campaign."""

    id: int
    pid: int
    host: str
    started_at: float
    """Unix time, seconds."""
    seen_at: float
    """Its end, last heartbeat or start."""
    is_ended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictCounts:
    """Candidates by what became of them."""

    accepted: int = 0
    rejected: int = 0
    inconclusive: int = 0
    refused: int = 0
    running: int = 0

    @property
    def total(self) -> int:
        """All candidates asked for."""
        return self.accepted + self.rejected + self.inconclusive + self.refused + self.running


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkPoint:
    """The internal estimate of the trunk's val pass rate at one point; selected on, so never the result."""

    seq: int
    batch: int
    commit: str
    candidate: int | None
    value: float
    low: float | None
    high: float | None
    n_tasks: int
    n_rollouts: int
    recorded_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """A campaign at a glance."""

    header: CampaignHeader
    state: CampaignState
    session: SessionView | None
    heartbeat_age_s: float | None
    """Seconds since the last sign of life; None before the first session."""
    elapsed_s: float
    """Wall time over all sessions."""
    n_batches: int
    counts: VerdictCounts
    clusters: tuple[tuple[ClusterState, int], ...]
    """Number of clusters in each state that occurs."""
    n_cases: int
    """Eval cases ever made."""
    n_suite: int
    """Cases in the regression suite: state `active`."""
    val_baseline: float | None
    """Internal estimates, simulated when the header says so."""
    val_now: float | None
    spent: Spend
    uncertain: Spend
    """What calls that broke off or were in flight at a kill may have taken beside `spent`: held against the limits."""
    limits: BudgetLimits
    sandbox_levels: tuple[str, ...]
    """Isolation reached, as the first and the latest 100 rollouts say; every rollout has its own."""
    n_rollouts: int
    n_calls: int
    """Model calls of all rollouts, replayed ones included."""
    n_replayed_calls: int
    usage: Usage
    """Of all rollouts with a known price."""
    n_unpriced_rollouts: int
    usd_saved: float | None
    """What the replayed calls would have cost at the mean price of the paid ones; None when there is none."""
    rollouts_per_minute: float | None
    """Over the latest 100 rollouts; None with fewer than two."""
    end_code: str | None
    """Why the campaign ended last; None while it never did."""
    end_text: str | None
    n_val_candidates: int = 0
    """Candidates that were judged on validation: each has looked at it once."""
    final: FinalRow | None = None
    """The latest breaking of the test split's seal; None while it is sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """One line of the log: a candidate, whether refused, running or decided."""

    n: int
    batch: int
    cluster_id: int
    status: CandidateStatus
    verdict: Verdict | None
    reason_code: ReasonCode | str | None
    """Of the decision, else of the refusal."""
    reason: str | None
    title: str
    rung: Rung | None
    """None when nothing was proposed."""
    proposer: str
    parent_n: int | None
    """The accepted candidate it was made on; None for the base."""
    commit: str | None
    val_before: float | None
    val_after: float | None
    val_low: float | None
    val_high: float | None
    n_fixed: int
    n_broken: int
    n_rollouts: int
    usd: float | None
    """What measuring it cost; None when unknown or undecided."""
    tokens: int
    proposal_usd: float | None
    """What proposing it cost; None when unknown."""
    decided_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A candidate in the tree of candidates."""

    n: int
    parent_n: int | None
    status: CandidateStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """One paired result of a candidate."""

    candidate: int
    split: Split
    task_id: str
    purpose: Purpose
    trial: int
    is_passed: bool
    base_passed: bool | None
    rollout_id: str

    @property
    def is_flip(self) -> bool:
        """Whether candidate and trunk differ."""
        return self.base_passed is not None and self.is_passed != self.base_passed


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateDetail:
    """Everything known about one candidate."""

    row: CandidateRow
    proposal: Proposal | None
    refusal: Refusal | None
    proposal_usage: Usage
    diff: str | None
    """None when it never became a commit."""
    decision: Decision | None
    results: tuple[ResultRow, ...]
    position: int | None
    """Its place on the campaign's branch; None when it is not accepted."""
    accepted_commit: str | None
    cluster: Cluster | None = None
    """The cluster it was made for, as it stands now."""
    broken_cases: tuple[EvalCase, ...] = ()
    """Cases whose task failed it in the regression suite, as they stand now."""

    @property
    def flips(self) -> tuple[ResultRow, ...]:
        """Results in which it differs from the trunk."""
        return tuple(result for result in self.results if result.is_flip)

    @property
    def predicted_and_fixed(self) -> tuple[str, ...]:
        """Targeted tasks that it did fix."""
        if self.proposal is None or self.decision is None:
            return ()
        return tuple(task for task in self.proposal.target_tasks if task in self.decision.fixed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSnapshot:
    """A cluster as it stood after a step."""

    batch: int
    step: int
    cluster: Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRow:
    """A failure with where it belongs."""

    batch: int
    cluster_id: int | None
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDetail:
    """One cluster with its life."""

    cluster: Cluster
    history: tuple[ClusterSnapshot, ...]
    failures: tuple[FailureRow, ...]
    """The latest 100."""
    candidates: tuple[CandidateRow, ...]
    """The latest 100 that targeted it."""
    absorbed: tuple[int, ...] = ()
    """Clusters that were merged into it."""
    resolution_rate: float = 0.0
    """Share of its failures that accepted edits have solved, 0.0 to 1.0."""
    is_one_off: bool = False
    """Seen once: kept apart until it recurs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """An eval case as it stands."""

    batch: int
    """Batch of its latest change."""
    made_batch: int
    case: EvalCase
    pass_rate: float | None = None
    """Share of passes over its measured runs; None before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One window of traffic."""

    n: int
    head_commit: str
    task_ids: tuple[str, ...]
    rollout_ids: tuple[str, ...]
    n_failures: int
    recorded_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One line of the narration."""

    seq: int
    kind: str
    candidate: int | None
    text: str
    recorded_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEventRow:
    """One span as a list shows it."""

    seq: int
    kind: SpanKind
    name: str
    is_error: bool
    preview: str
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewHit:
    """A span whose preview contains what was searched."""

    trace_sha: str
    seq: int
    preview: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedRow:
    """One commit of the campaign's branch."""

    position: int
    candidate: int
    commit: str
    title: str
    val_after: float | None
    recorded_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPoint:
    """All that was spent up to a step."""

    seq: int
    spend: Spend
    recorded_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCount:
    """How often a reason decided."""

    verdict: Verdict
    reason_code: ReasonCode
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBucket:
    """Val estimates of consecutive candidates, for a picture of all of them."""

    first_n: int
    last_n: int
    low: float
    high: float
    n_measured: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateFilter:
    """Which candidates to show; None does not restrict."""

    status: CandidateStatus | None = None
    reason_code: str | None = None
    cluster_id: int | None = None
    text: str | None = None
    """Part of the title or the reason, upper and lower case alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A window on a list ordered by number."""

    after: int | None = None
    """The number the window begins behind; None begins at the end it starts from."""
    limit: int = 100
    is_newest_first: bool = False
