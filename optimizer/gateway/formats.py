"""The three wire formats of a door: how a request comes in, and how its answer goes out."""

from __future__ import annotations

import json

from optimizer.domain.json import JsonObject
from optimizer.domain.model import NativeUpstream, Upstream, WireFormat
from optimizer.gateway.chat_request import ModelRoute, PinnedRequest, pin
from optimizer.gateway.http import HttpReply
from optimizer.gateway.messages_request import pin_messages
from optimizer.gateway.responses_request import pin_responses
from optimizer.gateway.streaming import streamed_reply
from optimizer.gateway.streaming_messages import streamed_message
from optimizer.gateway.streaming_responses import streamed_response
from optimizer.models.chat_messages import completion_from_message, message_from_completion
from optimizer.models.chat_responses import completion_from_response, response_from_completion


def is_native(wire: WireFormat, upstream: Upstream) -> bool:
    """Whether the upstream speaks a format itself."""
    return isinstance(upstream, NativeUpstream) and wire in upstream.native_formats


def pin_as(wire: WireFormat, body: JsonObject, route: ModelRoute, upstream: Upstream) -> PinnedRequest:
    """Check a request in the harness's format; it goes on in that format or, translated, as chat completions.

    Raises:
        RequestRefusedError: 400, saying what is not allowed.
    """
    if wire == "messages":
        return pin_messages(body, route, is_native=is_native(wire, upstream))
    if wire == "responses":
        return pin_responses(body, route, is_native=is_native(wire, upstream))
    return pin(body, route)


def as_chat(body: JsonObject, wire: WireFormat) -> JsonObject:
    """An upstream's answer as a chat completion: what a trace shows."""
    if wire == "messages":
        return completion_from_message(body)
    return completion_from_response(body) if wire == "responses" else body


def delivered(body_json: str, wire: WireFormat, pinned: PinnedRequest) -> HttpReply:
    """An upstream's answer in the format the harness speaks, streamed or whole."""
    if not pinned.is_streamed and wire == pinned.wire:
        return HttpReply(status=200, body=body_json.encode("utf-8"))
    body: JsonObject = json.loads(body_json)
    spoken = body if wire == pinned.wire else _from_chat(body, wire)
    if not pinned.is_streamed:
        return HttpReply(status=200, body=json.dumps(spoken, separators=(",", ":")).encode("ascii"))
    if wire == "messages":
        return streamed_message(spoken)
    if wire == "responses":
        return streamed_response(spoken)
    return streamed_reply(spoken, is_usage_wanted=pinned.is_usage_streamed)


def _from_chat(completion: JsonObject, wire: WireFormat) -> JsonObject:
    return message_from_completion(completion) if wire == "messages" else response_from_completion(completion)
