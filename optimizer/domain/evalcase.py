"""Tasks kept for ever as checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CaseState = Literal["candidate", "verified", "active", "quarantined", "retired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalCase:
    """A train task that once failed, kept as a check with its origin. Never edited, only superseded."""

    id: str
    """Content hash of (task, cluster)."""
    task_id: str
    cluster_id: int
    failure_id: str
    rollout_id: str
    """The rollout whose trace shows the failure."""
    check: str
    """Named check that failed there."""
    state: CaseState
    n_runs: int = 0
    """Measured runs on accepted versions since it was made."""
    n_passes: int = 0
    note: str = ""
    """Why it is in this state."""

    @property
    def pass_rate(self) -> float | None:
        """Share of passes over its measured runs; None before the first."""
        return self.n_passes / self.n_runs if self.n_runs else None
