"""`hone replay`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_folder, with_json, with_sandbox
from optimizer.cli.terminal import tell


@click.command()
@click.argument("commits", nargs=-1)
@click.option("--split", type=click.Choice(["train", "val"]), default="val", show_default=True, help="Tasks to run.")
@click.option("--trials", type=click.IntRange(2), default=5, show_default=True, help="Rollouts of each task.")
@with_folder
@with_sandbox
@with_json
def command(
    commits: tuple[str, ...],
    split: str,
    trials: int,
    folder: Path,
    sandbox: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Estimate the true pass rate of COMMITS by fresh rollouts that no decision has seen.

    Default: the base of the campaign and the head of its branch. Replays cost what rollouts cost and are recorded
    apart from the campaign. The test split is sealed and cannot be replayed.
    """
    import anyio

    from optimizer.cli.compose import Watchers, open_workplace
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.progress import Narrator
    from optimizer.cli.replaying import replay
    from optimizer.cli.running import unwrapped
    from optimizer.domain.budget import BudgetLimits

    workplace = open_workplace(folder, sandbox=sandbox)
    head = workplace.repo.head().commit
    wanted = commits or (workplace.repo.base() or head, workplace.repo.trunk() or head)
    n_tasks = sum(task.split == split for task in workplace.benchmark.tasks())
    limits = BudgetLimits(rollouts=n_tasks * trials * len(wanted))
    narrator = Narrator(limits=limits, is_simulated=workplace.is_simulated)
    watchers = Watchers(note=narrator.note, rollout=narrator.rollout)
    with unwrapped():
        rates = anyio.run(
            lambda: replay(
                workplace, wanted, split="train" if split == "train" else "val", n_trials=trials, watchers=watchers
            )
        )
    narrator.close()
    if as_json:
        print_json(rates)
        return
    for rate in rates:
        simulated = " (simulated)" if rate.is_simulated else ""
        tell(
            f"{rate.commit[:10]}  {rate.split} {rate.mean:.3f} +- {rate.half_interval:.3f}{simulated}"
            f"  {rate.n_tasks} tasks x {rate.n_trials}  flips {rate.flip_rate:.2f}  ${rate.usd:.3f}"
        )
