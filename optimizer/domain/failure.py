"""Failures and the clusters they form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Signal = Literal["check_failed", "hard_error", "user_correction", "abandonment", "judge_fail", "business_metric"]
ClusterState = Literal["open", "targeted", "resolved", "reopened", "dormant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One defect seen in one rollout."""

    id: str
    """Content hash of (rollout, label, signature)."""
    rollout_id: str
    task_id: str
    tree: str
    """Harness tree that failed."""
    signal: Signal
    label: str
    """Taxonomy class, such as `tool_selection.hallucinated_tool`."""
    symptom: str
    """What was seen, one line."""
    cause: str
    """Presumed root cause, one line; the detector's or the diagnosing model's."""
    evidence: str
    """Verbatim quotation from the span."""
    span: int | None
    """Index of the first decisive span; None when the trace does not show it."""
    severity: float
    """0.0 (cosmetic) to 1.0 (harm done)."""
    signature: str
    """Masked form of the cause, by which failures are grouped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Failures presumed to share one root cause, as it stands after a batch."""

    id: int
    """1, 2, ...; stable for the life of the campaign."""
    label: str
    signature: str
    name: str
    """Short human name."""
    state: ClusterState
    n_failures: int
    """All failures ever assigned to it."""
    n_attempts: int
    """Candidates that targeted it."""
    n_fruitless: int
    """Attempts since the last accepted one."""
    failing_tasks: tuple[str, ...]
    """Train tasks whose latest mining run failed this way, most recent first."""
    severity: float
    """Mean over its failures, 0.0 to 1.0."""
    last_seen_batch: int
    dormant_until_batch: int | None = None
    """Set aside until this batch; None when it is not dormant."""

    @property
    def priority(self) -> float:
        """Recurrence x severity; only clusters with failing tasks have any."""
        return len(self.failing_tasks) * self.severity
