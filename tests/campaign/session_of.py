"""Run or resume the toy campaign of a folder in a process of its own; perhaps die by SIGKILL on the way.

Usage: python -m tests.campaign.session_of FOLDER [SECONDS]     (SECONDS: until the kill)
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import anyio

from optimizer.cli.progress import Narrator
from optimizer.cli.session import work
from optimizer.domain.budget import BudgetLimits
from optimizer.ledger.ledger import Ledger
from tests.campaign.toy import Toy


def run(toy: Toy) -> str:
    """One session in this process; returns the code of its ending."""
    has_begun = (toy.ledger_folder / "ledger.sqlite").exists()
    with Ledger.open(toy.ledger_folder) if has_begun else toy.begin() as ledger:
        narrator = Narrator(limits=BudgetLimits(), is_simulated=True, is_terminal=False)

        async def session() -> str:
            return (await work(toy.workplace(), ledger, narrator)).code

        return anyio.run(session)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        killer = threading.Timer(float(sys.argv[2]), os.kill, (os.getpid(), signal.SIGKILL))
        killer.daemon = True
        killer.start()
    print(run(Toy(Path(sys.argv[1]))))
