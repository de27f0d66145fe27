"""`hone calibrate`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_folder, with_json, with_sandbox
from optimizer.cli.terminal import tell


@click.command()
@click.option("--trials", type=click.IntRange(2, 50), default=4, show_default=True, help="Runs of each task.")
@click.option("--max-usd", type=click.FloatRange(min=0, min_open=True), help="Stop once that much is spent.")
@with_folder
@with_sandbox
@with_json
def command(*, trials: int, max_usd: float | None, folder: Path, sandbox: str | None, as_json: bool) -> None:
    """Run the committed harness against itself on train and val, and say what that noise hides.

    Prints the noise of a single run, the share of failing runs that pass when simply run again, flaky tasks, what val
    and targets can and cannot detect, and how often the gate accepts a candidate that changes nothing. Costs trials
    x tasks rollouts, recorded beside the replays; `hone estimate` uses the result. The test split stays sealed.
    """
    from optimizer.cli.calibrating import CalibrationPlan, calibrate, calibration_lines
    from optimizer.cli.compose import open_workplace
    from optimizer.cli.jsonable import print_json

    workplace = open_workplace(folder, sandbox=sandbox)
    found = calibrate(workplace, CalibrationPlan(n_trials=trials, max_usd=max_usd))
    if as_json:
        print_json(found)
        return
    for line in calibration_lines(found):
        tell(line)
