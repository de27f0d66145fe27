"""Unix stream sockets on anyio's readiness calls.

Not anyio's own streams: there, a peer that hangs up in the very moment its door closes ends in an error that no caller
can catch (a result set on a cancelled future), and every rollout ends in that moment.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import anyio
import anyio.lowlevel


class UnixStream:
    """The server's end of one connection; used by one task. Only bytes are taken: passed descriptors are dropped."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    async def receive(self, max_bytes: int) -> bytes:
        """Wait for some bytes; none at the end of the stream. Raises OSError when the connection is broken."""
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self._raw.recv(max_bytes)
            except BlockingIOError:
                await anyio.wait_readable(self._raw)

    async def send(self, payload: bytes) -> None:
        """Send all bytes. Raises OSError when the peer has gone."""
        await anyio.lowlevel.checkpoint()
        left = memoryview(payload)
        while left:
            try:
                left = left[self._raw.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._raw)

    def send_now(self, payload: bytes | bytearray) -> int:
        """Send what the peer has room for, without waiting; and say how much. Raises OSError when the peer has gone."""
        try:
            return self._raw.send(payload)
        except BlockingIOError:
            return 0

    async def wait_for_room(self) -> None:
        """Wait until the peer can take something, or has gone."""
        await anyio.wait_writable(self._raw)

    def close(self) -> None:
        """Hang up."""
        self._raw.close()


class UnixListener:
    """A bound socket file that peers of any user may connect to: the folder's mode decides who can reach it."""

    def __init__(self, path: Path, *, backlog: int) -> None:
        self._path = path
        self._raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._raw.setblocking(False)
            path.unlink(missing_ok=True)  # left behind by a killed process: a live one never shares a path
            self._raw.bind(os.fspath(path))
            path.chmod(0o666)
            self._raw.listen(backlog)
        except OSError:
            self._raw.close()
            raise

    async def accept(self) -> UnixStream:
        """Wait for the next connection. Raises OSError, out of file descriptors for one."""
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                raw, _ = self._raw.accept()
            except BlockingIOError:
                await anyio.wait_readable(self._raw)
            else:
                raw.setblocking(False)
                return UnixStream(raw)

    def close(self) -> None:
        """Stop listening and remove the socket file."""
        self._raw.close()
        self._path.unlink(missing_ok=True)
