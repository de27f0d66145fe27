"""Our own traces: what `hone trace --json` prints, and the bare list of spans that a ledger keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from optimizer.domain.json import Json
from optimizer.domain.rollout import Status
from optimizer.domain.task import Check, ToolSchema
from optimizer.domain.trace import Span, SpanKind, Trace, Usage
from optimizer.telemetry.imported import ImportedRun, Outcome, Record, Verdict
from optimizer.telemetry.limits import MAX_MESSAGES, UnreadableError
from optimizer.telemetry.verdicts import checks_of, score_of, tools_of


class _Usage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    usd: float | None = None
    n_calls: int = 0
    n_replayed_calls: int = 0


class _Span(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    kind: SpanKind
    name: Annotated[str, Field(max_length=10_000)]
    input: JsonValue = None
    output: JsonValue = None
    is_error: bool = False
    usage: _Usage = _Usage()
    wall_s: float = 0.0


class _Task(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    id: str
    group: str = ""


class _Job(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    task: _Task


class _Rollout(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    job: _Job
    status: Status
    score: JsonValue = None
    checks: JsonValue = None
    note: str = ""


def is_hone_trace(value: Json) -> bool:
    """`{"rollout": {...}, "spans": [...]}`, `{"spans": [...]}` with our kinds, or a list of span lists."""
    if isinstance(value, Mapping):
        spans = value.get("spans")
        first = spans[0] if isinstance(spans, list) and spans else None
        return isinstance(spans, list) and ("rollout" in value or (isinstance(first, Mapping) and "kind" in first))
    first = value[0] if isinstance(value, list) and value else None
    return isinstance(first, list) and len(first) == 7 and isinstance(first[1], str)


def read_hone_trace(record: Record) -> Iterator[ImportedRun]:
    """One run. Raises UnreadableError."""
    value = record.value
    spelled = value.get("spans") if isinstance(value, Mapping) else value
    if not isinstance(spelled, list) or len(spelled) > MAX_MESSAGES:
        raise UnreadableError(f"no list of at most {MAX_MESSAGES:,} spans")
    try:
        spans = tuple(_span(index, one) for index, one in enumerate(spelled))
        given = value.get("rollout") if isinstance(value, Mapping) else None
        rollout = None if given is None else _Rollout.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UnreadableError(f"no trace of ours: {where}: {first['msg']}") from error
    task = record.sha if rollout is None else rollout.job.task.id
    yield ImportedRun(
        id=record.sha,
        origin=record.origin,
        format="hone",
        task_id=task,
        group=(rollout.job.task.group if rollout is not None else "") or task,
        verdict=_verdict(rollout, spans),
        tools=_tools(spans),
        trace=Trace(spans=spans),
    )


def _span(index: int, spelled: Json) -> Span:
    span = _Span.model_validate(_by_name(spelled) if isinstance(spelled, list) else spelled)
    return Span(
        index=index,
        kind=span.kind,
        name=span.name,
        input=span.input,
        output=span.output,
        is_error=span.is_error,
        usage=Usage(**span.usage.model_dump()),
        wall_s=span.wall_s,
    )


def _by_name(spelled: list[Json]) -> Json:
    """A span as a ledger keeps it: the fields in order, wall time apart, usage as a list."""
    fields: dict[str, Json] = dict(zip(("index", "kind", "name", "input", "output", "is_error"), spelled, strict=False))
    usage = spelled[6] if len(spelled) > 6 else None
    return fields | {"usage": dict(zip(_Usage.model_fields, usage, strict=False)) if isinstance(usage, list) else {}}


def _verdict(rollout: _Rollout | None, spans: tuple[Span, ...]) -> Verdict:
    if rollout is None:
        checks = tuple(Check(name=s.name, is_passed=bool(s.output)) for s in spans if s.kind == "check")
        outcome: Outcome = "failed" if any(not check.is_passed for check in checks) else "unknown"
        return Verdict(outcome=outcome, checks=checks)
    outcome = {"passed": "passed", "infra_error": "unknown"}.get(rollout.status, "failed")  # type: ignore[assignment]
    return Verdict(
        outcome=outcome,
        score=score_of(rollout.score),
        checks=checks_of(rollout.checks),
        status=rollout.status,
        note=rollout.note,
    )


def _tools(spans: tuple[Span, ...]) -> tuple[ToolSchema, ...]:
    """The tools of the first model call that shows any."""
    requests = (span.input for span in spans if span.kind == "model_call")
    return next(
        (found for body in requests if isinstance(body, Mapping) and (found := tools_of(body.get("tools")))), ()
    )
