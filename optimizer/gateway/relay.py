"""A provider's events on their way to the harness, while the answer is still being given.

The end of an answer (why it stopped, its usage, the end mark) is held back until the answer is on record: no harness
sees a finished answer that a resume would have to buy again. What is passed on adds up to what the record replays.
"""

from __future__ import annotations

import json

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import WireFormat
from optimizer.gateway.outlet import Outlet
from optimizer.models import shapes

_CHUNK = ("id", "object", "created", "model", "service_tier", "system_fingerprint", "choices")
_ENDINGS = frozenset({"message_delta", "message_stop", "response.completed", "response.incomplete"})
_DROPPED = frozenset({"ping"})


class LiveRelay:
    """One streamed answer."""

    def __init__(self, wire: WireFormat, outlet: Outlet, *, is_usage_wanted: bool) -> None:
        self._wire = wire
        self._outlet = outlet
        self._is_usage_wanted = is_usage_wanted
        self._held: list[bytes] = []
        self._n_passed = 0

    @property
    def is_begun(self) -> bool:
        """Something has been passed on."""
        return self._outlet.is_begun

    def rewind(self) -> None:
        """Forget what has been held back."""
        self._held.clear()

    async def pass_on(self, event: JsonObject) -> None:
        """One event of the provider."""
        spelled = self._chunk(event) if self._wire == "chat" else _named(event)
        if self._held or _is_ending(event):
            self._held.append(spelled)
        elif spelled:
            self._n_passed += 1
            await self._outlet.write(spelled)

    async def finish(self) -> None:
        """The answer is on record: pass on its end."""
        for spelled in self._held:
            if spelled:
                await self._outlet.write(spelled)
        if self._wire == "chat":
            await self._outlet.write(b"data: [DONE]\n\n")

    async def fail(self, code: str, message: str) -> None:
        """The answer breaks off: say so in the words that the format's SDKs raise as an error."""
        error: JsonObject = {"message": message, "type": "api_error", "code": code}
        if self._wire == "chat":
            await self._outlet.write(_data({"error": error}))
        else:
            at: JsonObject = {"sequence_number": self._n_passed} if self._wire == "responses" else {}
            await self._outlet.write(_named({"type": "error", **at, "error": error}))

    def _chunk(self, event: JsonObject) -> bytes:
        """A chat chunk as this harness asked for it; the gateway itself always asks the provider for usage."""
        chunk: dict[str, Json] = {name: event[name] for name in _CHUNK if name in event}
        if self._is_usage_wanted:
            chunk["usage"] = event.get("usage")
        return _data(chunk) if shapes.objects(event.get("choices")) or chunk.get("usage") else b""


def _is_ending(event: JsonObject) -> bool:
    choices = shapes.objects(event.get("choices"))
    return event.get("type") in _ENDINGS or any(choice.get("finish_reason") for choice in choices)


def _named(event: JsonObject) -> bytes:
    if event.get("type") in _DROPPED:
        return b""
    return b"event: " + shapes.text(event.get("type")).encode("ascii", "replace") + b"\n" + _data(event)


def _data(event: JsonObject) -> bytes:
    shown = {name: value for name, value in event.items() if name != "obfuscation"}
    return b"data: " + json.dumps(shown, separators=(",", ":")).encode("ascii") + b"\n\n"
