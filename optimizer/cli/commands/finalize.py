"""`hone finalize`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_folder, with_json, with_sandbox
from optimizer.cli.terminal import tell


@click.command()
@click.option("--trials", type=click.IntRange(1, 20), help="Runs of each task with each version.  [default: 3]")
@click.option("--max-usd", type=click.FloatRange(min=0), help="Spend at most this, apart from what [budget] has left.")
@click.option("--again", is_flag=True, help="Run a split that is spent; the result is labelled.")
@click.option("--yes", is_flag=True, help="Do not ask before spending.")
@with_folder
@with_sandbox
@with_json
def command(  # noqa: PLR0913 - click hands options over by name
    *,
    trials: int | None,
    max_usd: float | None,
    again: bool,
    yes: bool,
    folder: Path,
    sandbox: str | None,
    as_json: bool,
) -> None:
    """Compare baseline and head of the campaign on the sealed test split, once, and record the result.

    Prints the difference with a 95 % interval that counts groups of tasks, a table by slice, and what it cost. From
    then on the split is spent: the same comparison is printed again for nothing, any other needs --again and says so.
    """
    import sys

    from optimizer.cli.compose import open_workplace
    from optimizer.cli.final_lines import final_lines
    from optimizer.cli.final_run import announce, conduct
    from optimizer.cli.finalizing import plan_final
    from optimizer.cli.jsonable import print_json

    workplace = open_workplace(folder, sandbox=sandbox)
    plan = plan_final(workplace, n_trials=trials, max_usd=max_usd, is_again=again)
    if plan.result is None:
        click.echo(announce(plan), err=True)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("nobody is there to be asked; say --yes to spend it")
            if not click.confirm("go on?", err=True):
                raise click.ClickException("nothing was spent; the test split stays as it was")
    result = conduct(workplace, plan)
    if as_json:
        print_json({"seal": plan.seal, "result": result})
        return
    for line in final_lines(plan.seal, result):
        tell(line)
