"""Results of tau-bench (one object per run) and tau2-bench (`simulations` in one results file).

Checks are named after our taxonomy. Their details name tools, never the expected arguments or answers: what a case or a
proposer sees must not hold gold values. The task's instructions and gold actions are not part of the trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from optimizer.domain.json import Json
from optimizer.domain.task import Check
from optimizer.domain.trace import Trace
from optimizer.telemetry.conversation import turns_of
from optimizer.telemetry.imported import ImportedRun, Record, Verdict
from optimizer.telemetry.limits import UnreadableError
from optimizer.telemetry.spans import trace_of

SOLVED = 1.0 - 1e-6
_CRASHES = frozenset({"agent_error", "too_many_errors"})
_READS = ("get_", "search_", "list_", "find_", "calculate", "think", "check_", "lookup_", "view_")


class _Open(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Action(_Open):
    name: str


class _Checked(_Open):
    action: _Action | None = None
    action_match: bool | None = None
    db_match: bool | None = None
    met: bool | None = None


class _Reward(_Open):
    reward: float | None = None
    actions: list[_Action] | None = None
    db_check: _Checked | None = None
    action_checks: list[_Checked] | None = None
    env_assertions: list[_Checked] | None = None
    communicate_checks: list[_Checked] | None = None
    nl_assertions: list[_Checked] | None = None


class _Info(_Open):
    reward_info: _Reward | None = None


class _TauRun(_Open):
    task_id: str | int
    reward: float
    info: _Info | None = None
    traj: JsonValue


class _Simulation(_Open):
    id: Annotated[str, Field(max_length=200)] = ""
    task_id: str | int
    messages: JsonValue
    reward_info: _Reward | None = None
    termination_reason: str | None = None


def is_tau(value: Json) -> bool:
    """A run of tau-bench."""
    return isinstance(value, Mapping) and "traj" in value and "reward" in value


def read_tau(record: Record) -> Iterator[ImportedRun]:
    """One run. Raises UnreadableError."""
    value = record.value
    if isinstance(value, Mapping) and not isinstance(value.get("info"), Mapping):
        value = {**value, "info": None}
    try:
        run = _TauRun.model_validate(value)
    except ValidationError as error:
        raise UnreadableError(f"no tau-bench run: {_first(error)}") from error
    trace = trace_of(turns_of(run.traj), ())
    gold = run.info.reward_info.actions if run.info and run.info.reward_info else None
    is_solved = run.reward >= SOLVED
    checks = () if is_solved else _writes(trace, gold)
    yield _imported(record, str(run.task_id), trace, "tau", _verdict(run.reward, is_solved=is_solved, checks=checks))


def is_tau2(value: Json) -> bool:
    """A results file of tau2-bench, or one simulation of it."""
    if not isinstance(value, Mapping):
        return False
    is_one = {"task_id", "messages"} <= value.keys() and ("reward_info" in value or "termination_reason" in value)
    return is_one or isinstance(value.get("simulations"), list)


def read_tau2(record: Record) -> Iterator[ImportedRun]:
    """All simulations of a record. Raises UnreadableError."""
    value = record.value
    simulations = value.get("simulations", [value]) if isinstance(value, Mapping) else []
    for place, spelled in enumerate(simulations if isinstance(simulations, Sequence) else ()):
        try:
            run = _Simulation.model_validate(spelled)
        except ValidationError as error:
            raise UnreadableError(f"simulation {place}: {_first(error)}") from error
        trace = trace_of(turns_of(run.messages), ())
        one = Record(value=None, sha=f"{record.sha}-{place}", origin=record.origin)
        yield _imported(one, str(run.task_id), trace, "tau2", _simulated(run))


def _simulated(run: _Simulation) -> Verdict:
    if run.termination_reason == "infrastructure_error":
        return Verdict(status="infra_error", note="infrastructure_error")
    reward = run.reward_info
    if reward is None or reward.reward is None:
        return Verdict(note=run.termination_reason or "")
    is_solved = reward.reward >= SOLVED
    verdict = _verdict(reward.reward, is_solved=is_solved, checks=() if is_solved else tuple(_tau2_checks(reward)))
    if run.termination_reason in _CRASHES:
        return Verdict(outcome="failed", score=0.0, status="crashed", note=run.termination_reason)
    if run.termination_reason == "max_steps":
        return Verdict(outcome="failed", score=0.0, status="over_budget", note="max_steps", checks=verdict.checks)
    return verdict


def _tau2_checks(reward: _Reward) -> Iterator[Check]:
    missed = [c.action.name for c in reward.action_checks or () if c.action is not None and c.action_match is False]
    is_state_wrong = reward.db_check is not None and reward.db_check.db_match is False
    if is_state_wrong or any(check.met is False for check in reward.env_assertions or ()):
        writes = [name for name in missed if not name.startswith(_READS)]
        yield Check(name="final_state", is_passed=False, detail="; ".join(f"missing write: {name}" for name in writes))
    for name, checked in (
        ("required_communication", reward.communicate_checks),
        ("grounded_answer", reward.nl_assertions),
    ):
        n_unmet = sum(check.met is False for check in checked or ())
        if n_unmet:
            yield Check(name=name, is_passed=False, detail=f"{n_unmet} of {len(checked or ())} not met")


def _writes(trace: Trace, gold: Sequence[_Action] | None) -> tuple[Check, ...]:
    """The final state, by the names of the tools that changed it; nothing when the source shows no gold actions."""
    if gold is None:
        return ()
    done = Counter(s.name for s in trace.spans if s.kind == "tool_call" and not s.is_error and _is_write(s.name))
    due = Counter(action.name for action in gold if _is_write(action.name))
    problems = [f"missing write: {name}" for name in sorted((due - done).elements())]
    problems += [f"unexpected write: {name}" for name in sorted((done - due).elements())]
    problems += [f"wrong argument: {name}" for name in sorted(due & done)] if not problems else []
    return (Check(name="final_state", is_passed=False, detail="; ".join(problems)),) if problems else ()


def _is_write(name: str) -> bool:
    return not name.startswith(_READS)


def _verdict(reward: float, *, is_solved: bool, checks: tuple[Check, ...]) -> Verdict:
    return Verdict(outcome="passed" if is_solved else "failed", score=min(1.0, max(0.0, reward)), checks=checks)


def _imported(record: Record, task: str, trace: Trace, name: str, verdict: Verdict) -> ImportedRun:
    return ImportedRun(
        id=record.sha,
        origin=record.origin,
        format="tau" if name == "tau" else "tau2",
        task_id=task,
        group=task,
        verdict=verdict,
        tools=(),
        trace=trace,
    )


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
