"""The small values that cross this room's border; nothing of GitPython does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RefKind = Literal["accepted", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRef:
    """A commit as the loop needs to know it."""

    commit: str
    tree: str
    """Root tree of the repository."""
    harness_tree: str
    """Tree of the harness folder; equals `tree` when the harness is the whole repository."""
    committed_at: datetime
    """UTC; dates of candidate commits are counted from it so that equal inputs give equal ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """A harness tree and the root tree it sits in."""

    root: str
    harness: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessFiles:
    """What a harness tree holds."""

    files: Mapping[str, bytes]
    """Path relative to the harness folder, POSIX, -> exact bytes."""
    executable: frozenset[str]
    """Paths with the executable bit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateCommit:
    """A commit that a campaign of this repository left behind."""

    commit: str
    kind: RefKind
    campaign: str
    prerequisites: tuple[str, ...]
    """Accepted commits below it that are not on the user's branch, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PickResult:
    """What `pick` left on the user's branch."""

    branch: str
    commits: tuple[str, ...]
    """The new commits, in the order they were asked for."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHarness:
    """A harness folder that has just been made."""

    commit: str
    branch: str
    notes: tuple[str, ...]
    """Sentences for the person: a missing identity, a repository around the new one."""
