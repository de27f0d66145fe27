"""Imports the SDKs and uses each once, so that every run starts where a long-lived program would be.

Importing is not enough: the first client and the first call of an SDK build most of their machinery. So the server
makes real calls, sync and async, through the very path a harness takes: over a unix socket to a stub that gives
canned answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from sandbox.guest import door, hone_session

_STUB = "/tmp/warm.sock"  # noqa: S108 - the sandbox's own /tmp
_PATIENCE_S = 45
_CHAT = {
    "id": "warm", "object": "chat.completion", "created": 0, "model": "warm",
    "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "hello",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}  # fmt: skip
_MESSAGE = {
    "id": "warm", "type": "message", "role": "assistant", "model": "warm", "stop_reason": "tool_use",
    "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    "content": [{"type": "text", "text": "hello"}, {"type": "tool_use", "id": "c", "name": "f", "input": {}}],
}  # fmt: skip
_SESSION = {"protocol": 1, "model": "warm", "instructions": "", "policy": "", "tools": [], "first_message": ""}
_SCHEMA: dict[str, object] = {"type": "object", "properties": {}}


def warm_up() -> list[str]:
    """Exercise what is installed; returns its names, with the reason beside what could not be warmed."""
    door.install()
    warmed: list[str] = []
    signal.signal(signal.SIGALRM, _too_slow)
    with _stub():
        for name, exercise in (("session", _session), ("openai", _openai), ("anthropic", _anthropic)):
            if name != "session" and importlib.util.find_spec(name) is None:
                continue
            signal.alarm(_PATIENCE_S)
            try:
                exercise()
                warmed.append(name)
            except Exception as error:  # noqa: BLE001 - an SDK that cannot be warmed is slower, not wrong
                warmed.append(f"{name} not warmed ({type(error).__name__}: {error})")
            finally:
                signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if threading.active_count() > 1:
        warmed.append("threads were left running; forks of this server may hang")
    return warmed


_filling: list[object] = []
"""What occupies the gaps; never looked at."""
_BYTES_OVERHEAD = 33


def fill_gaps() -> None:
    """Occupy every free block of the interpreter's half-used pools.

    A fork then makes its objects side by side on fresh pages; in the gaps between the server's objects, each would
    cost the copy of a page.
    """
    for size, n_free in _free_blocks():
        if size > _BYTES_OVERHEAD:
            _filling.extend(bytes(size - _BYTES_OVERHEAD) for _ in range(n_free))
        else:
            make = object if size == object().__sizeof__() else float
            _filling.extend(make() for _ in range(n_free))


def _free_blocks() -> list[tuple[int, int]]:
    """Size of block and number of free ones, from a report that CPython can only print; elsewhere nothing."""
    write_report = getattr(sys, "_debugmallocstats", None)
    if write_report is None:
        return []
    saved = os.dup(2)
    with os.fdopen(os.memfd_create("report"), "w+b") as report:
        os.dup2(report.fileno(), 2)
        try:
            write_report()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        report.seek(0)
        rows = [line.split() for line in report]
    return [(int(row[1]), int(row[4])) for row in rows if len(row) == 5 and all(word.isdigit() for word in row)]


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"took more than {_PATIENCE_S} s")


def _session() -> None:
    async def converse() -> None:
        session = await hone_session.open_session()
        await session.close()

    asyncio.run(converse())


def _openai() -> None:
    openai = importlib.import_module("openai")
    tools = [{"type": "function", "function": {"name": "f", "description": "d", "parameters": _SCHEMA}}]
    request = {"model": "warm", "messages": [{"role": "user", "content": "hello"}], "tools": tools}

    async def call() -> None:
        async with openai.AsyncOpenAI() as client:
            await client.chat.completions.create(**request)

    with openai.OpenAI() as client:
        client.chat.completions.create(**request).model_dump()
    asyncio.run(call())


def _anthropic() -> None:
    anthropic = importlib.import_module("anthropic")
    tools = [{"name": "f", "description": "d", "input_schema": _SCHEMA}]
    request = {
        "model": "warm",
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "hello"}],
        "tools": tools,
    }

    async def call() -> None:
        async with anthropic.AsyncAnthropic() as client:
            await client.messages.create(**request)

    with anthropic.Anthropic() as client:
        client.messages.create(**request).model_dump()
    asyncio.run(call())


@contextlib.contextmanager
def _stub() -> Iterator[None]:
    """A forked child answers on a unix socket; a fork and not a thread, because the server forks later."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(_STUB)
        listener.listen(8)
        child = os.fork()
        if child == 0:
            _answer_for_ever(listener)
    os.environ["HONE_SOCKET"] = _STUB
    try:
        yield
    finally:
        del os.environ["HONE_SOCKET"]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        Path(_STUB).unlink()


def _answer_for_ever(listener: socket.socket) -> None:
    try:
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as reader, contextlib.suppress(OSError, ValueError):
                while _answer(connection, reader.readline, reader.read):
                    pass
    finally:
        os._exit(0)


def _answer(connection: socket.socket, readline: Callable[[], bytes], read: Callable[[int], bytes]) -> bool:
    start = readline()
    if not start:
        return False
    length = 0
    while (line := readline().strip().lower()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    read(length)
    path = start.split()[1]
    body = _SESSION if path == b"/session" else _MESSAGE if path.endswith(b"/messages") else _CHAT
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return True
