"""For runs that may open no socket at all: every connection to the gateway is lent by the run's init.

The init holds the other end of one inherited socket pair and answers any message with a connected descriptor. All
such descriptors are alike, so whoever asks may take whichever comes.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from sandbox.guest import door, hone_session, run_agent

LENDER_FD = 3
_PLACEHOLDER = (socket.AF_UNIX, socket.SOCK_STREAM)


class BorrowedSocket(socket.socket):
    """A unix socket that is exchanged for a lent one when it connects to the gateway."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002
        if fileno is None and family == socket.AF_UNIX and type & 0xF == socket.SOCK_STREAM:
            ours, theirs = _plain_pair(*_PLACEHOLDER)
            theirs.close()
            super().__init__(family, type, proto, ours.detach())
            return
        super().__init__(family, type, proto, fileno)

    def connect(self, address: Any) -> None:
        """Connect to the gateway; anything else is refused by the filter."""
        if address != os.environ.get("HONE_SOCKET"):
            super().connect(address)
            return
        lent = _borrow()
        try:
            os.dup2(lent, self.fileno(), inheritable=False)
            os.set_blocking(self.fileno(), self.gettimeout() is None)
        finally:
            os.close(lent)

    def connect_ex(self, address: Any) -> int:
        """As `connect`, with the error as a number."""
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or 1
        return 0

    def setsockopt(self, level: int, *rest: Any) -> None:
        """Set an option unless it is one of TCP's, which mean nothing here."""
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *rest)


_plain_pair = socket.socketpair


def _borrow() -> int:
    with socket.socket(fileno=os.dup(LENDER_FD)) as lender:
        lender.send(b"connect")
        message, fds, _, _ = socket.recv_fds(lender, 256, 1)
    if not fds:
        raise ConnectionRefusedError(message.decode("utf-8", "replace"))
    return fds[0]


def main() -> None:
    """Run the harness in the working folder; the process ends as any Python program does."""
    if "HONE_SOCKET" in os.environ:
        vars(socket)["socket"] = vars(door)["DoorSocket"] = BorrowedSocket
    door.install()
    for name in run_agent.own_modules():
        sys.modules.pop(name, None)
    sys.modules["hone_session"] = hone_session
    sys.exit(run_agent.main(os.getcwd()))  # noqa: PTH109 - one system call
