"""`hone trace`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell
from optimizer.domain.errors import LedgerError


@click.command()
@click.argument("rollout")
@with_folder
@with_campaign
@with_json
def command(rollout: str, folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """One rollout, by its id, span by span: what the agent said and called, what came back, which checks failed."""
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader
    from optimizer.cli.render import one_line

    with open_reader(folder, campaign) as reader:
        found = reader.rollout(rollout)
        if found is None or found.trace_sha is None:
            raise LedgerError(f"there is no rollout {rollout!r} in this campaign; `hone clusters N` names some.")
        trace = reader.trace(found.trace_sha)
    if as_json:
        print_json({"rollout": found, "spans": trace.spans})
        return
    tell(f"{found.job.id}  {found.status}  task {found.job.task.id}  {found.job.purpose}/{found.job.trial}")
    for span in trace.spans:
        said = span.output if span.kind == "model_call" else f"{span.input} -> {span.output}"
        mark = "!" if span.is_error else " "
        tell(f"{mark}{span.index:>3} {span.kind:<11} {span.name:<18} {one_line(str(said), 100)}")
