"""`hone suite`."""

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
    """The regression suite: active cases, and the eval cases that wait to join it, with their pass rates."""
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader
    from optimizer.cli.render import suite_lines

    with open_reader(folder, campaign) as reader:
        rows = reader.suite()
    if as_json:
        print_json(rows)
        return
    for line in suite_lines(rows):
        tell(line)
