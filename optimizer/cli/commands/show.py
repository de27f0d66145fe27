"""`hone show`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import Numbered, with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell
from optimizer.domain.errors import LedgerError


@click.command()
@click.argument("candidate", type=Numbered("#"))
@with_folder
@with_campaign
@with_json
def command(candidate: int, folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """One candidate, by its number: why it was proposed, the gate's arithmetic, what it fixed and broke, its diff."""
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader
    from optimizer.cli.render import detail_lines, sandbox_text

    with open_reader(folder, campaign) as reader:
        detail = reader.candidate(candidate)
        levels = reader.status().sandbox_levels
    if detail is None:
        raise LedgerError(f"there is no candidate {candidate} in this campaign; `hone log` lists them.")
    if as_json:
        print_json(detail)
        return
    for line in detail_lines(detail):
        tell(line)
    if levels:
        tell(f"\nsandbox   {sandbox_text(levels)}")
