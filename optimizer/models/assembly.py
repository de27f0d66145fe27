"""The events of a streamed answer, put together to the answer that the same request gets when it is not streamed."""

from __future__ import annotations

from typing import Protocol

from pydantic_core import from_json

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import WireFormat
from optimizer.models import shapes
from optimizer.models.assembly_chat import ChatAssembly


class Assembly(Protocol):
    """One answer in the making."""

    @property
    def is_whole(self) -> bool:
        """The provider has said that it is done."""
        ...

    def add(self, event: JsonObject) -> None:
        """Take the next event."""
        ...

    def body(self) -> JsonObject:
        """The answer, once it is whole."""
        ...


def assembly_of(wire: WireFormat) -> Assembly:
    """An empty answer in one of the formats."""
    if wire == "messages":
        return MessageAssembly()
    return ResponseAssembly() if wire == "responses" else ChatAssembly()


class ResponseAssembly:
    """OpenAI responses: the last event carries the answer."""

    def __init__(self) -> None:
        self.is_whole = False
        self._response: JsonObject = {}

    def add(self, event: JsonObject) -> None:
        """Take the next event."""
        if event.get("type") in {"response.completed", "response.incomplete"}:
            self._response = shapes.part(event.get("response") or {})
            self.is_whole = True

    def body(self) -> JsonObject:
        """The answer."""
        return self._response


class MessageAssembly:
    """Anthropic messages: a frame, blocks by index, then how it ended."""

    def __init__(self) -> None:
        self.is_whole = False
        self._message: dict[str, Json] = {}
        self._blocks: dict[int, dict[str, Json]] = {}
        self._spelled: dict[int, str] = {}

    def add(self, event: JsonObject) -> None:
        """Take the next event."""
        kind, index = event.get("type"), event.get("index")
        at = index if isinstance(index, int) else 0
        if kind == "message_start":
            self._message = dict(shapes.part(event.get("message") or {}))
        elif kind == "content_block_start":
            self._blocks[at] = dict(shapes.part(event.get("content_block") or {}))
        elif kind == "content_block_delta":
            self._grow(at, shapes.part(event.get("delta") or {}))
        elif kind == "message_delta":
            self._message |= shapes.part(event.get("delta") or {})
            self._count(shapes.part(event.get("usage") or {}))
        self.is_whole = self.is_whole or kind == "message_stop"

    def _grow(self, at: int, delta: JsonObject) -> None:
        block = self._blocks.setdefault(at, {})
        if delta.get("type") == "input_json_delta":
            self._spelled[at] = self._spelled.get(at, "") + shapes.text(delta.get("partial_json"))
            return
        if delta.get("type") == "citations_delta":
            block["citations"] = [*shapes.objects(block.get("citations")), delta.get("citation")]
            return
        for name in ("text", "thinking", "signature"):
            if name in delta:
                block[name] = shapes.text(block.get(name)) + shapes.text(delta[name])

    def _count(self, used: JsonObject) -> None:
        """Counts are cumulative; a null says nothing new."""
        before = shapes.part(self._message.get("usage") or {})
        self._message["usage"] = {**before, **{name: n for name, n in used.items() if n is not None}}

    def body(self) -> JsonObject:
        """The answer."""
        blocks: list[Json] = []
        for at, block in sorted(self._blocks.items()):
            spelled = self._spelled.get(at)
            blocks.append({**block, "input": _input(spelled)} if spelled else block)
        return {**self._message, "content": blocks}


def _input(spelled: str) -> Json:
    """Tool arguments; cut off by the output limit, they hold what was whole, as the provider's SDK reads them."""
    try:
        found: Json = from_json(spelled, allow_partial=True)
    except ValueError:
        return {}
    return found
