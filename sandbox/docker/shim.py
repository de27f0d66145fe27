"""The run's end of the relay: a unix socket inside whose connections travel over the container's own streams.

Where a host's socket cannot be mounted into a container, this process listens in its place. Each connection has a
number; frames carry its bytes, its ends and its credit: whoever sends may be ahead by one window and no more, so
that neither side must ever hold much or stop reading the line that all connections share.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

FRAME = struct.Struct("!cI")
NUMBER = struct.Struct("!I")
WINDOW = 65536
"""Bytes a sender may be ahead of what the receiver has passed on."""
_MOST_CONNECTIONS = 64
_CHUNK = 32768

OPEN, DATA, END, RESET, CREDIT = b"c", b"d", b"f", b"x", b"w"
OVER = b"z"
"""The host's last word of a run."""


@dataclass(slots=True, kw_only=True)
class _Connection:
    """One connection of the agent's."""

    number: int
    line: socket.socket
    credit: int = WINDOW
    """How much may still be sent to the host."""
    waiting: bytearray = field(default_factory=bytearray)
    """From the host, not yet taken by the agent."""
    host_ended: bool = False
    agent_ended: bool = False

    @property
    def is_over(self) -> bool:
        """Whether both sides have ended it and everything has been passed on."""
        return self.host_ended and self.agent_ended and not self.waiting

    @property
    def interest(self) -> int:
        """What to wait for; 0 for nothing, since a socket that was hung up would wake us for ever."""
        wanted = select.POLLIN if self.credit and not self.agent_ended else 0
        return wanted | (select.POLLOUT if self.waiting else 0)


class Heard:
    """Bytes from the host in, frames out."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Frames that are complete with this chunk: tag and content."""
        self._rest += chunk
        while len(self._rest) >= FRAME.size:
            tag, size = FRAME.unpack_from(self._rest)
            end = FRAME.size + size
            if len(self._rest) < end:
                return
            content = bytes(self._rest[FRAME.size : end])
            del self._rest[:end]
            yield tag, content


class Shim:
    """All connections of one run."""

    def __init__(self, path: str, poll: select.poll, say: Callable[[bytes, bytes], None], heard: Heard) -> None:
        """Listen at `path`, before the agent starts, so that its first connection cannot come too early."""
        self._poll = poll
        self._say = say
        self._heard = heard
        self._next = 0
        self._by_fd: dict[int, _Connection] = {}
        self._by_number: dict[int, _Connection] = {}
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self._listener.bind(path)
        os.chmod(path, 0o666)  # noqa: PTH101, S103 - the run's own socket; only the run is inside
        self._listener.listen(64)
        poll.register(self._listener, select.POLLIN)

    def attend(self, fd: int) -> None:
        """Deal with one of our descriptors."""
        if fd == self._listener.fileno():
            self._accept()
        elif fd in self._by_fd:
            self._move(self._by_fd[fd])

    def hear(self, chunk: bytes) -> None:
        """Take what the host sent."""
        for tag, content in self._heard.feed(chunk):
            (number,) = NUMBER.unpack_from(content)
            if number in self._by_number:  # or it has been reset here in the meantime
                self._obey(self._by_number[number], tag, content[NUMBER.size :])

    def _obey(self, connection: _Connection, tag: bytes, content: bytes) -> None:
        if tag == RESET:
            self._forget(connection)
            return
        if tag == DATA:
            connection.waiting += content
        elif tag == END:
            connection.host_ended = True
        elif tag == CREDIT:
            connection.credit += NUMBER.unpack(content)[0]
        self._move(connection)

    def _accept(self) -> None:
        try:
            line, _ = self._listener.accept()
        except OSError:
            return
        line.setblocking(False)
        connection = _Connection(number=self._next, line=line)
        self._next += 1
        self._by_fd[line.fileno()] = self._by_number[connection.number] = connection
        self._poll.register(line, connection.interest)
        if len(self._by_fd) >= _MOST_CONNECTIONS:
            self._poll.unregister(self._listener)
        self._tell(connection, OPEN)

    def _move(self, connection: _Connection) -> None:
        """Pass on what can be passed on now, in both directions."""
        try:
            self._push(connection)
            self._pull(connection)
        except OSError:
            self._tell(connection, RESET)
            self._forget(connection)
            return
        if connection.is_over:
            self._forget(connection)
            return
        with contextlib.suppress(KeyError):
            self._poll.unregister(connection.line)
        if connection.interest:
            self._poll.register(connection.line, connection.interest)

    def _push(self, connection: _Connection) -> None:
        """To the agent."""
        if connection.waiting:
            with contextlib.suppress(BlockingIOError):
                n_sent = connection.line.send(
                    connection.waiting, socket.MSG_NOSIGNAL
                )  # only process 1 would survive one
                del connection.waiting[:n_sent]
                self._tell(connection, CREDIT, NUMBER.pack(n_sent))
        if connection.host_ended and not connection.waiting:
            with contextlib.suppress(OSError):  # it may have gone already
                connection.line.shutdown(socket.SHUT_WR)

    def _pull(self, connection: _Connection) -> None:
        """From the agent."""
        if connection.agent_ended or not connection.credit:
            return
        with contextlib.suppress(BlockingIOError):
            chunk = connection.line.recv(min(_CHUNK, connection.credit))
            connection.credit -= len(chunk)
            connection.agent_ended = not chunk
            self._tell(connection, DATA if chunk else END, chunk)

    def _tell(self, connection: _Connection, tag: bytes, content: bytes = b"") -> None:
        self._say(tag, NUMBER.pack(connection.number) + content)

    def _forget(self, connection: _Connection) -> None:
        with contextlib.suppress(KeyError):
            self._poll.unregister(connection.line)
        del self._by_fd[connection.line.fileno()], self._by_number[connection.number]
        connection.line.close()
        if len(self._by_fd) == _MOST_CONNECTIONS - 1:
            self._poll.register(self._listener, select.POLLIN)
