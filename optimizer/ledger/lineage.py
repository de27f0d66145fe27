"""The walk from a trace to a commit and back: trace, rollout, failure, cluster, case, candidate, decision, commit.

Every step is one query on an index, and a list is cut at a limit, so a walk costs the same in a large campaign.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from optimizer.ledger.lineage_items import Items
from optimizer.ledger.lineage_view import Choices, Lineage, LineageItem, LineageKind, LineageNode

Direction = Literal["origins", "outcomes"]
_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One kind of tie: from an item's key to the keys of others."""

    relation: str
    kind: LineageKind
    query: str
    """Keys, the most telling first; its one parameter is the item's key, its second the number of rows wanted."""
    is_end: bool = False
    """Whether the walk stops at the items found."""


_ORIGINS: Mapping[LineageKind, tuple[Step, ...]] = {
    "trace": (),
    "rollout": (
        Step(
            relation="recorded as",
            kind="trace",
            query="SELECT trace_sha FROM rollout WHERE id = ? AND trace_sha IS NOT NULL LIMIT ?",
        ),
        Step(
            relation="run on the harness of",
            kind="candidate",
            query="SELECT c.n FROM rollout r JOIN candidate c ON c.tree = r.tree WHERE r.id = ? LIMIT ?",
            is_end=True,
        ),
    ),
    "failure": (Step(relation="seen in", kind="rollout", query="SELECT rollout_id FROM failure WHERE id = ? LIMIT ?"),),
    "cluster": (
        Step(
            relation="absorbed",
            kind="cluster",
            query=(
                "SELECT DISTINCT id FROM cluster c WHERE parent = ?1 AND ?1 ="
                " (SELECT parent FROM cluster l WHERE l.id = c.id ORDER BY batch DESC, step DESC LIMIT 1)"
                " ORDER BY id LIMIT ?2"
            ),
        ),
        Step(
            relation="gathers",
            kind="failure",
            query=(
                "SELECT failure_id FROM cluster_member m JOIN failure f ON f.id = m.failure_id WHERE cluster_id = ?"
                " ORDER BY f.batch DESC, f.id LIMIT ?"
            ),
        ),
    ),
    "case": (
        Step(
            relation="made from",
            kind="failure",
            query="SELECT failure_id FROM eval_case WHERE id = ? ORDER BY batch, step LIMIT min(1, ?)",
        ),
        Step(
            relation="guards",
            kind="cluster",
            query="SELECT cluster_id FROM eval_case WHERE id = ? ORDER BY batch DESC, step DESC LIMIT min(1, ?)",
            is_end=True,
        ),
    ),
    "candidate": (
        Step(relation="made for", kind="cluster", query="SELECT cluster_id FROM proposal WHERE n = ? LIMIT ?"),
        Step(
            relation="built on",
            kind="candidate",
            query="SELECT parent_n FROM candidate WHERE n = ? AND parent_n IS NOT NULL LIMIT ?",
            is_end=True,
        ),
    ),
    "decision": (Step(relation="about", kind="candidate", query="SELECT n FROM proposal WHERE n = ? LIMIT ?"),),
    "commit": (
        Step(
            relation="admitted by", kind="decision", query="SELECT candidate FROM accepted WHERE commit_sha = ? LIMIT ?"
        ),
    ),
}
_OUTCOMES: Mapping[LineageKind, tuple[Step, ...]] = {
    "trace": (
        Step(
            relation="of",
            kind="rollout",
            query="SELECT id FROM rollout WHERE trace_sha = ? ORDER BY id LIMIT ?",
        ),
    ),
    "rollout": (
        Step(relation="shows", kind="failure", query="SELECT id FROM failure WHERE rollout_id = ? ORDER BY id LIMIT ?"),
    ),
    "failure": (
        Step(
            relation="member of",
            kind="cluster",
            query="SELECT cluster_id FROM cluster_member WHERE failure_id = ? ORDER BY cluster_id LIMIT ?",
        ),
        Step(
            relation="kept as",
            kind="case",
            query="SELECT DISTINCT id FROM eval_case WHERE failure_id = ? ORDER BY id LIMIT ?",
            is_end=True,
        ),
    ),
    "cluster": (
        Step(
            relation="merged into",
            kind="cluster",
            query=(
                "SELECT parent FROM (SELECT parent FROM cluster WHERE id = ? ORDER BY batch DESC, step DESC LIMIT 1)"
                " WHERE parent IS NOT NULL LIMIT ?"
            ),
        ),
        Step(
            relation="guarded by",
            kind="case",
            query="SELECT DISTINCT id FROM eval_case WHERE cluster_id = ? ORDER BY id LIMIT ?",
            is_end=True,
        ),
        Step(
            relation="tried by",
            kind="candidate",
            query=(
                "SELECT p.n FROM proposal p WHERE p.cluster_id = ?"
                " ORDER BY EXISTS (SELECT 1 FROM accepted a WHERE a.candidate = p.n) DESC, p.n DESC LIMIT ?"
            ),
        ),
    ),
    "case": (
        Step(
            relation="stands for",
            kind="cluster",
            query="SELECT cluster_id FROM eval_case WHERE id = ? ORDER BY batch DESC, step DESC LIMIT min(1, ?)",
        ),
        Step(
            relation="failed by",
            kind="candidate",
            query=(
                "SELECT DISTINCT t.candidate FROM task_result t WHERE t.task_id ="
                " (SELECT task_id FROM eval_case WHERE id = ? LIMIT 1)"
                " AND t.purpose = 'suite' AND NOT t.is_passed ORDER BY t.candidate DESC LIMIT ?"
            ),
        ),
    ),
    "candidate": (Step(relation="judged", kind="decision", query="SELECT n FROM proposal WHERE n = ? LIMIT ?"),),
    "decision": (
        Step(relation="kept as", kind="commit", query="SELECT commit_sha FROM accepted WHERE candidate = ? LIMIT ?"),
    ),
    "commit": (),
}
STEPS: Mapping[Direction, Mapping[LineageKind, tuple[Step, ...]]] = {"origins": _ORIGINS, "outcomes": _OUTCOMES}


