"""A whole answer as the events in which its provider would stream it, word by word."""

from __future__ import annotations

import json

from optimizer.domain.json import Json, JsonObject
from tests.models.wire_server import Turn

CONTENT_AT = 1
"""Number of events before the first word."""


def words(text: str) -> list[str]:
    return [f"{word} " for word in text.split(" ")[:-1]] + text.split(" ")[-1:]


def chat_events(turn: Turn, id_: str) -> list[bytes]:
    common: JsonObject = {"id": id_, "object": "chat.completion.chunk", "created": 1, "model": "served"}
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in words(turn.text)] if turn.text else []
    for n, (call, name, arguments) in enumerate(turn.calls):
        head = {"index": n, "id": call, "type": "function", "function": {"name": name, "arguments": ""}}
        deltas.append({"tool_calls": [head]})
        deltas += [{"tool_calls": [{"index": n, "function": {"arguments": one}}]} for one in arguments]
    chunks = [{**common, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    stop = "tool_calls" if turn.calls else "stop"
    chunks.append({**common, "choices": [{"index": 0, "delta": {}, "finish_reason": stop}], "usage": None})
    usage: JsonObject = {
        "prompt_tokens": turn.n_input,
        "completion_tokens": turn.n_output,
        "total_tokens": turn.n_input + turn.n_output,
        "prompt_tokens_details": {"cached_tokens": turn.n_cached},
    }
    chunks.append({**common, "choices": [], "usage": usage})
    return [b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks] + [b"data: [DONE]\n\n"]


def message_events(turn: Turn, id_: str) -> list[bytes]:
    used = {
        "input_tokens": turn.n_input - turn.n_cached,
        "cache_read_input_tokens": turn.n_cached,
        "cache_creation_input_tokens": 0,
    }
    frame: dict[str, Json] = {"id": id_, "type": "message", "role": "assistant", "model": "served", "content": []}
    frame |= {"stop_reason": None, "stop_sequence": None, "usage": {**used, "output_tokens": 1}}
    events: list[JsonObject] = [{"type": "message_start", "message": frame}, {"type": "ping"}]
    blocks: list[tuple[JsonObject, list[JsonObject]]] = []
    if turn.text:
        deltas = [{"type": "text_delta", "text": word} for word in words(turn.text)]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for call, name, arguments in turn.calls:
        pieces = [{"type": "input_json_delta", "partial_json": one} for one in arguments]
        blocks.append(({"type": "tool_use", "id": call, "name": name, "input": {}}, pieces))
    for n, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": n, "content_block": block})
        events += [{"type": "content_block_delta", "index": n, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": n})
    stop = "tool_use" if turn.calls else "end_turn"
    events.append(
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop, "stop_sequence": None},
            "usage": {"output_tokens": turn.n_output},
        }
    )
    events.append({"type": "message_stop"})
    return [_named(event) for event in events]


def response_events(turn: Turn, id_: str) -> list[bytes]:
    text = {"type": "output_text", "text": turn.text, "annotations": []}
    item = {"type": "message", "id": "msg-1", "role": "assistant", "status": "completed", "content": [text]}
    used = {
        "input_tokens": turn.n_input,
        "input_tokens_details": {"cached_tokens": turn.n_cached},
        "output_tokens": turn.n_output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": turn.n_input + turn.n_output,
    }
    whole: JsonObject = {
        "id": id_,
        "object": "response",
        "created_at": 1,
        "model": "served",
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": used,
    }
    begun: JsonObject = {**whole, "status": "in_progress", "output": [], "usage": None}
    place: JsonObject = {"output_index": 0, "content_index": 0, "item_id": "msg-1"}
    events: list[JsonObject] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **place, "part": {**text, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": one, "logprobs": []} for one in words(turn.text)),
        {"type": "response.output_text.done", **place, "text": turn.text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": text},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [_named({**event, "sequence_number": n}) for n, event in enumerate(events)]


def _named(event: JsonObject) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
