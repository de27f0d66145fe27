"""`hone review`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from optimizer.cli.options import with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell
from optimizer.domain.errors import ConfigError, LedgerError


@click.command()
@click.argument("item", metavar="[ID]", required=False)
@click.option("--yes", "answer", flag_value="yes", help="Answer yes.")
@click.option("--no", "answer", flag_value="no", help="Answer no.")
@click.option("--answer", "answer", metavar="X", help="Answer with one of the options that the question has.")
@click.option("--note", default="", help="Why; kept with the answer.")
@click.option(
    "--all", "with_settled", is_flag=True, help="Also questions that are answered, by a person or by default."
)
@with_folder
@with_campaign
@with_json
def command(  # noqa: PLR0913, PLR0917 - one parameter per option
    item: str | None,
    answer: str | None,
    note: str,
    with_settled: bool,  # noqa: FBT001 - click hands options over by name
    folder: Path,
    campaign: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Questions the campaign leaves to a person: merges of clusters, labels, eval cases, conflicts between judges.

    Without ID the open ones are listed; with ID one is shown; with an answer it is answered. A running campaign takes
    the answer between two steps, a stopped one when it is resumed. `[review] mode` says which questions wait.
    """
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.reading import open_reader
    from optimizer.cli.review_queue import item_lines, person, queue_lines, queue_of, send_answer

    if answer is not None and item is None:
        raise ConfigError("an answer needs the ID of a question: `hone review` lists those that are open")
    with open_reader(folder, campaign) as reader:
        queue = queue_of(reader, with_settled=with_settled, item=item)
        status = reader.status()
    if item is not None and not queue:
        raise LedgerError(f"there is no question {item!r} in this campaign; `hone review --all` lists them.")
    if item is None or answer is None:
        _show(queue, queue_lines(queue) if item is None else item_lines(queue[0]), is_one=bool(item), as_json=as_json)
        return
    sent = send_answer(reader.folder, queue[0].row, answer, note=note, who=person())
    is_alive = status.state in {"running", "stale"}
    when = "between two steps" if is_alive else "when `hone resume` goes on: no session is alive now"
    if as_json:
        print_json({"message": sent, "item": queue[0].row, "is_runner_alive": is_alive})
        return
    tell(f"{answer}: {queue[0].row.item.question}")
    click.echo(f"noted as message {sent.id[:8]}; the campaign takes it {when}", err=True)


def _show(queue: Sequence[object], lines: Iterable[str], *, is_one: bool, as_json: bool) -> None:
    from optimizer.cli.jsonable import print_json

    if as_json:
        print_json(queue[0] if is_one else queue)
        return
    for line in lines:
        tell(line)
