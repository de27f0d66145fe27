"""One attempt at an answer: as a whole, or event by event while each is passed on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from optimizer.domain.errors import ModelUnavailableError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import WireFormat
from optimizer.models.assembly import assembly_of
from optimizer.models.attempts import Attempt, OutgoingCall, Relay
from optimizer.models.http_provider import HttpProvider
from optimizer.models.retry import TransientError
from optimizer.models.sse import DONE, event_of

_ASKED: Mapping[WireFormat, JsonObject] = {
    "chat": {"stream": True, "stream_options": {"include_usage": True}},  # or the call cannot be metered
    "messages": {"stream": True},
    "responses": {"stream": True},
}


async def fetched(http: HttpProvider, path: str, call: OutgoingCall, attempt: Attempt) -> bytes:
    """The whole answer's JSON.

    Raises:
        TransientError: for what may pass.
        ModelUnavailableError: when an answer breaks off after a part of it was passed on: asked again, the model would
            say something else.
        ModelError: for the rest.
    """
    if call.relay is None:
        return await http.post(path, call.request, attempt)
    try:
        return await _streamed(http, path, call, call.relay, attempt)
    except TransientError as error:
        if not call.relay.is_begun:
            raise
        raise ModelUnavailableError(f"{error} (after a part of the answer was passed on)") from error


async def _streamed(http: HttpProvider, path: str, call: OutgoingCall, relay: Relay, attempt: Attempt) -> bytes:
    assembly = assembly_of(call.wire)
    relay.rewind()

    async def take(data: str) -> None:
        if data.strip() != DONE:
            event = event_of(data)
            assembly.add(event)
            await relay.pass_on(event)

    whole = await http.events(path, {**call.request, **_ASKED[call.wire]}, attempt, take)
    if whole is not None:
        return whole
    if not assembly.is_whole:
        raise TransientError("the provider's stream ended before its answer did")
    return http.without_key(json.dumps(assembly.body()).encode("ascii"))
