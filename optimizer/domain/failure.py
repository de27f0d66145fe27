"""Failures and the clusters they form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizer.domain.candidate import Rung

Signal = Literal["check_failed", "hard_error", "user_correction", "abandonment", "judge_fail", "business_metric"]
ClusterState = Literal["open", "targeted", "resolved", "reopened", "dormant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureContext:
    """What stood before the agent when it went wrong."""

    n_messages: int = 0
    """User turns and tool results up to the decisive span."""
    n_tool_calls: int = 0
    n_prompt_tokens: int = 0
    """Input tokens of the last model call before the decisive span; 0 when none was metered."""
    tools: tuple[str, ...] = ()
    """Names of the tools that were offered, in their order."""


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
    check: str = ""
    """Named check of the benchmark that failed; '' when a detector alone saw it."""
    expected: str = ""
    """What the agent should have done, one line."""
    context: FailureContext = FailureContext()
    rung: Rung = "prompt"
    """Cheapest rung of the improvement ladder that may mend it."""
    diagnosed_by: str = "detectors"
    """`detectors`, `model/<name>` or `person`."""


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
    parent: int | None = None
    """Cluster that this one was merged into; its own id and history stay. None while it stands alone."""
    weight: float = 0.0
    """Sum of severity x signal weight over its failures, each halved every half-life since it was seen."""
    n_resolved: int = 0
    """Failures whose task was found solved after an accepted edit for this cluster."""
    resolved_by: int | None = None
    """Candidate whose acceptance resolved it last."""
    reopened_since: str | None = None
    """Accepted commit under which it was seen again; None when it never was."""

    @property
    def is_one_off(self) -> bool:
        """Seen once: kept apart until it recurs."""
        return self.n_failures < 2

    @property
    def resolution_rate(self) -> float:
        """Share of all its failures that an accepted edit has solved, 0.0 to 1.0."""
        return self.n_resolved / self.n_failures if self.n_failures else 0.0

    @property
    def priority(self) -> float:
        """Recurrence x severity; only clusters with failing tasks have any."""
        return len(self.failing_tasks) * self.severity
