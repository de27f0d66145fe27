"""A finished Anthropic message as the server-sent events of a streamed one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from optimizer.domain.json import Json, JsonObject
from optimizer.gateway.http import HttpReply
from optimizer.models import shapes


def streamed_message(message: JsonObject) -> HttpReply:
    """All events at once, for an answer that is there as a whole: recorded, or translated."""
    events = (
        f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n" for event in _events(message)
    )
    return HttpReply(status=200, body="".join(events).encode("ascii"), content_type="text/event-stream")


def _events(message: JsonObject) -> Iterator[JsonObject]:
    used = shapes.part(message["usage"])
    begun: dict[str, Json] = {
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**used, "output_tokens": 1},
    }
    yield {"type": "message_start", "message": {**message, **begun}}
    for index, block in enumerate(shapes.objects(message.get("content"))):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": message.get("stop_reason"), "stop_sequence": message.get("stop_sequence")}
    yield {"type": "message_delta", "delta": ended, "usage": used}
    yield {"type": "message_stop"}


def _empty(block: JsonObject) -> JsonObject:
    """A block before its first delta; kinds without deltas arrive whole."""
    blank: dict[str, Json] = {"text": "", "input": {}, "thinking": "", "signature": ""}
    if block.get("type") not in {"text", "tool_use", "thinking"}:
        return block
    return {name: blank.get(name, value) for name, value in block.items()}


def _deltas(block: JsonObject) -> Iterator[JsonObject]:
    kind = block.get("type")
    if kind == "text":
        yield {"type": "text_delta", "text": block["text"]}
    elif kind == "tool_use":
        yield {"type": "input_json_delta", "partial_json": json.dumps(block["input"], separators=(",", ":"))}
    elif kind == "thinking":
        yield {"type": "thinking_delta", "thinking": block["thinking"]}
        yield {"type": "signature_delta", "signature": block.get("signature") or ""}
