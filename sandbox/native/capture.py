"""A bounded picture of an output stream: the first bytes, the last bytes, and how many there were."""

from __future__ import annotations

import os
from collections.abc import Callable

import anyio

from sandbox.contract import Output

_END_BYTES = 16 * 1024
_CHUNK = 65536


class Capture:
    """Reads one pipe without ever waiting for its end: a surviving child may hold it open."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = b""
        self._tail = b""
        self._n_bytes = 0
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read_end, False)
        self._read_end = read_end
        self.write_end = write_end

    @property
    def is_over(self) -> bool:
        """Whether more came than is allowed."""
        return self._n_bytes > self._limit

    async def follow(self, on_over: Callable[[], None]) -> None:
        """Read as it comes; calls `on_over` once when there is too much, and stops."""
        while True:
            await anyio.wait_readable(self._read_end)
            if self._read_once() == 0:
                return
            if self.is_over:
                on_over()
                return

    def drain(self) -> None:
        """Take what is left in the pipe once all that wrote are gone."""
        while not self.is_over and self._read_once() > 0:
            pass

    def _read_once(self) -> int:
        """Bytes read; 0 at the end, -1 when there is nothing yet."""
        try:
            chunk = os.read(self._read_end, _CHUNK)
        except BlockingIOError:
            return -1
        self._add(chunk)
        return len(chunk)

    def _add(self, chunk: bytes) -> None:
        self._n_bytes += len(chunk)
        room = _END_BYTES - len(self._head)
        self._head += chunk[:room]
        self._tail = (self._tail + chunk[room:])[-_END_BYTES:]

    def output(self) -> Output:
        """The picture."""
        return Output(head=self._head, tail=self._tail, n_bytes=self._n_bytes)

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._read_end)
