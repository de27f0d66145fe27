"""A lineage as a tree of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from optimizer.cli.render import one_line
from optimizer.ledger.lineage_view import Lineage, LineageItem, LineageNode

_TEXT_WIDTH = 96


def lineage_lines(lineage: Lineage) -> Iterator[str]:
    """The item, its origins above those of theirs, then its outcomes."""
    yield _told(lineage.subject)
    yield "  comes from"
    yield from _branches(lineage.origins, lineage.n_more_origins, "  ")
    yield "  led to"
    yield from _branches(lineage.outcomes, lineage.n_more_outcomes, "  ")


def _branches(nodes: Sequence[LineageNode], n_more: int, indent: str) -> Iterator[str]:
    if not nodes and not n_more and indent == "  ":
        yield "  └─ nothing recorded"
    for position, node in enumerate(nodes):
        is_last = position == len(nodes) - 1 and not n_more
        corner, rail = ("└─", "  ") if is_last else ("├─", "│ ")
        yield f"{indent}{corner} {node.relation} {_told(node.item)}"
        yield from _branches(node.children, node.n_more, f"{indent}{rail} ")
    if n_more:
        yield f"{indent}└─ and {n_more} more: --limit shows them"


def _told(item: LineageItem) -> str:
    when = "" if item.batch is None else f" (batch {item.batch})"
    return f"{item.kind} {item.id}{when}  {one_line(item.text, _TEXT_WIDTH)}"
