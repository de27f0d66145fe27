"""`hone demo`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_json

DEFAULT_SEED = 7


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="New folder for the harness; default: hone-demo.")
@click.option("--seed", type=click.IntRange(0), default=DEFAULT_SEED, show_default=True, help="Seed of the campaign.")
@click.option("--trials", type=click.IntRange(0), default=0, help="Also replay base and head that often on val.")
@with_json
def command(folder: Path | None, seed: int, trials: int, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Run a whole campaign offline: bundled benchmark `helpdesk`, SIMULATED model, no key, a few minutes.

    Tells the story on stderr and ends with one JSON object as the last line of stdout.
    """
    from optimizer.cli.demonstration import demonstrate

    demonstrate(folder or _free_folder(), seed=seed, n_trials=trials, is_quiet=as_json)


def _free_folder() -> Path:
    """hone-demo, or the next free name beside it."""
    names = (Path("hone-demo" if n == 1 else f"hone-demo-{n}") for n in range(1, 10_000))
    return next(path for path in names if not path.exists())
