"""`hone judge`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell


@click.group()
def command() -> None:
    """A model that judges runs by a rubric: compare it with people, and see whether it may decide.

    A judge decides about nothing until it agrees with enough labelled runs; the limits are in [judge] of campaign.toml.
    """


@command.command("calibrate")
@click.option(
    "--examples", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSONL of labelled runs."
)
@click.option("--probe", is_flag=True, help="Also judge up to 20 runs with verdicts swapped, and with padded words.")
@with_folder
@with_campaign
@with_json
def calibrate_command(
    *,
    examples: Path,
    probe: bool,
    folder: Path,
    campaign: str | None,
    as_json: bool,
) -> None:
    """Let the judge judge labelled runs, and keep how far it agrees. The judging model is paid for.

    One JSON object per line: {"rollout": ID, "label": "pass"} for a rollout of a campaign, or
    {"transcript": [{"role": "user", "content": "..."}], "label": "fail"}.
    """
    import anyio

    from optimizer.cli.judging import calibrated

    async def ask() -> None:
        _print(await calibrated(folder, examples, campaign, probes=probe), as_json=as_json)

    anyio.run(ask)


@command.command("show")
@with_folder
@with_json
def show_command(*, folder: Path, as_json: bool) -> None:
    """Whether the judge may decide, why not, its calibrations and their drift. Nothing is asked or spent."""
    from datetime import UTC, datetime

    from optimizer.cli.judging import standing

    _print(standing(folder, now=datetime.now(UTC)), as_json=as_json)


def _print(standing: object, *, as_json: bool) -> None:
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.judge_lines import standing_json, standing_lines
    from optimizer.cli.judging import Standing

    assert isinstance(standing, Standing)
    if as_json:
        print_json(standing_json(standing))
        return
    for line in standing_lines(standing):
        tell(line)
