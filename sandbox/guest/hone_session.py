"""The session with a task, for harnesses in Python; standard library only.

    async def run(session):
        reply = await session.call("find_order", {"order_id": "A1"})
        await session.submit()

Under it lies plain HTTP with JSON (session protocol 1), over the unix socket `$HONE_SOCKET` or, where that is not
set, at `$HONE_SESSION_URL`. Errors that a tool reports are replies with `is_error`; `SessionError` means that the
session itself refused or could not be reached.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PROTOCOL = 1
_DEFAULT_URL = "http://127.0.0.1:8377"
_LIMIT = 2**20


class SessionError(Exception):
    """The session refused a request or cannot be reached; `status` is None when there was no answer at all."""

    def __init__(self, message: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """What the task answered."""

    content: str
    is_error: bool
    is_final: bool
    source: str = "tool"


class Session:
    """One conversation with one task. Calls are sent one after another, in the order they were made."""

    def __init__(self, opening: Mapping[str, Any], door: _Door) -> None:
        self.model: str = opening["model"]
        self.instructions: str = opening["instructions"]
        self.policy: str = opening["policy"]
        self.tools: list[dict[str, Any]] = opening["tools"]
        self.first_message: str = opening["first_message"]
        self._door = door

    async def call(self, name: str, arguments: Mapping[str, Any] | None = None) -> Reply:
        """Use a tool of the task."""
        return await self._step("/session/step", {"tool": name, "arguments": dict(arguments or {})})

    async def say(self, text: str) -> Reply:
        """Say something to the user and get the answer."""
        return await self._step("/session/step", {"say": text})

    async def submit(self, answer: str = "") -> Reply:
        """Hand in and end the conversation."""
        return await self._step("/session/submit", {"answer": answer})

    async def close(self) -> None:
        """Close the connection; the conversation is not submitted by it."""
        await self._door.close()

    async def _step(self, path: str, body: dict[str, Any]) -> Reply:
        got = await self._door.request("POST", path, body)
        return Reply(
            content=got["content"], is_error=got["is_error"], is_final=got["is_final"], source=got.get("source", "tool")
        )


async def open_session() -> Session:
    """Connect and read the task. Raises SessionError."""
    door = _Door()
    opening = await door.request("GET", "/session")
    if opening.get("protocol") != PROTOCOL:
        raise SessionError(f"the session speaks protocol {opening.get('protocol')!r}, this SDK speaks {PROTOCOL}")
    return Session(opening, door)


class _Door:
    """One keep-alive HTTP/1.1 connection."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: hone\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        async with self._turn:
            try:
                status, raw = await self._exchange(head.encode() + content)
            except (OSError, EOFError, ValueError) as error:
                await self.close()
                raise SessionError(f"{method} {path}: no answer from the session ({error})") from error
            except asyncio.CancelledError:
                self._abort()
                raise
        return _parse(f"{method} {path}", status, raw)

    async def close(self) -> None:
        self._abort()

    def _abort(self) -> None:
        """Forget the connection: half an exchange must not be read as the answer to the next one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, message: bytes) -> tuple[int, bytes]:
        used_before = self._streams is not None
        try:
            return await self._try(message)
        except _ClosedWhileIdleError:
            # The far side may close an idle connection at any time; nothing of the answer had come.
            self._abort()
            if not used_before:
                raise
            return await self._try(message)

    async def _try(self, message: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await _connect()
        reader, writer = self._streams
        try:
            writer.write(message)
            await writer.drain()
            line = await reader.readline()
        except (ConnectionResetError, BrokenPipeError) as error:
            raise _ClosedWhileIdleError(str(error)) from error
        if not line:
            raise _ClosedWhileIdleError("the connection was closed")
        status = int(line.split()[1])
        headers = await _headers(reader)
        raw = await _body(reader, headers)
        if headers.get("connection", "").lower() == "close":
            self._abort()
        return status, raw


class _ClosedWhileIdleError(EOFError):
    """The connection ended before any byte of an answer."""


async def _connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    path = os.environ.get("HONE_SOCKET")
    if path and hasattr(asyncio, "open_unix_connection"):
        return await asyncio.open_unix_connection(path, limit=_LIMIT)
    url = urlsplit(os.environ.get("HONE_SESSION_URL", _DEFAULT_URL))
    return await asyncio.open_connection(url.hostname, url.port or 80, limit=_LIMIT)


async def _headers(reader: asyncio.StreamReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return headers


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    parts: list[bytes] = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readline()
    return b"".join(parts)


def _parse(what: str, status: int, raw: bytes) -> dict[str, Any]:
    try:
        got = json.loads(raw)
    except ValueError:
        got = None
    if not isinstance(got, dict):
        raise SessionError(f"{what}: the session answered {status} without a JSON object", status=status)
    if status < 400:
        return got
    error = got.get("error")
    detail = error if isinstance(error, dict) else {}
    message = detail.get("message", "no message")
    raise SessionError(f"{what}: {status} {message}", status=status, code=str(detail.get("code") or ""))
