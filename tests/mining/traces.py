"""Hand-made traces, in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.rollout import Rollout, RolloutJob, Status
from optimizer.domain.task import Check, Task
from optimizer.domain.trace import Span, Trace, Usage

TASK = Task(id="train-1", split="train", group="g")
SpanFields = dict[str, object]


def call(name: str, output: str = "{}", *, is_error: bool = False, **arguments: Json) -> SpanFields:
    return {"kind": "tool_call", "name": name, "input": arguments, "output": output, "is_error": is_error}


def failing(name: str, output: str = "Error: it did not work", **arguments: Json) -> SpanFields:
    return call(name, output, is_error=True, **arguments)


def say(words: str, reply: str = "Yes.") -> SpanFields:
    return {"kind": "user_turn", "name": "user", "input": words, "output": reply}


def tool(name: str, **fields: str) -> JsonObject:
    """A tool as it is offered; every field is required and has the type given."""
    schema: JsonObject = {
        "type": "object",
        "properties": {field: {"type": kind} for field, kind in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": "", "parameters": schema}}


def model(
    *,
    tools: Sequence[JsonObject] = (),
    user: str = "Hello.",
    system: str = "You help.",
    text: str | None = "Right.",
    calls: Mapping[str, str] | None = None,
    **fields: object,
) -> SpanFields:
    """A model call; `calls` are tool names and raw arguments."""
    messages: list[JsonObject] = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    wanted = [{"id": f"c-{n}", "function": {"name": n, "arguments": raw}} for n, raw in (calls or {}).items()]
    output = {"role": "assistant", "content": text, **({"tool_calls": wanted} if wanted else {})}
    request: JsonObject = {"messages": messages, **({"tools": list(tools)} if tools else {})}
    return {"kind": "model_call", "name": "m", "input": request, "output": output, **fields}


def trace_of(spans: Sequence[SpanFields]) -> Trace:
    return Trace(spans=tuple(Span(index=i, **span) for i, span in enumerate(spans)))  # type: ignore[arg-type]


def rollout_of(failed: Mapping[str, str], status: Status = "failed", note: str = "") -> Rollout:
    return Rollout(
        job=RolloutJob(tree="t" * 40, task=TASK, purpose="mine", trial=0),
        status=status,
        score=0.0,
        checks=tuple(Check(name=name, is_passed=False, detail=detail) for name, detail in failed.items()),
        usage=Usage(),
        trace_sha=None,
        note=note,
        sandbox_level="fake",
        wall_s=0.0,
        cpu_s=0.0,
    )
