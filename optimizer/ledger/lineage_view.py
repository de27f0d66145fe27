"""Where something comes from and what became of it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LineageKind = Literal["trace", "rollout", "failure", "cluster", "case", "candidate", "decision", "commit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageItem:
    """One thing on the way from a trace to a commit."""

    kind: LineageKind
    id: str
    """`k12` of a cluster, the number of a candidate or its decision, else the whole id or hash."""
    text: str
    """One line about it."""
    batch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNode:
    """An item, how it is tied to the one above it, and what lies behind it in the same direction."""

    relation: str
    """`seen in`, `member of`, `merged into`, ..."""
    item: LineageItem
    children: tuple[LineageNode, ...] = ()
    n_more: int = 0
    """Further children that are not listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """One thing with all its origins and all its outcomes."""

    subject: LineageItem
    origins: tuple[LineageNode, ...]
    """Backwards, towards the trace."""
    n_more_origins: int
    outcomes: tuple[LineageNode, ...]
    """Forwards, towards the commit."""
    n_more_outcomes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an id may mean: nothing, one thing, or several."""

    asked: str
    items: tuple[LineageItem, ...]
