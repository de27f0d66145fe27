"""`hone clusters`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import Numbered, with_campaign, with_folder, with_json
from optimizer.cli.terminal import tell
from optimizer.domain.errors import LedgerError


@click.command()
@click.argument("cluster", type=Numbered("k"), required=False)
@with_folder
@with_campaign
@with_json
def command(cluster: int | None, folder: Path, campaign: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """All failure clusters, the most pressing first; or one, 3 or k3, with its life and evidence.

    `solved` is the share of its failures that accepted edits have solved. A cluster that was merged into another keeps
    its number and history.
    """
    from optimizer.cli.jsonable import cluster_json, print_json
    from optimizer.cli.reading import open_reader
    from optimizer.cli.render import cluster_detail_lines, cluster_lines

    with open_reader(folder, campaign) as reader:
        clusters = reader.clusters()
        detail = None if cluster is None else reader.cluster(cluster)
    if cluster is not None and detail is None:
        raise LedgerError(f"there is no cluster {cluster} in this campaign; `hone clusters` lists them.")
    if as_json:
        print_json(detail or [cluster_json(each) for each in clusters])
        return
    for line in cluster_lines(clusters) if detail is None else cluster_detail_lines(detail):
        tell(line)
