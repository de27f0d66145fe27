"""`hone pick`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import Numbered, with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell
from optimizer.domain.errors import LedgerError


@click.command()
@click.argument("candidates", type=Numbered("#"), nargs=-1, required=True)
@click.option("--onto", metavar="BRANCH", help="Branch that must be checked out; default: the one that is.")
@click.option("--force", is_flag=True, help="Also pick commits that change .gitattributes or .gitmodules.")
@with_folder
@with_campaign
@with_json
def command(
    candidates: tuple[int, ...],
    onto: str | None,
    force: bool,  # noqa: FBT001 - click hands options over by name
    folder: Path,
    campaign: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Cherry-pick candidates, by number, onto your branch with `git cherry-pick -x`.

    Needs a clean work tree. On a conflict everything is put back. A rejected candidate may be picked too: it never
    passed the gate, and that is said.
    """
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader
    from optimizer.repo.harness import HarnessRepo

    commits = []
    with open_reader(folder, campaign) as reader:
        name = reader.header().campaign
        for n in candidates:
            detail = reader.candidate(n)
            if detail is None or detail.row.commit is None:
                raise LedgerError(f"there is no commit for candidate {n} in campaign {name!r}; `hone log` lists them.")
            commits.append((n, detail.accepted_commit))
    repo = HarnessRepo.open(folder, campaign=name)
    rejected = repo.rejected()
    undecided = [n for n, commit in commits if commit is None and n not in rejected]
    if undecided:
        raise LedgerError(f"candidate {undecided[0]} is not decided yet; `hone resume` goes on measuring it.")
    result = repo.pick([commit or rejected[n] for n, commit in commits], onto=onto, is_forced=force)
    for warning in result.warnings:
        click.echo(f"note: {warning}", err=True)
    if as_json:
        print_json(result)
        return
    for n, commit in zip(candidates, result.commits, strict=True):
        tell(f"candidate {n} is {commit[:10]} on {result.branch}")
