"""Chat completion chunks, put together to one chat completion."""

from __future__ import annotations

from optimizer.domain.json import Json, JsonObject
from optimizer.models import shapes

_FRAME = ("id", "created", "model", "service_tier", "system_fingerprint")


class ChatAssembly:
    """One choice: the gateway lets no harness ask for more."""

    def __init__(self) -> None:
        self._frame: dict[str, Json] = {}
        self._message: dict[str, Json] = {"role": "assistant", "content": None}
        self._calls: dict[int, dict[str, Json]] = {}
        self._logprobs: dict[str, list[Json]] = {}
        self._finish: Json = None
        self._usage: Json = None

    @property
    def is_whole(self) -> bool:
        """The model has said why it stopped. Usage follows in a chunk of its own, the end mark is left out by some."""
        return self._finish is not None

    def add(self, event: JsonObject) -> None:
        """Take the next chunk."""
        for name in _FRAME:
            if self._frame.get(name) is None and event.get(name) is not None:
                self._frame[name] = event[name]
        self._usage = event.get("usage") or self._usage
        for choice in shapes.objects(event.get("choices")):
            self._grow(shapes.part(choice.get("delta") or {}))
            self._add_logprobs(shapes.part(choice.get("logprobs") or {}))
            self._finish = choice.get("finish_reason") or self._finish

    def _grow(self, delta: JsonObject) -> None:
        for name, value in delta.items():
            if name == "tool_calls":
                for call in shapes.objects(value):
                    self._grow_call(call)
            elif isinstance(value, str) and name != "role":
                self._message[name] = shapes.text(self._message.get(name)) + value
            elif value is not None:
                self._message[name] = value

    def _grow_call(self, piece: JsonObject) -> None:
        index = piece.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else len(self._calls), {})
        for name, value in piece.items():
            if name == "function":
                call["function"] = _grown(shapes.part(call.get("function") or {}), shapes.part(value or {}))
            elif name != "index" and value is not None:
                call[name] = value

    def _add_logprobs(self, found: JsonObject) -> None:
        for name, value in found.items():
            if value is not None:
                self._logprobs.setdefault(name, []).extend(shapes.objects(value))

    def body(self) -> JsonObject:
        """The completion."""
        message = dict(self._message)
        if self._calls:
            calls: list[Json] = [{"type": "function", **call} for _, call in sorted(self._calls.items())]
            message |= {"content": message["content"] or None, "tool_calls": calls}
        choice: dict[str, Json] = {"index": 0, "message": message, "finish_reason": self._finish}
        choice["logprobs"] = {**self._logprobs} if self._logprobs else None
        found: dict[str, Json] = {**self._frame, "object": "chat.completion", "choices": [choice]}
        return found | {"usage": self._usage} if self._usage else found


def _grown(function: JsonObject, piece: JsonObject) -> JsonObject:
    arguments = shapes.text(function.get("arguments")) + shapes.text(piece.get("arguments"))
    more = {name: value for name, value in piece.items() if name != "arguments" and value is not None}
    return {**function, **more, "arguments": arguments}
