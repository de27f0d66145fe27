"""A fast local provider that keeps its own books: chat completions, responses and messages over plain HTTP/1.1.

It misbehaves in a fixed rhythm: 429, 529, half an answer, garbage. What it answers completely it counts, to the token.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup

from optimizer.domain.json import JsonObject
from tests.models.wire_server import Turn, anthropic_body, openai_body

Rhythm = Callable[[int], str]
NO_FAULTS: Rhythm = lambda _: ""  # noqa: E731


def troubled(n: int) -> str:
    """One request in five fails, in one of four ways."""
    return ("429", "529", "half", "garbage")[n // 5 % 4] if n % 5 == 4 else ""


@dataclass
class Provider:
    """What was asked and answered."""

    rhythm: Rhythm = NO_FAULTS
    origin: str = ""
    n_requests: int = 0
    served: dict[str, int] = field(default_factory=dict)
    """Tokens of every complete answer, by its id."""
    headers: list[bytes] = field(default_factory=list)
    is_called: threading.Event = field(default_factory=threading.Event)
    wanted: int = 0
    """`is_called` is set when so many answers are served."""

    async def serve(self, stream: SocketStream) -> None:
        buffer = b""
        try:
            async with stream:
                while True:
                    while b"\r\n\r\n" not in buffer:
                        buffer += await stream.receive()
                    head, _, buffer = buffer.partition(b"\r\n\r\n")
                    length = _length(head)
                    while len(buffer) < length:
                        buffer += await stream.receive()
                    body, buffer = buffer[:length], buffer[length:]
                    if not await self._answer(stream, head, body):
                        return
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
            return

    async def _answer(self, stream: SocketStream, head: bytes, body: bytes) -> bool:
        n, self.n_requests = self.n_requests, self.n_requests + 1
        fault = self.rhythm(n)
        if fault in {"429", "529"}:
            await stream.send(_http(b"{}", status=fault.encode(), extra=b"retry-after: 0\r\n"))
            return True
        if fault == "garbage":
            await stream.send(_http(b"<html>busy</html>"))
            return True
        answer = _spoken(head.split(b" ", 2)[1], n)
        if fault == "half":
            await stream.send(_http(json.dumps(answer).encode())[:-40])
            return False
        self.served[str(answer["id"])] = _turn(n).n_input + _turn(n).n_output
        await stream.send(_http(json.dumps(answer).encode()))
        if len(self.served) >= self.wanted:
            self.is_called.set()
        return True


def _turn(n: int) -> Turn:
    return Turn(text=f"answer {n}", n_input=100 + n % 7, n_cached=40, n_output=1 + n % 13)


def _spoken(path: bytes, n: int) -> JsonObject:
    turn, key = _turn(n), f"id-{n}"
    if path.endswith(b"/messages"):
        return {**anthropic_body(turn), "id": key}
    return {**openai_body(turn), "id": key}


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _http(body: bytes, *, status: bytes = b"200", extra: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %s X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%s\r\n"
    return head % (status, len(body), extra) + body


@contextmanager
def provider(rhythm: Rhythm = NO_FAULTS, *, wanted: int = 0) -> Iterator[Provider]:
    """A provider in a thread of its own."""
    found = Provider(rhythm=rhythm, wanted=wanted)
    ready, stopping = threading.Event(), threading.Event()

    async def run() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1024)
        found.origin = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, found.serve)
            ready.set()
            await _until(stopping, tasks)

    thread = threading.Thread(target=anyio.run, args=(run,))
    thread.start()
    ready.wait(10)
    try:
        yield found
    finally:
        stopping.set()
        thread.join()


async def _until(stopping: threading.Event, tasks: TaskGroup) -> None:
    await anyio.to_thread.run_sync(stopping.wait)
    tasks.cancel_scope.cancel()
