"""`hone estimate`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_folder, with_json
from optimizer.cli.terminal import tell


@click.command()
@click.option("--probe", type=click.IntRange(0, 50), help="Measure a rollout on that many train tasks first. [sim: 10]")
@with_folder
@with_json
def command(probe: int | None, folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click hands options over by name
    """Say what a campaign may take - rollouts, tokens, USD, hours - before spending.

    Without --probe nothing is spent, and one rollout is what `hone calibrate` measured, or else assumed; with --probe
    N, N rollouts are run and paid for.
    The simulated model costs nothing, so it is probed by default.
    """
    from optimizer.cli.calibrating import detection_lines, known_calibration
    from optimizer.cli.compose import open_workplace
    from optimizer.cli.estimating import ASSUMED, estimate, measured_by
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.probing import probe_rollouts

    workplace = open_workplace(folder)
    known = known_calibration(workplace) if probe is None else None
    n = probe if probe is not None else (10 if workplace.is_simulated and known is None else 0)
    assumed = ASSUMED if known is None else measured_by(known)
    detects = () if known is None else tuple(detection_lines(known))
    result = estimate(workplace, probe_rollouts(workplace, n) if n else assumed, detects=detects)
    if as_json:
        print_json(result)
        return
    each = result.per_rollout
    dollars = "simulated $" if result.is_simulated else "$"
    usd = "unknown price" if result.typical_usd is None else f"{dollars}{result.typical_usd:.2f}"
    most = "no USD limit" if result.most_usd is None else f"never more than {dollars}{result.most_usd:.2f}"
    tell(f"  one rollout  {each.input_tokens + each.output_tokens:,.0f} tokens, {each.wall_s:.2f} s ({each.source})")
    tell(f"  candidates   about {result.n_candidates}; the {result.first_limit} budget is expected to end it")
    tell(f"  rollouts     about {result.typical_rollouts:,}, at most {result.most_rollouts:,}")
    tell(f"  tokens       about {result.typical_tokens:,}")
    tell(f"  money        about {usd}; {most}")
    tell(f"  time         about {result.typical_hours:.2f} h at concurrency {workplace.settings.loop.concurrency}")
    for line in result.detects:
        tell(f"  {line}")
