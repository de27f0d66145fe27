"""`hone mine`."""

from __future__ import annotations

from pathlib import Path

import click

from optimizer.cli.options import with_json
from optimizer.cli.terminal import tell


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write failures, clusters and cases to this folder.")
@click.option("--key", type=click.Path(path_type=Path), help="Redaction key file; made when missing.")
@click.option("--no-redact", is_flag=True, help="Leave personal values as they are, on the screen and in files.")
@click.option("--strict", is_flag=True, help="Stop at the first record that cannot be read.")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="Clusters shown.")
@with_json
def command(  # noqa: PLR0913 - one argument per option
    *, path: Path, out: Path | None, key: Path | None, no_redact: bool, strict: bool, top: int, as_json: bool
) -> None:
    """Find what goes wrong in a file or folder of traces: no campaign, no key, no network.

    Reads hone's own traces, OpenAI-style message logs, items of the responses API, tau-bench and tau2 results and OTLP
    JSON Lines, each recognised by itself. Prints failure clusters, the most harmful first, each with its first decisive
    step quoted.

    Personal values become pseudonyms, the same within one run; with --key FILE (or .hone/redaction.key in this folder)
    the same from run to run. Names that occur in free text only are not recognised: look before you share.
    """
    from optimizer.cli.jsonable import print_json
    from optimizer.cli.mine_report import check_free, report_json, report_lines, write_files
    from optimizer.cli.mined import mine
    from optimizer.cli.mining_progress import Ticker
    from optimizer.domain.errors import ConfigError
    from optimizer.telemetry.importing import import_runs
    from optimizer.telemetry.redact import Redactor

    if out is not None:
        check_free(out)
    redactor = None if no_redact else Redactor(_key(key))
    ticker = Ticker()
    mined = mine(import_runs(path), redactor=redactor, is_strict=strict, progress=ticker.tick)
    ticker.close()
    if out is not None:
        write_files(out, mined, redactor)
    if as_json:
        print_json(report_json(mined, redactor))
    else:
        for line in report_lines(mined, top):
            tell(line)
    if not mined.counts.runs:
        raise ConfigError(f"no trace could be read in {path}: see `hone mine --help` for the formats.")


def _key(path: Path | None) -> bytes:
    """The key that was named, else the one of this folder's campaigns, else one for this run alone."""
    from optimizer.cli.reading import STATE
    from optimizer.telemetry.pseudonyms import fresh_key, project_key

    if path is not None:
        return project_key(path)
    return project_key(Path(STATE) / "redaction.key") if Path(STATE).is_dir() else fresh_key()
