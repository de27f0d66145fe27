"""`hone dataset`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell


@click.group(invoke_without_command=True)
@with_folder
@with_campaign
@with_json
@click.pass_context
def command(ctx: click.Context, folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Versions of the regression suite: immutable, hashed manifests of cases that can be shown, compared, exported.

    Without a verb they are listed, oldest first. VERSION is a hash, the beginning of one, a number such as 3, `latest`
    or, to compare with, `empty`.
    """
    if ctx.invoked_subcommand is not None:  # what is said before the verb holds for the verb
        ctx.default_map = {ctx.invoked_subcommand: {"folder": folder, "campaign": campaign, "as_json": as_json}}
        return
    from optimizer.cli.datasets import list_lines
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader

    with open_reader(folder, campaign) as reader:
        rows = reader.dataset_rows()
    if as_json:
        print_json(rows)
        return
    for line in list_lines(rows):
        tell(line)


@command.command()
@click.argument("version")
@with_folder
@with_campaign
@with_json
def show(version: str, folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001
    """One version with its cases as they stood when it was made."""
    from optimizer.cli.datasets import chosen, show_lines
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader

    with open_reader(folder, campaign) as reader:
        dataset = chosen(reader.dataset_rows(), version)
        cases = reader.dataset_cases(dataset)
    if as_json:
        print_json({"dataset": dataset, "cases": cases})
        return
    for line in show_lines(dataset, cases):
        tell(line)


@command.command()
@click.argument("older")
@click.argument("newer")
@with_folder
@with_campaign
@with_json
def diff(older: str, newer: str, folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001
    """What was added, removed and changed between two versions, with the reason of each."""
    from optimizer.cli.datasets import compared, diff_lines
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader

    with open_reader(folder, campaign) as reader:
        found = compared(reader, older, newer)
    if as_json:
        print_json(found)
        return
    for line in diff_lines(found):
        tell(line)


@command.command()
@click.argument("version")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, one case a line.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@with_folder
@with_campaign
def export(version: str, output: Path, force: bool, folder: Path, campaign: str | None) -> None:  # noqa: FBT001
    """Write the cases of a version with their origin as JSON lines; train tasks only.

    Quotations from traces are left out unless the version's cases went through redaction.
    """
    from optimizer.cli.datasets import chosen, write_export
    from optimizer.cli.reading import open_reader

    with open_reader(folder, campaign) as reader:
        dataset = chosen(reader.dataset_rows(), version)
        n_written, n_left_out = write_export(reader, dataset, output, is_forced=force)
    left_out = f"; {n_left_out} that are not known as train cases are left out" if n_left_out else ""
    click.echo(f"{n_written} cases of {dataset.version.id[:12]} in {output}{left_out}", err=True)
