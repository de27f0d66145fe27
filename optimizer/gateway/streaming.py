"""A finished chat completion as the server-sent events of a streamed one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from optimizer.domain.json import Json, JsonObject
from optimizer.gateway.http import HttpReply

_COMMON = ("id", "created", "model", "service_tier", "system_fingerprint")


def streamed_reply(completion: JsonObject, *, is_usage_wanted: bool) -> HttpReply:
    """All chunks at once, for an answer that is there as a whole: recorded, or translated."""
    events = [f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n" for chunk in _chunks(completion, is_usage_wanted)]
    body = "".join([*events, "data: [DONE]\n\n"])
    return HttpReply(status=200, body=body.encode("ascii"), content_type="text/event-stream")


def _chunks(completion: JsonObject, is_usage_wanted: bool) -> Iterator[JsonObject]:  # noqa: FBT001 - private
    common: dict[str, Json] = {key: completion[key] for key in _COMMON if key in completion}
    common["object"] = "chat.completion.chunk"
    if is_usage_wanted:
        common["usage"] = None
    choices = completion["choices"]
    for choice in choices if isinstance(choices, Sequence) else ():
        if isinstance(choice, Mapping):
            for part in _choice_chunks(choice):
                yield common | {"choices": [part]}
    if is_usage_wanted:
        yield common | {"choices": [], "usage": completion.get("usage")}


def _choice_chunks(choice: JsonObject) -> Iterator[JsonObject]:
    index = choice.get("index", 0)
    message = choice["message"]
    for delta in _deltas(message) if isinstance(message, Mapping) else ():
        yield {"index": index, "delta": delta, "finish_reason": None}
    last: dict[str, Json] = {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}
    if choice.get("logprobs") is not None:
        last["logprobs"] = choice["logprobs"]
    yield last


def _deltas(message: JsonObject) -> Iterator[JsonObject]:
    yield {"role": "assistant", "content": ""}
    for key, value in message.items():  # a provider's own additions, such as reasoning, come live as well
        if value and key not in {"role", "tool_calls"}:
            yield {key: value}
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, Sequence) else ()):
        if isinstance(call, Mapping):
            yield {"tool_calls": [{"index": index, **call}]}
