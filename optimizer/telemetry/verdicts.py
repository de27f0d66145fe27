"""How a foreign log says that a run went well or badly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.task import Check, ToolSchema
from optimizer.telemetry.imported import Outcome, Verdict

PASSED = frozenset(
    {"pass", "passed", "success", "succeeded", "successful", "resolved", "correct", "thumbs_up", "positive"}
)
FAILED = frozenset(
    {"fail", "failed", "failure", "error", "errored", "crashed", "unresolved", "incorrect", "thumbs_down", "negative"}
)
_FLAGS = ("passed", "is_passed", "success", "successful", "resolved", "correct")
_SCORES = ("score", "reward")
_WORDS = ("outcome", "result", "verdict", "feedback", "status")
_TASKS = ("task_id", "task", "case_id", "example_id")
_GROUPS = ("group", "session_id", "conversation_id", "thread_id", "user_id", "customer_id", "user")
_RUNS = ("id", "run_id", "trace_id")


class SpelledCheck(BaseModel):
    """A named check in a log."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    name: str
    is_passed: bool = Field(validation_alias=AliasChoices("is_passed", "passed", "met", "success"))
    detail: str = ""


class _Spelled(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
    parameters: dict[str, JsonValue] = Field(
        default_factory=dict, validation_alias=AliasChoices("parameters", "input_schema", "inputSchema")
    )


def verdict_of(record: JsonObject) -> Verdict:
    """The verdict that a record or its `metadata` gives: a flag first, then a score, then a word."""
    checks = checks_of(record.get("checks"))
    for fields in (record, record.get("metadata")):
        if not isinstance(fields, Mapping):
            continue
        score = next((score for key in _SCORES if (score := score_of(fields.get(key))) is not None), None)
        outcome = _outcome(fields, score)
        if outcome != "unknown":
            return Verdict(outcome=outcome, score=score, checks=checks)
    if checks:
        return Verdict(outcome="passed" if all(check.is_passed for check in checks) else "failed", checks=checks)
    return Verdict()


def _outcome(fields: JsonObject, score: float | None) -> Outcome:
    flag = next((value for key in _FLAGS if isinstance(value := fields.get(key), bool)), None)
    if flag is None and score is not None:
        flag = score >= 0.5
    if flag is not None:
        return "passed" if flag else "failed"
    said = {value.lower() for key in _WORDS if isinstance(value := fields.get(key), str)}
    return "failed" if said & FAILED else "passed" if said & PASSED else "unknown"


def score_of(value: Json) -> float | None:
    """A number as a score in [0, 1]; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9 or math.isnan(value):
        return None
    return min(1.0, max(0.0, float(value)))


def checks_of(value: Json) -> tuple[Check, ...]:
    """Named checks; what is none is passed over."""
    return tuple(_checks(value))


def _checks(value: Json) -> Iterator[Check]:
    for spelled in value if isinstance(value, list) else ():
        try:
            check = SpelledCheck.model_validate(spelled)
        except ValidationError:
            continue
        yield Check(name=check.name, is_passed=check.is_passed, detail=check.detail)


def tools_of(value: Json) -> tuple[ToolSchema, ...]:
    """Tools offered, in the chat, responses, Anthropic or MCP spelling; what is none is passed over."""
    return tuple(_tools(value))


def _tools(value: Json) -> Iterator[ToolSchema]:
    for spelled in value if isinstance(value, list) else ():
        inner = spelled.get("function", spelled) if isinstance(spelled, Mapping) else {"name": spelled}
        try:
            tool = _Spelled.model_validate(inner)
        except ValidationError:
            continue
        yield ToolSchema(name=tool.name, description=tool.description, parameters=tool.parameters)


def task_of(record: JsonObject, otherwise: str) -> str:
    """Name of what was asked."""
    return _first(record, _TASKS) or _first(record, _RUNS) or otherwise


def group_of(record: JsonObject, otherwise: str) -> str:
    """Name of the customer, session or thread."""
    return _first(record, _GROUPS) or otherwise


def _first(record: JsonObject, keys: tuple[str, ...]) -> str:
    below = record.get("metadata")
    for fields in (record, below if isinstance(below, Mapping) else {}):
        for key in keys:
            value = fields.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return str(value)[:200]
    return ""
