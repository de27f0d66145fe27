"""The line to a container's streams: the daemon's connection, taken over from the SDK."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio

from sandbox.docker.container import Container, Site, call

_CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """stdin one way, stdout and stderr the other."""

    attached: Any
    """What the SDK holds."""
    socket: socket.socket

    async def send(self, content: bytes) -> None:
        """Send all of it; to a container that has ended, nothing: what it said tells why."""
        view = memoryview(content)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self.socket)
            except (BrokenPipeError, ConnectionResetError):
                return

    async def receive(self) -> bytes:
        """What comes next; nothing is the end."""
        while True:
            await anyio.wait_readable(self.socket)
            try:
                return self.socket.recv(_CHUNK)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                return b""


async def attach(site: Site, container: Container) -> Line:
    """Reach the streams of a container that has not been started. Raises what the SDK raises."""
    streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    attached = await call(site, partial(container.api.attach_socket, container.name, params=streams))
    line = attached if isinstance(attached, socket.socket) else attached._sock  # noqa: SLF001 - the SDK has no other way
    assert isinstance(line, socket.socket)
    line.setblocking(False)
    return Line(attached=attached, socket=line)


def hang_up(line: Line) -> None:
    """Close the connection and the response that holds it; to the run this is the end of the line."""
    response = getattr(line.attached, "_response", None)
    if response is not None:
        response.close()
    line.socket.close()
