"""Run or resume the toy campaign of a folder in a process of its own; perhaps die by SIGKILL on the way.

Usage: python -m tests.campaign.session_of FOLDER [SECONDS | +ROLLOUTS]

SECONDS: until the kill. +ROLLOUTS: killed a moment after that many more rollouts are in the ledger, however fast it is.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing
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


def n_rollouts(toy: Toy) -> int:
    """Rollouts in the ledger; 0 while there is none."""
    try:
        with closing(sqlite3.connect(f"file:{toy.ledger_folder / 'ledger.sqlite'}?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT count(*) FROM rollout").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def die(toy: Toy, when: str) -> None:
    """Wait for the moment, then kill this process."""
    if when.startswith("+"):
        n_wanted = n_rollouts(toy) + int(when)
        while n_rollouts(toy) < n_wanted:
            time.sleep(0.002)
        time.sleep(random.Random(when).uniform(0, 0.1))
    else:
        time.sleep(float(when))
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        threading.Thread(target=die, args=(Toy(Path(sys.argv[1])), sys.argv[2]), daemon=True).start()
    print(run(Toy(Path(sys.argv[1]))))
