"""A process that records the sample campaign, says each step on stdout once it is recorded, and can be killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from optimizer.domain.errors import LedgerError
from optimizer.ledger.ledger import Ledger
from tests.ledger.samples import HEADER, job, record_campaign, rollout, trace


def record(folder: Path, n_batches: int) -> None:
    ledger = Ledger.open(folder) if (folder / "ledger.sqlite").exists() else Ledger.create(folder, HEADER)
    ledger.start_session(os.getpid(), "child")
    for step in record_campaign(ledger, n_batches):
        print(step, flush=True)
        ledger.heartbeat()


def fill(folder: Path, file_limit_bytes: int | None) -> None:
    """Record rollouts until the disk, or a limit on the size of a file, says no."""
    if file_limit_bytes is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit_bytes, file_limit_bytes))
    ledger = Ledger.create(folder, HEADER)
    try:
        for trial in range(100_000):
            noise = os.urandom(4000).hex()
            ledger.record_rollout(rollout(job(trial=trial)), trace(2, words=noise))
            print(job(trial=trial).id, flush=True)
    except LedgerError as error:
        print(f"LedgerError: {error}", flush=True)
    ledger.close()


def hold(folder: Path) -> None:
    """Be the writer until stdin closes."""
    with Ledger.open(folder):
        print("open", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    action, target = sys.argv[1], Path(sys.argv[2])
    if action == "record":
        record(target, int(sys.argv[3]))
    elif action == "fill":
        fill(target, int(sys.argv[3]) if len(sys.argv) > 3 else None)
    else:
        hold(target)
