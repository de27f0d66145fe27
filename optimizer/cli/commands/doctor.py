"""`hone doctor`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from optimizer.cli.exits import Exit
from optimizer.cli.options import with_folder, with_json, with_sandbox
from optimizer.cli.terminal import tell


@click.command()
@with_folder
@with_sandbox
@with_json
def command(folder: Path, sandbox: str | None, as_json: bool) -> None:  # noqa: FBT001 - click hands options over by name
    """Check everything a campaign needs before anything is spent: sandbox, git, harness, model, splits, budget.

    Exit code 0 when a campaign can start, 9 when something must be mended first. A real model is asked for one token.
    """
    from optimizer.cli.doctoring import examine
    from optimizer.cli.jsonable import print_json

    findings = examine(folder, sandbox=sandbox)
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            tell(f"  {finding.state:<4}  {finding.what:<12} {finding.detail}")
            if finding.remedy and finding.state != "ok":
                tell(f"        {'':<12} -> {finding.remedy}")
    if any(finding.state == "FAIL" for finding in findings):
        sys.exit(Exit.CHECK_FAILED)  # click swallows its own Exit where it is not in charge
