"""`hone run`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_folder, with_json, with_sandbox


@click.command()
@with_folder
@with_sandbox
@with_json
def command(folder: Path, sandbox: str | None, as_json: bool) -> None:  # noqa: FBT001 - click hands options over by name
    """Start a campaign at the commit that is checked out, and run it until a budget ends it.

    The harness folder must be clean. Accepted commits go to the branch hone/<campaign>, rejected ones to
    refs/hone/<campaign>/rejected/. Your branch and files are not touched. Ctrl-C is safe: `hone resume` goes on.
    """
    from optimizer.cli.compose import open_workplace
    from optimizer.cli.running import conduct, require_ready
    from optimizer.cli.session import begin

    workplace = open_workplace(folder, sandbox=sandbox)
    if not (workplace.ledger_folder / "ledger.sqlite").exists():
        require_ready(workplace)
    conduct(workplace, begin(workplace), as_json=as_json)
