"""`hone init`."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from optimizer.cli.terminal import tell


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Campaign name; default: the folder's name.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the campaign.")
def command(folder: Path, name: str | None, seed: int | None) -> None:
    """Make FOLDER: a small working agent, its contract (HARNESS.md) and a campaign.toml to edit.

    The folder becomes a git repository of its own with one commit.
    """
    from optimizer.cli.starting import start_harness

    made = start_harness(folder, name=name, seed=seed)
    for note in made.notes:
        click.echo(f"note: {note}", err=True)
    tell(f"{folder} is ready: agent.py, tools.py, context.py, prompts/, HARNESS.md, campaign.toml")
    tell(f"next: cd {shlex.quote(str(folder))} && hone doctor && hone estimate && hone run")
