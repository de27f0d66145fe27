"""A finished OpenAI response as the server-sent events of a streamed one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from optimizer.domain.json import Json, JsonObject
from optimizer.gateway.http import HttpReply
from optimizer.models import shapes


def streamed_response(response: JsonObject) -> HttpReply:
    """All events at once, for an answer that is there as a whole: recorded, or translated."""
    events = (
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': n}, separators=(',', ':'))}\n\n"
        for n, event in enumerate(_events(response))
    )
    return HttpReply(status=200, body="".join(events).encode("ascii"), content_type="text/event-stream")


def _events(response: JsonObject) -> Iterator[JsonObject]:
    begun = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(shapes.objects(response.get("output"))):
        place: JsonObject = {"output_index": index, "item_id": item.get("id") or f"item_{index}"}
        yield {"type": "response.output_item.added", "output_index": index, "item": _empty(item)}
        if item.get("type") == "message":
            for part_index, part in enumerate(shapes.objects(item.get("content"))):
                yield from _part_events({**place, "content_index": part_index}, part)
        elif item.get("type") == "function_call":
            yield from _call_events(place, item)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    ended = "response.incomplete" if response.get("status") == "incomplete" else "response.completed"
    yield {"type": ended, "response": response}


def _empty(item: JsonObject) -> JsonObject:
    """An item before its first delta; kinds without deltas arrive whole."""
    if item.get("type") == "message":
        return {**item, "status": "in_progress", "content": []}
    if item.get("type") == "function_call":
        return {**item, "status": "in_progress", "arguments": ""}
    return item


def _part_events(place: JsonObject, part: JsonObject) -> Iterator[JsonObject]:
    is_refusal = part.get("type") == "refusal"
    name, kind = ("refusal", "response.refusal") if is_refusal else ("text", "response.output_text")
    extra: dict[str, Json] = {} if is_refusal else {"logprobs": []}
    words = shapes.text(part.get(name))
    yield {"type": "response.content_part.added", **place, "part": {**part, name: ""}}
    yield {"type": f"{kind}.delta", **place, "delta": words, **extra}
    yield {"type": f"{kind}.done", **place, name: words, **extra}
    yield {"type": "response.content_part.done", **place, "part": part}


def _call_events(place: JsonObject, item: JsonObject) -> Iterator[JsonObject]:
    kind = "response.function_call_arguments"
    yield {"type": f"{kind}.delta", **place, "delta": item["arguments"]}
    yield {"type": f"{kind}.done", **place, "name": item.get("name"), "arguments": item["arguments"]}
