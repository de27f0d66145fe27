"""`hone log`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell


@click.command()
@with_folder
@with_campaign
@with_json
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1), help="Newest candidates shown.")
@click.option("--accepted", "only_accepted", is_flag=True, help="Accepted candidates only.")
def command(
    folder: Path,
    campaign: str | None,
    as_json: bool,  # noqa: FBT001 - click hands options over by name
    limit: int,
    only_accepted: bool,  # noqa: FBT001
) -> None:
    """Every candidate, newest first: + accepted, x rejected, ~ inconclusive, ! refused before it cost anything.

    Columns: number, cluster, believed effect on validation in points, title, and why it was decided so.
    """
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader
    from optimizer.cli.render import log_lines
    from optimizer.ledger.views import CandidateFilter, Page

    wanted = CandidateFilter(status="accept") if only_accepted else CandidateFilter()
    with open_reader(folder, campaign) as reader:
        rows = reader.candidates(wanted, Page(limit=limit, is_newest_first=True))
    if as_json:
        print_json(rows)
        return
    for line in log_lines(rows):
        tell(line)
