"""Labelled examples for calibration, one JSON object per line.

    {"rollout": "<id>", "label": "pass"}                        a rollout of a recorded campaign
    {"transcript": [{"role": "user", "content": "..."}, ...], "label": "fail", "id": "optional"}

Roles are `user`, `assistant` and `tool` (with an optional `name`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from optimizer.domain.errors import ConfigError
from optimizer.domain.json import content_hash
from optimizer.domain.trace import Span, SpanKind, Trace
from optimizer.evals.calibration import LabelledRun

SHAPE = ConfigDict(extra="forbid", frozen=True, strict=True)
KINDS: dict[str, SpanKind] = {"user": "user_turn", "assistant": "model_call", "tool": "tool_call"}
TraceOf = Callable[[str], Trace | None]
"""Trace of a rollout by its id; None when there is no such rollout."""


class _Said(BaseModel):
    model_config = SHAPE

    role: Literal["user", "assistant", "tool"]
    content: str
    name: str = ""


class _Example(BaseModel):
    model_config = SHAPE

    label: Literal["pass", "fail"]
    rollout: Annotated[str, Field(min_length=1)] | None = None
    transcript: Annotated[tuple[_Said, ...], Field(min_length=1)] | None = None
    id: str = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> _Example:
        if (self.rollout is None) == (self.transcript is None):
            raise ValueError("either `rollout` or `transcript`")
        return self


def read_examples(path: Path, trace_of: TraceOf) -> tuple[LabelledRun, ...]:
    """Read a file of labelled examples.

    Raises:
        ConfigError: the file cannot be read, a line has another shape, or a run occurs twice or is not recorded.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({error}). Name a JSONL file with labelled examples.") from error
    runs = [_run(line, f"{path}, line {number}", trace_of) for number, line in enumerate(lines, 1) if line.strip()]
    if not runs:
        raise ConfigError(f'{path} holds no examples. One per line: {{"rollout": "<id>", "label": "pass"}}.')
    seen: set[str] = set()
    for run in runs:
        if run.id in seen:
            raise ConfigError(f"{path}: {run.id} is labelled twice; a run counts once. Remove one of the lines.")
        seen.add(run.id)
    return tuple(runs)


def _run(line: str, where: str, trace_of: TraceOf) -> LabelledRun:
    try:
        example = _Example.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"])) or "the line"
        raise ConfigError(f"{where}: {key}: {first['msg']}. Correct it, or remove the line.") from error
    if example.rollout is not None:
        trace = trace_of(example.rollout)
        if trace is None:
            raise ConfigError(f"{where}: no rollout {example.rollout!r} in this campaign. Correct it, or --campaign.")
        return LabelledRun(id=example.rollout, trace=trace, label=example.label)
    spans = tuple(_span(index, said) for index, said in enumerate(example.transcript or ()))
    words = [[said.role, said.name, said.content] for said in example.transcript or ()]
    return LabelledRun(id=example.id or content_hash(words), trace=Trace(spans=spans), label=example.label)


def _span(index: int, said: _Said) -> Span:
    return Span(index=index, kind=KINDS[said.role], name=said.name or said.role, input="", output=said.content)
