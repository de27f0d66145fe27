"""The host's end of the relay: carries each connection from a container's streams to the run's gateway socket.

The frames are those of `sandbox.docker.shim`. What comes from the container is taken at once, into buffers that
credit keeps small, so that the line is always read; what goes to it waits its turn.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from sandbox.docker.shim import CREDIT, DATA, END, FRAME, NUMBER, OPEN, RESET, WINDOW

_CHUNK = 32768
_LOST = (anyio.BrokenResourceError, anyio.ClosedResourceError)


@dataclass(slots=True, kw_only=True)
class _Channel:
    """One connection."""

    inbox: MemoryObjectSendStream[bytes]
    """From the agent; closed when the agent has ended its side."""
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    credit: int = WINDOW
    """How much may still be sent to the agent."""
    more_credit: anyio.Event = field(default_factory=anyio.Event)


def frame(tag: bytes, content: bytes = b"") -> bytes:
    """One frame as the container reads it."""
    return FRAME.pack(tag, len(content)) + content


class Pump:
    """All connections of one run."""

    def __init__(self, door: Path, outbox: MemoryObjectSendStream[bytes], group: TaskGroup) -> None:
        """Lead connections to `door`; frames go to `outbox`, and the work is done in `group`."""
        self._door = door
        self._outbox = outbox
        self._group = group
        self._channels: dict[int, _Channel] = {}

    def take(self, tag: bytes, content: bytes) -> None:
        """Take one frame from the container."""
        (number,) = NUMBER.unpack_from(content)
        rest = content[NUMBER.size :]
        if tag == OPEN:
            inbox, waiting = anyio.create_memory_object_stream[bytes](math.inf)
            self._channels[number] = _Channel(inbox=inbox)
            self._group.start_soon(self._carry, number, self._channels[number], waiting)
        elif number in self._channels:  # or it has been reset here in the meantime
            self._obey(self._channels[number], tag, rest)

    def _obey(self, channel: _Channel, tag: bytes, content: bytes) -> None:
        if tag == DATA:
            with contextlib.suppress(*_LOST):
                channel.inbox.send_nowait(content)
        elif tag == END:
            channel.inbox.close()
        elif tag == CREDIT:
            channel.credit += NUMBER.unpack(content)[0]
            channel.more_credit.set()
        elif tag == RESET:
            channel.scope.cancel()

    async def _carry(self, number: int, channel: _Channel, waiting: MemoryObjectReceiveStream[bytes]) -> None:
        is_lost = True
        try:
            with channel.scope, channel.inbox, waiting:
                async with await anyio.connect_unix(self._door) as stream, anyio.create_task_group() as both:
                    both.start_soon(self._up, number, waiting, stream)
                    both.start_soon(self._down, number, channel, stream)
                is_lost = False
        except* (OSError, *_LOST):
            pass  # the gateway is gone or has hung up; the agent is told below
        finally:
            del self._channels[number]
        if is_lost:
            await self._tell(number, RESET)

    async def _up(self, number: int, waiting: MemoryObjectReceiveStream[bytes], stream: ByteSendStream) -> None:
        """From the agent to the gateway."""
        async for chunk in waiting:
            await stream.send(chunk)
            await self._tell(number, CREDIT, NUMBER.pack(len(chunk)))
        with contextlib.suppress(OSError):
            await stream.send_eof()  # type: ignore[attr-defined]

    async def _down(self, number: int, channel: _Channel, stream: ByteReceiveStream) -> None:
        """From the gateway to the agent, no further ahead than the credit."""
        while True:
            while not channel.credit:
                channel.more_credit = anyio.Event()
                await channel.more_credit.wait()
            try:
                chunk = await stream.receive(min(_CHUNK, channel.credit))
            except anyio.EndOfStream:
                break
            channel.credit -= len(chunk)
            await self._tell(number, DATA, chunk)
        await self._tell(number, END)

    async def _tell(self, number: int, tag: bytes, content: bytes = b"") -> None:
        await self._outbox.send(frame(tag, NUMBER.pack(number) + content))
