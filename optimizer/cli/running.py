"""Run a session in the foreground: narration on stderr, the result on stdout."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from optimizer.cli.compose import Workplace, sandbox_of
from optimizer.cli.jsonable import print_json
from optimizer.cli.progress import Narrator
from optimizer.cli.render import status_lines
from optimizer.cli.session import work
from optimizer.cli.summary import summary_of
from optimizer.cli.terminal import tell
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader


def require_ready(workplace: Workplace) -> None:
    """Open the sandbox and the model's client once, before a campaign is recorded.

    A record fixes the settings: a start that fails after it would take the campaign's name away from the mended ones.

    Raises:
        HoneError: one of them cannot be had.
    """

    async def tried() -> None:
        await workplace.upstream().close()
        async with sandbox_of(workplace, lambda _: None):
            pass

    with unwrapped():
        anyio.run(tried)


def conduct(workplace: Workplace, ledger: Ledger, *, as_json: bool) -> None:
    """Work until the ending, then print where things stand."""
    with ledger:
        run_session(workplace, ledger)
    with LedgerReader.open(workplace.ledger_folder) as reader:
        status = reader.status()
    if as_json:
        print_json(summary_of(status))
        return
    for line in status_lines(status):
        tell(line)


def run_session(workplace: Workplace, ledger: Ledger) -> str:
    """One session with narration; returns the code of its ending."""
    limits = workplace.settings.budget.limits()
    with LedgerReader.open(workplace.ledger_folder) as reader:
        told = reader.last_events(1)
    narrator = Narrator(limits=limits, is_simulated=workplace.is_simulated, told_until=told[-1].seq if told else 0)
    simulated = " with the SIMULATED model" if workplace.is_simulated else ""
    print(f"campaign {ledger.header.campaign} on {ledger.header.benchmark}{simulated}", file=sys.stderr)

    async def session() -> str:
        ending = await work(workplace, ledger, narrator)
        return ending.code

    try:
        with unwrapped():
            return anyio.run(session)
    finally:
        narrator.close()


@contextmanager
def unwrapped() -> Iterator[None]:
    """Let an error out of its task groups when it is the only one, so that it can be shown as what it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from None