class Walker:
    """Follows the ties of one item in one direction; an item that was told already is not followed again."""

    def __init__(self, database: sqlite3.Connection, items: Items, direction: Direction, limit: int) -> None:
        self._database = database
        self._items = items
        self._steps = STEPS[direction]
        self._limit = limit
        self._told: set[tuple[LineageKind, str]] = set()

    def follow(self, item: LineageItem, depth: int = 0) -> tuple[tuple[LineageNode, ...], int]:
        """What lies behind an item, and how many further items each list of its own was cut by."""
        if depth >= _MAX_DEPTH or (item.kind, item.id) in self._told:
            return (), 0
        self._told.add((item.kind, item.id))
        nodes: list[LineageNode] = []
        n_more = 0
        for step in self._steps[item.kind]:
            found, cut = self._tied(item, step)
            n_more += cut
            nodes += [self._node(each, step, depth) for each in found]
        return tuple(nodes), n_more

    def _node(self, item: LineageItem, step: Step, depth: int) -> LineageNode:
        children, n_more = ((), 0) if step.is_end else self.follow(item, depth + 1)
        return LineageNode(relation=step.relation, item=item, children=children, n_more=n_more)

    def _tied(self, item: LineageItem, step: Step) -> tuple[list[LineageItem], int]:
        key: int | str = int(item.id.removeprefix("k")) if item.kind in _NUMBERED else item.id
        keys = [row[0] for row in self._database.execute(step.query, (key, _COUNTED)).fetchall()]
        found = (self._items.find(step.kind, str(each)) for each in keys[: self._limit])
        return [each for each in found if each is not None], max(0, len(keys) - self._limit)


_NUMBERED = frozenset({"cluster", "candidate", "decision"})
_COUNTED = 1000
"""How far the further items of a list are counted."""


def choices(database: sqlite3.Connection, asked: str) -> Choices:
    """What an id, or the beginning of one, may mean."""
    return Choices(asked=asked, items=Items(database).named(asked))


def lineage_of(database: sqlite3.Connection, subject: LineageItem, limit: int) -> Lineage:
    """One item with all its origins and outcomes, each list cut at `limit` items."""
    items = Items(database)
    origins, n_more_origins = Walker(database, items, "origins", limit).follow(subject)
    outcomes, n_more_outcomes = Walker(database, items, "outcomes", limit).follow(subject)
    return Lineage(
        subject=subject,
        origins=origins,
        n_more_origins=n_more_origins,
        outcomes=outcomes,
        n_more_outcomes=n_more_outcomes,
    )
