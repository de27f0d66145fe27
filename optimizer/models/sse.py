"""Server-sent events, from bytes as they arrive to the data of each event. Names, ids and comments are dropped."""

from __future__ import annotations

import json

from optimizer.domain.json import Json, JsonObject
from optimizer.models.retry import TransientError

DONE = "[DONE]"
_SHOWN_CHARS = 200


class EventReader:
    """Feeds on pieces of any size."""

    def __init__(self) -> None:
        self._tail = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[str]:
        """The data of every event that this piece completes."""
        lines = (self._tail + piece).split(b"\n")
        self._tail = lines.pop()
        return [event for line in lines if (event := self._line(line.rstrip(b"\r"))) is not None]

    def _line(self, line: bytes) -> str | None:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        if line or not self._data:
            return None
        whole, self._data = b"\n".join(self._data), []
        return whole.decode("utf-8", "replace")


def event_of(data: str) -> JsonObject:
    """The JSON object of one event. Raises TransientError for anything else, and for an error a provider reports."""
    try:
        found: Json = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise TransientError(f"the provider's stream holds what is no JSON object: {data[:_SHOWN_CHARS]!r}")
    if found.get("error") or found.get("type") in {"error", "response.failed"}:
        raise TransientError(f"the provider's stream ends in an error: {data[:_SHOWN_CHARS]!r}")
    return found
