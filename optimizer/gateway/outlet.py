"""A reply that is written while it is made: never slower than its peer reads, never longer in memory than it may be.

What the peer has not taken yet waits here, up to a limit. Past the limit the writer waits for the peer, but no longer
than `delivery_s` over the whole reply; then, or when the peer hangs up, the rest is dropped and the writer goes on by
itself: the answer behind it is paid for and must be recorded, and its slot at the provider is wanted by others.
"""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel

from optimizer.gateway.http import HttpConnection
from optimizer.gateway.limits import DoorLimits


class Outlet:
    """The streamed reply to one request; not begun until something is written."""

    def __init__(self, connection: HttpConnection, limits: DoorLimits) -> None:
        self.is_begun = False
        self.n_bytes = 0
        self._connection = connection
        self._limits = limits
        self._left_s = limits.delivery_s
        self._is_deaf = False

    async def write(self, piece: bytes) -> None:
        """Pass a piece on. Never fails: a peer that has gone or stalls gets nothing more."""
        if not self.is_begun:
            self.is_begun = True
            self._push(self._connection.stream_head("text/event-stream"))
        self.n_bytes += len(piece)
        self._push(self._connection.stream_part(piece))
        if self._connection.n_unsent > self._limits.unread_bytes:
            await self._drain()
        await anyio.lowlevel.checkpoint()

    async def end(self) -> bool:
        """The reply is whole; True when it was taken and the connection can carry another request."""
        self._push(self._connection.stream_end())
        self._left_s = self._limits.delivery_s
        await self._drain()
        return not self._is_deaf and self._connection.next_cycle()

    async def break_off(self) -> None:
        """Send what there is; the connection is then closed without an end: a reader sees a broken stream."""
        await self._drain()

    def _push(self, spelled: bytes) -> None:
        if self._is_deaf:
            return
        try:
            self._connection.push(spelled)
        except OSError:
            self._go_deaf()

    async def _drain(self) -> None:
        if self._is_deaf:
            return
        started = time.monotonic()
        with anyio.move_on_after(max(0.0, self._left_s)) as patience:
            try:
                await self._connection.drain()
            except OSError:
                self._go_deaf()
        self._left_s -= time.monotonic() - started
        if patience.cancelled_caught:
            self._go_deaf()

    def _go_deaf(self) -> None:
        self._is_deaf = True
        self._connection.drop_unsent()
