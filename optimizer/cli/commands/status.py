"""`hone status`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell


@click.command()
@with_folder
@with_campaign
@with_json
def command(folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001 - click hands options over by name
    """Where a campaign stands: state, estimates, candidates, clusters, spending. Works while it runs and after."""
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader
    from optimizer.cli.render import status_lines

    with open_reader(folder, campaign) as reader:
        status = reader.status()
    if as_json:
        print_json(status)
        return
    for line in status_lines(status):
        tell(line)
