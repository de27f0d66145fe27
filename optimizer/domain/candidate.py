"""Proposed harness edits and what was decided about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizer.domain.trace import Usage

Rung = Literal["prompt", "tool", "context", "control_flow", "fine_tune"]
Verdict = Literal["accept", "reject", "inconclusive"]
ReasonCode = Literal[
    "target",
    "broad",  # accepted by this route
    "scope",
    "apply",
    "dup",
    "syntax",
    "empty",
    "size",  # refused before anything was paid
    "crash",
    "smoke",
    "noise",
    "suite",
    "val",
    "cost",
    "time",
    "contract",  # measured and rejected (`contract` also inconclusive, where a bound could not be measured)
    "infra",
    "stop",  # inconclusive
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEdit:
    """New content of one file of the harness, or its removal."""

    path: str
    """Relative, POSIX."""
    content: bytes | None
    """None deletes the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a proposer hands in."""

    title: str
    """Commit subject, at most 72 characters."""
    hypothesis: str
    """Why this should help, for the commit body."""
    edits: tuple[FileEdit, ...]
    target_tasks: tuple[str, ...]
    """Train tasks the edit claims to fix, at most 6."""
    rung: Rung
    proposer: str
    """`playbook/confirm-before-write`, `model/claude-...`."""
    predicted_fixes: str = ""
    predicted_risks: str = ""
    usage: Usage = Usage()
    """What the proposal itself cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A proposal that has become a commit."""

    n: int
    """1, 2, ... in the order of the campaign."""
    parent: str
    """Commit the edit was made on."""
    commit: str
    tree: str
    """Unique within a campaign: a tree is judged once."""
    cluster_id: int
    batch: int
    proposal: Proposal
    diff: str
    """Unified diff against the parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheck:
    """One comparison a decision rests on, whether or not it decided."""

    name: str
    value: float | None
    op: Literal["<", "<=", ">", ">=", "=="]
    threshold: float
    is_passed: bool | None
    """None when it was not reached."""
    note: str
    """The numbers in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Verdict, every number behind it, and one sentence of reason."""

    candidate: int
    verdict: Verdict
    reason_code: ReasonCode
    reason: str
    """One sentence with the numbers; commit trailers, CLI and explorer print exactly this."""
    checks: tuple[GateCheck, ...]
    val_before: float | None
    """Pooled trunk estimate before, 0.0 to 1.0: an internal estimate, never the result."""
    val_after: float | None
    """Shrunk estimate for the candidate."""
    val_interval: tuple[float, float] | None
    """95 % interval of the difference."""
    fixed: tuple[str, ...]
    """Tasks that fail on the trunk's record and pass on the candidate."""
    broken: tuple[str, ...]
    n_rollouts: int
    usage: Usage
