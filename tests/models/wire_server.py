"""A provider on the loopback: speaks both native formats and misbehaves by script."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, TypeAlias

from optimizer.domain.json import Json, JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A good answer, in no provider's format."""

    text: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    """id, name, arguments as the model spelled them."""
    stop: Literal["end", "tool_use", "length", "refusal"] = "end"
    n_input: int = 100
    n_cached: int = 40
    n_output: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A bad one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"error":{"message":"out of luck","type":"t"}}'
    is_half: bool = False
    """Announce more than is sent, then hang up."""
    is_silent: bool = False
    """Take the request and never answer."""


Scripted: TypeAlias = Turn | Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: JsonObject


class WireServer:
    """What the provider will say, and what it heard."""

    def __init__(self) -> None:
        self.script: deque[Scripted] = deque()
        self.heard: list[Heard] = []
        self.n_tokens = 0
        """Its own count of what it served."""
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self.origin = ""

    def next_turn(self, heard: Heard) -> Scripted:
        with self.lock:
            self.heard.append(heard)
            turn = self.script.popleft() if self.script else Turn(text="again")
            if isinstance(turn, Turn):
                self.n_tokens += turn.n_input + turn.n_output
            return turn


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, wire: WireServer) -> None:
        self.wire = wire
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 5

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = json.loads(self.rfile.read(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        turn = self.server.wire.next_turn(Heard(path=self.path, headers=headers, body=body))
        self.close_connection = True
        if isinstance(turn, Fault):
            self._fail(turn)
            return
        shape = anthropic_body if self.path.endswith("/messages") else openai_body
        self._send(200, json.dumps(shape(turn)).encode(), {})

    def _fail(self, fault: Fault) -> None:
        if fault.is_silent:
            self.server.wire.closing.wait(20)
            return
        self._send(fault.status, fault.body, fault.headers, n_missing=50 if fault.is_half else 0)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, n_missing: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body) + n_missing))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return


def openai_body(turn: Turn) -> JsonObject:
    message: dict[str, Json] = {"role": "assistant", "content": turn.text or None}
    if turn.stop == "refusal":
        message |= {"content": None, "refusal": turn.text}
    if turn.calls:
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in turn.calls
        ]
    reasons = {"end": "stop", "tool_use": "tool_calls", "length": "length", "refusal": "stop"}
    return {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served",
        "choices": [{"index": 0, "message": message, "finish_reason": reasons[turn.stop], "logprobs": None}],
        "usage": {
            "prompt_tokens": turn.n_input,
            "completion_tokens": turn.n_output,
            "total_tokens": turn.n_input + turn.n_output,
            "prompt_tokens_details": {"cached_tokens": turn.n_cached},
        },
    }


def anthropic_body(turn: Turn) -> JsonObject:
    content: list[Json] = [{"type": "text", "text": turn.text}] if turn.text else []
    for id_, name, spelled in turn.calls:
        try:
            arguments = json.loads(spelled)
        except ValueError:
            arguments = spelled
        content.append({"type": "tool_use", "id": id_, "name": name, "input": arguments})
    reasons = {"end": "end_turn", "tool_use": "tool_use", "length": "max_tokens", "refusal": "refusal"}
    return {
        "id": "m-1",
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": content,
        "stop_reason": reasons[turn.stop],
        "stop_sequence": None,
        "usage": {
            "input_tokens": turn.n_input - turn.n_cached,
            "cache_read_input_tokens": turn.n_cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": turn.n_output,
        },
    }


@contextmanager
def wire_server() -> Iterator[WireServer]:
    wire = WireServer()
    with _Server(wire) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        wire.origin = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield wire
        finally:
            wire.closing.set()
            server.shutdown()
            thread.join()
