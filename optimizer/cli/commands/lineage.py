"""`hone lineage`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from optimizer.cli.options import with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell
from optimizer.domain.errors import HoneError, LedgerError

WOULD_BE = (
    "An id is: a rollout, failure or case id (16 hex digits), a trace (32), a commit (40), or the first four digits"
    " and more of one; k12 for a cluster, 12 for a candidate; or kind:id, as in cluster:12. `hone log`,"
    " `hone clusters N` and `hone suite` show some."
)


@click.command()
@click.argument("item", metavar="ID")
@click.option(
    "-n", "--limit", default=5, show_default=True, type=click.IntRange(1, 1000), help="Items of a list shown."
)
@with_folder
@with_campaign
@with_json
def command(item: str, limit: int, folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Where something comes from and what became of it, both ways along the chain of evidence.

    trace - rollout - failure - cluster (with its merges) - eval case - candidate - decision - commit. ID names any of
    these: a rollout, failure, case, trace or commit by its id or the beginning of it, k12 is a cluster, 12 a candidate.
    """
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.lineage_tree import lineage_lines
    from optimizer.cli.reading import open_reader
    from optimizer.ledger.lineage_view import Choices

    with open_reader(folder, campaign) as reader:
        found = reader.choices(item)
        if not found.items:
            n = _candidate_of_commit(folder, reader.header().campaign, item)
            found = found if n is None else Choices(asked=item, items=reader.choices(f"candidate:{n}").items)
        if len(found.items) != 1:
            raise LedgerError(_not_one(found))
        lineage = reader.lineage(found.items[0], limit)
    if as_json:
        print_json(lineage)
        return
    for line in lineage_lines(lineage):
        tell(line)


def _not_one(found: object) -> str:
    from optimizer.cli.render import one_line
    from optimizer.ledger.lineage_view import Choices

    assert isinstance(found, Choices)
    if not found.items:
        return f"{found.asked!r} is nothing in this campaign. {WOULD_BE}"
    listed = "\n".join(f"  {each.kind}:{each.id}  {one_line(each.text, 70)}" for each in found.items)
    return f"{found.asked!r} may mean several things; name one:\n{listed}"


def _candidate_of_commit(folder: Path, campaign: str, item: str) -> int | None:
    """The candidate that a commit outside the ledger tells of: one set aside, or one picked onto a branch."""
    from optimizer.repo.harness import HarnessRepo
    from optimizer.repo.trailers import parse_trailers

    if not re.fullmatch(r"[0-9a-fA-F]{4,64}", item):
        return None
    try:
        trailers = parse_trailers(HarnessRepo.open(folder, campaign=campaign).message(item))
    except HoneError:
        return None
    n = trailers.get("Hone-Candidate", "")
    return int(n) if trailers.get("Hone-Campaign") == campaign and n.isdigit() else None
