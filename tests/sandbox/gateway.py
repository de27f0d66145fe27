"""A gateway just large enough for the sandbox's tests: one task, one canned model, over a unix socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

OPENING = {
    "protocol": 1,
    "model": "tiny",
    "instructions": "be brief",
    "policy": "no refunds",
    "tools": [{"name": "echo", "description": "says it again", "parameters": {"type": "object"}}],
    "first_message": "grüß dich 👋",
}
CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 0,
    "model": "tiny",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "pong"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
MESSAGE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "tiny",
    "content": [{"type": "text", "text": "pong"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


def answer(path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
    """What the gateway says."""
    if path == "/session":
        return 200, OPENING
    if path == "/v1/chat/completions":
        return 200, CHAT
    if path == "/v1/messages":
        return 200, MESSAGE
    if path == "/session/submit":
        return 200, {"source": "end", "content": "", "is_error": False, "is_final": True}
    if body.get("tool") == "forbidden":
        return 429, {"error": {"message": "out of calls", "type": "budget", "code": "rollout_budget"}}
    content = json.dumps(body.get("arguments", body.get("say")), ensure_ascii=False)
    return 200, {"source": "tool", "content": content, "is_error": False, "is_final": False}


async def _serve(stream: ByteStream) -> None:
    async with stream:
        reader = BufferedByteReceiveStream(stream)
        try:
            while True:
                head = (await reader.receive_until(b"\r\n\r\n", 65536)).decode("latin-1").split("\r\n")
                headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in head[1:])}
                raw = await reader.receive_exactly(int(headers.get("content-length", "0")))
                status, content = answer(head[0].split()[1], json.loads(raw) if raw else {})
                sent = json.dumps(content).encode()
                first = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
                await stream.send(first.encode() + sent)
        except (anyio.IncompleteRead, anyio.EndOfStream, anyio.BrokenResourceError):
            return


@asynccontextmanager
async def open_gateway(path: Path, *, owner: int | None = None) -> AsyncIterator[Path]:
    """Serve at `path` until left; `owner` is who may connect besides root."""
    listener = await anyio.create_unix_listener(path)
    if owner is not None:
        anyio_path = Path(path)
        import os

        os.chown(anyio_path, owner, -1)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, _serve)
        try:
            yield path
        finally:
            group.cancel_scope.cancel()
