"""One writer per campaign: a lock file that names the process holding it."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from optimizer.domain.errors import LedgerError

_HELD: set[Path] = set()
"""Locks of this process: a record lock does not keep a process from itself."""


class WriterLock:
    """A POSIX record lock. It dies with its process and, unlike flock, is not inherited by forked children."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            LedgerError: another process, or another ledger of this one, writes to the campaign.
        """
        self._path = path.resolve()
        if self._path in _HELD:
            raise LedgerError(_refusal(self._path, str(os.getpid())))
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            if error.errno not in {errno.EACCES, errno.EAGAIN}:
                raise
            raise LedgerError(_refusal(self._path, holder or "unknown")) from error
        _HELD.add(self._path)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next writer in; the file stays."""
        _HELD.discard(self._path)
        os.close(self._descriptor)


def _refusal(path: Path, pid: str) -> str:
    return (
        f"process {pid} is writing to the campaign in {path.parent}: watch it with `hone status`, or stop it before"
        " starting another one"
    )
