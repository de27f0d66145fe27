"""What the ledger keeps beside the nouns of the domain: answers of proposers, single results, estimates, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizer.domain.candidate import Proposal
from optimizer.domain.rollout import Purpose
from optimizer.domain.task import Split
from optimizer.domain.trace import Usage

SessionEnd = Literal["finished", "interrupted", "failed"]
"""How a session ended by itself: the campaign is over, a person stopped it, an error stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a proposer handed in nothing that could be tried."""

    code: str
    """Short reason, a `ReasonCode` where one fits."""
    reason: str
    """One sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecord:
    """What a proposer answered when candidate `n` was asked for; found again on resume, it is not paid for twice."""

    n: int
    """Number of the candidate it was to become; numbers of refused ones are not reused."""
    batch: int
    cluster_id: int
    proposal: Proposal | None
    """None when there was nothing; then `refusal` says why."""
    refusal: Refusal | None = None
    usage: Usage = Usage()
    """What asking cost."""

    def __post_init__(self) -> None:
        """There is a proposal, or a reason for its absence."""
        if self.proposal is None and self.refusal is None:
            message = f"proposal {self.n} has neither edits nor a refusal"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One measured rollout of a candidate beside what the trunk did on the same task."""

    split: Split
    task_id: str
    purpose: Purpose
    trial: int
    is_passed: bool
    base_passed: bool | None
    """Outcome of the trunk it was paired with; None when there is no such rollout."""
    rollout_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkEstimate:
    """Internal estimate of the trunk's val pass rate at one point of the campaign; selected on, so never the result."""

    seq: int
    """The loop's deterministic counter; 0 is the baseline."""
    batch: int
    commit: str
    candidate: int | None
    """The accepted candidate that made this trunk; None for the base."""
    value: float
    """0.0 to 1.0."""
    low: float | None
    """95 % interval; None where none is computed."""
    high: float | None
    n_tasks: int
    n_rollouts: int
