"""Open a campaign's ledger for reading: by harness folder and name, never writing a byte."""

from __future__ import annotations

from pathlib import Path

from optimizer.domain.errors import LedgerError
from optimizer.ledger.reader import LedgerReader

STATE = ".hone"
LEDGER = "ledger.sqlite"


def open_reader(folder: Path, campaign: str | None) -> LedgerReader:
    """The ledger of a campaign of a harness folder; the newest one when no name is given.

    Raises:
        LedgerError: there is none.
    """
    if (folder / LEDGER).is_file():
        return LedgerReader.open(folder)
    found = sorted((folder / STATE).glob(f"*/{LEDGER}"), key=lambda path: path.stat().st_mtime, reverse=True)
    names = [path.parent.name for path in found]
    if campaign is not None and campaign not in names:
        known = f"there is {', '.join(sorted(names))}" if names else "there is none"
        raise LedgerError(f"no campaign {campaign!r} in {folder}; {known}.")
    if not found:
        raise LedgerError(f"no campaign has been started in {folder} yet. Start one with `hone run`.")
    return LedgerReader.open(folder / STATE / (campaign or names[0]))
