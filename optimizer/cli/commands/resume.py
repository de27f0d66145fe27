"""`hone resume`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_folder, with_json, with_sandbox


@click.command()
@with_folder
@with_sandbox
@with_json
def command(folder: Path, sandbox: str | None, as_json: bool) -> None:  # noqa: FBT001 - click hands options over by name
    """Go on with a campaign that was stopped, killed or ran out of budget.

    What is in the ledger is not done again and not paid for again. [budget] and [loop] concurrency may have changed in
    campaign.toml since; other settings may not.
    """
    from optimizer.cli.compose import open_ledger, open_workplace
    from optimizer.cli.running import conduct

    workplace = open_workplace(folder, sandbox=sandbox)
    conduct(workplace, open_ledger(workplace), as_json=as_json)
