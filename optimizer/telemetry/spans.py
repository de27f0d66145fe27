"""From turns to the spans of a trace, as the gateway would have recorded them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.task import ToolSchema
from optimizer.domain.trace import Span, SpanKind, Trace, Usage
from optimizer.telemetry.conversation import Call, Turn


def trace_of(turns: Sequence[Turn], tools: Sequence[ToolSchema]) -> Trace:
    """A trace: per assistant message a model call, then its tool calls with their results, or its words to the user."""
    return Trace(spans=_Reel(turns, tools).spans())


class _Reel:
    """The spans of one conversation while they are being made."""

    def __init__(self, turns: Sequence[Turn], tools: Sequence[ToolSchema]) -> None:
        self._turns = turns
        self._tools = tools
        self._spans: list[Span] = []
        self._unseen: list[Json] = []
        """Messages since the last model call."""
        self._said: str | None = None
        """The agent's words that no user has answered yet."""
        self._n_calls = 0

    def spans(self) -> tuple[Span, ...]:
        place = 0
        while place < len(self._turns):
            turn = self._turns[place]
            place += 1
            if turn.role == "assistant":
                results = tuple(_run_of_results(self._turns, place))
                self._assistant(turn, results)
                place += len(results)
            elif turn.role == "tool":
                self._call(Call(id=turn.call_id, name=turn.name or "unknown", arguments={}), turn)
            else:
                self._heard(turn)
        if self._said is not None:
            self._add("user_turn", "user", self._said, "")
        return tuple(self._spans)

    def _heard(self, turn: Turn) -> None:
        if turn.role == "user" and (self._said is not None or self._n_calls):
            self._add("user_turn", "user", self._said or "", turn.text)
            self._said = None
        self._unseen.append(message_of(turn))

    def _assistant(self, turn: Turn, results: Sequence[Turn]) -> None:
        if self._said is not None:
            self._add("user_turn", "user", self._said, "")
        request: dict[str, Json] = {"messages": self._unseen}
        if self._tools and self._n_calls == 0:
            request["tools"] = [tool_json(tool) for tool in self._tools]
        self._add("model_call", turn.name or "model", request, message_of(turn), usage=turn.usage)
        self._n_calls += 1
        self._said = turn.text if turn.text and not turn.calls else None
        self._unseen = [message_of(result) for result in results]
        left = list(results)
        for call in turn.calls:
            self._call(call, _answer(call, left))
        for result in left:
            self._call(Call(id=result.call_id, name=result.name or "unknown", arguments={}), result)

    def _call(self, call: Call, result: Turn | None) -> None:
        output, is_error = (result.text, result.is_error) if result is not None else ("", False)
        self._add("tool_call", call.name or "unknown", call.arguments, output, is_error=is_error)

    def _add(
        self,
        kind: SpanKind,
        name: str,
        given: Json,
        output: Json,
        *,
        is_error: bool = False,
        usage: Usage | None = None,
    ) -> None:
        self._spans.append(
            Span(
                index=len(self._spans),
                kind=kind,
                name=name,
                input=given,
                output=output,
                is_error=is_error,
                usage=usage or Usage(),
            )
        )


def _run_of_results(turns: Sequence[Turn], place: int) -> Iterator[Turn]:
    while place < len(turns) and turns[place].role == "tool":
        yield turns[place]
        place += 1


def _answer(call: Call, left: list[Turn]) -> Turn | None:
    """The result of a call, by its id, or the next one without an id; taken from those left."""
    named = next((result for result in left if call.id and result.call_id == call.id), None)
    found = named or next((result for result in left if not result.call_id or not call.id), None)
    if found is not None:
        left.remove(found)
    return found


def message_of(turn: Turn) -> JsonObject:
    """A turn in the chat format."""
    message: dict[str, Json] = {"role": turn.role, "content": turn.text}
    if turn.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": dump(call.arguments)}}
            for call in turn.calls
        ]
    return message | ({"tool_call_id": turn.call_id} if turn.call_id else {})


def dump(value: Json) -> str:
    """Arguments as a model spells them."""
    return json.dumps(value, ensure_ascii=False)


def tool_json(tool: ToolSchema) -> JsonObject:
    """A tool in the chat format."""
    function: JsonObject = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}
