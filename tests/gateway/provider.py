"""A fast local provider that keeps its own books: chat completions, responses and messages over plain HTTP/1.1.

It misbehaves in a fixed rhythm: 429, 529, half an answer, garbage. What it answers completely it counts, to the token.
Asked for a stream, it sends event by event, and half an answer is half a stream.
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
from tests.gateway.sse import chat_events, message_events, response_events
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
    n_broken: int = 0
    """Answers that were begun and broken off, or unreadable: a real provider may bill them."""
    is_streaming: bool = True
    pause_s: float = 0.0
    """Between the events of a stream."""
    n_before_break: Callable[[int, int], int] = lambda _n, _n_events: 0
    """Events of a stream that breaks off, of the n-th request: none, so that it can be asked again."""
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
            self.n_broken += 1
            await stream.send(_http(b"<html>busy</html>"))
            return True
        path = head.split(b" ", 2)[1]
        answer = _spoken(path, n)
        if self.is_streaming and b'"stream":true' in body:
            return await self._stream(stream, _events(path, n), n, is_half=fault == "half")
        if fault == "half":
            self.n_broken += 1
            await stream.send(_http(json.dumps(answer).encode())[:-40])
            return False
        self._count(n)
        await stream.send(_http(json.dumps(answer).encode()))
        return True

    async def _stream(self, stream: SocketStream, events: list[bytes], n: int, *, is_half: bool) -> bool:
        await stream.send(_STREAM_HEAD)
        sent = events[: self.n_before_break(n, len(events))] if is_half else events
        for event in sent:
            await stream.send(b"%x\r\n%s\r\n" % (len(event), event))
            await anyio.sleep(self.pause_s)
        if is_half:
            self.n_broken += 1
            return False
        self._count(n)
        await stream.send(b"0\r\n\r\n")
        return True

    def _count(self, n: int) -> None:
        self.served[f"id-{n}"] = _turn(n).n_input + _turn(n).n_output
        if len(self.served) >= self.wanted:
            self.is_called.set()


_STREAM_HEAD = b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _turn(n: int) -> Turn:
    return Turn(text=f"answer {n}", n_input=100 + n % 7, n_cached=40, n_output=1 + n % 13)


def _spoken(path: bytes, n: int) -> JsonObject:
    turn, key = _turn(n), f"id-{n}"
    if path.endswith(b"/messages"):
        return {**anthropic_body(turn), "id": key}
    return {**openai_body(turn), "id": key}


def _events(path: bytes, n: int) -> list[bytes]:
    if path.endswith(b"/messages"):
        return message_events(_turn(n), f"id-{n}")
    return response_events(_turn(n), f"id-{n}") if path.endswith(b"/responses") else chat_events(_turn(n), f"id-{n}")


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
