"""Carries bytes from 127.0.0.1:8377 of the run's private network to its gateway socket, for any language.

It forwards and never parses. It runs as an unprivileged process of the run and dies with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

HOST = "127.0.0.1"
PORT = 8377
_CHUNK = 65536


def listen() -> socket.socket:
    """Bind before the agent starts, so that its first connection cannot come too early."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, PORT))
    listener.listen(64)
    return listener


def serve(listener: socket.socket, door: str) -> None:
    """Forward connections until killed."""
    asyncio.run(_serve(listener, door))


async def _serve(listener: socket.socket, door: str) -> None:
    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            try:
                far_reader, far_writer = await asyncio.open_unix_connection(door)
            except OSError:
                return
            with contextlib.closing(far_writer):
                back = asyncio.ensure_future(_pump(far_reader, writer))
                await _pump(reader, far_writer)
                await back

    server = await asyncio.start_server(on_connection, sock=listener)
    await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction to its end and pass the end on."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
