"""Tasks kept for ever as checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CaseState = Literal["candidate", "verified", "active", "quarantined", "retired"]
Layer = Literal["deterministic", "semantic", "behavioural"]
"""`deterministic`: a named check in code; `semantic`: a rubric and a calibrated judge; `behavioural`: a whole task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was done to believe a case; every part must hold before it is `verified`."""

    n_failing: int = 0
    """Runs that failed its check on the harness that failed."""
    n_failing_runs: int = 0
    """Measured runs on that harness."""
    known_good: str = ""
    """Rollout that its check accepts, or `gold`; '' when none is known yet."""
    nearest_case: str = ""
    """Most similar earlier case; '' when there is none."""
    similarity: float = 0.0
    """Jaccard similarity to it, 0.0 to 1.0."""
    leak: str = ""
    """Text it shares with val or test, verbatim; '' when there is none."""
    overridden_by: str = ""
    """Person who admitted it in spite of a finding; '' when nobody had to."""


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
    layer: Layer = "behavioural"
    weight: float = 1.0
    """How much it counts in the suite, above 0."""
    slices: tuple[str, ...] = ()
    synthetic_of: str | None = None
    """Case of which this is a made-up variation; None for one that really happened."""
    prefix: int | None = None
    """Spans of the failed rollout that suffice to show the failure; None when not reduced."""
    verification: Verification = Verification()

    @property
    def pass_rate(self) -> float | None:
        """Share of passes over its measured runs; None before the first."""
        return self.n_passes / self.n_runs if self.n_runs else None
