"""One rollout on this machine: environment and gateway on the trusted side, the harness in the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from optimizer.domain.errors import BenchmarkError
from optimizer.domain.rollout import Rollout, RolloutJob, Status
from optimizer.domain.task import Benchmark, Check, Score
from optimizer.domain.trace import Span, Trace
from optimizer.evaluate.executor import Executed
from optimizer.evaluate.metrics import recorded_metrics
from optimizer.gateway.door import Door
from optimizer.gateway.gateway import Gateway
from optimizer.gateway.tape import DoorRecord
from sandbox.contract import Limits, Result, Sandbox, Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalExecutor:
    """Runs a job in the local sandbox."""

    benchmark: Benchmark
    gateway: Gateway
    sandbox: Sandbox
    files: Callable[[str], Mapping[str, bytes]]
    """Harness files of a tree hash."""
    limits: Limits
    command: tuple[str, ...] | None = None
    """`entry` of campaign.toml; None runs agent.py."""

    async def execute(self, job: RolloutJob) -> Executed:
        """Open the task, run the harness against it, grade what it left."""
        try:
            return await self._execute(job)
        except BenchmarkError as error:
            return _not_measured(job, f"benchmark: {error}")

    async def _execute(self, job: RolloutJob) -> Executed:
        environment = await self.benchmark.open(job.task, trial=job.luck)
        try:
            async with self.gateway.open(job, environment) as door:
                result = await self.sandbox.run(self._spec(job, door))
                record = door.recording()
            score = await environment.grade()
        finally:
            await environment.close()
        return _outcome(job, result, record, score)

    def _spec(self, job: RolloutJob, door: Door) -> Spec:
        return Spec(files=self.files(job.tree), command=self.command, socket=door.socket, limits=self.limits)


def _outcome(job: RolloutJob, result: Result, record: DoorRecord, score: Score) -> Executed:
    status, note = _status(result, record, score)
    value = score.value if status in {"passed", "failed"} else 0.0
    trace = Trace(spans=_with_ending(record.spans, result, status, score.checks))
    rollout = Rollout(
        job=job,
        status=status,
        score=None if status == "infra_error" else value,
        checks=score.checks,
        usage=record.usage,
        trace_sha=None,
        note=note,
        sandbox_level=result.level,
        wall_s=result.wall_s,
        cpu_s=result.cpu_s,
        metrics=recorded_metrics(score, record),
    )
    return Executed(rollout=rollout, trace=trace)


def _status(result: Result, record: DoorRecord, score: Score) -> tuple[Status, str]:
    """The candidate answers for its crashes and its limits; infrastructure answers for itself."""
    if record.infra is not None:
        return "infra_error", record.infra
    if result.kind == "infra":
        return "infra_error", f"sandbox: {result.note}"
    if record.cap_hit is not None:
        return "over_budget", record.cap_hit
    if result.kind == "timeout":
        return "timed_out", f"still running after {result.wall_s:.0f} s"
    if result.kind != "ok":
        return "crashed", f"{result.kind}: {_last_line(result)}"
    return ("passed" if score.is_pass else "failed"), ""


def _last_line(result: Result) -> str:
    lines = [line.strip() for line in result.stderr.text.splitlines() if line.strip()]
    return (lines[-1] if lines else f"wait status {result.status}")[:300]


def _with_ending(
    spans: tuple[Span, ...], result: Result, status: Status, checks: tuple[Check, ...]
) -> tuple[Span, ...]:
    """Append what the harness printed when it did not end well, and the checks."""
    endings = list(spans)
    output = (result.stderr.text + result.stdout.text).strip()
    if output and status not in {"passed", "failed"}:
        endings.append(
            Span(index=len(endings), kind="harness_output", name=result.kind, input="", output=output, is_error=True)
        )
    for check in checks:
        endings.append(
            Span(
                index=len(endings),
                kind="check",
                name=check.name,
                input=check.detail,
                output=check.is_passed,
                is_error=not check.is_passed,
            )
        )
    return tuple(endings)


def _not_measured(job: RolloutJob, note: str) -> Executed:
    rollout = Rollout(
        job=job,
        status="infra_error",
        score=None,
        checks=(),
        usage=Trace(spans=()).usage,
        trace_sha=None,
        note=note,
        sandbox_level="none",
        wall_s=0.0,
        cpu_s=0.0,
    )
    return Executed(rollout=rollout, trace=Trace(spans=()))
