"""What a rollout is measured by besides its pass: read off its trace once, when it is recorded, and by name later."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from optimizer.domain.rollout import Rollout
from optimizer.domain.task import BUILT_IN_METRICS, Score
from optimizer.domain.trace import Span
from optimizer.gate.contract import Contract
from optimizer.gateway.tape import DoorRecord

HANDOVER = re.compile(r"escalat|handover|hand_over|transfer_to|handoff", re.IGNORECASE)
"""Tools that give a case to a person."""


def recorded_metrics(score: Score, record: DoorRecord) -> dict[str, float]:
    """Metrics that are kept with a rollout.

    Cost counts replayed calls at their original price: an edit is not cheaper for having been answered from a
    recording. Dollars are kept to the nano-dollar, so that the order of concurrent calls does not show.
    """
    calls = [span for span in record.spans if span.kind == "tool_call"]
    handed = any(HANDOVER.search(call.name) and not call.is_error for call in calls)
    kept = {"trajectory": trajectory(calls), "escalation": float(handed), "tokens": float(record.worth.tokens)}
    if record.usage.usd is not None:
        kept["usd"] = round(record.worth.usd, 9)
    return kept | dict(score.metrics)


def trajectory(calls: Sequence[Span]) -> float:
    """1 less the share of tool calls that failed or repeated an earlier one word for word; 1.0 without any call."""
    seen: set[tuple[str, str]] = set()
    n_wasted = 0
    for call in calls:
        key = (call.name, json.dumps(call.input, sort_keys=True))
        n_wasted += call.is_error or key in seen
        seen.add(key)
    return 1.0 - n_wasted / len(calls) if calls else 1.0


def values_of(rollout: Rollout, contract: Contract) -> dict[str, float]:
    """All metrics of a measured rollout by name; what was not measured is left out.

    A run that did not reach its end has the worst value of every outcome that the contract wants of the benchmark and
    that it did not report: a crash does not leave the denominator.
    """
    values = dict(_values(rollout, contract.safety_checks)) | dict(rollout.metrics)
    if rollout.status not in {"passed", "failed"}:
        return _worst(contract) | values
    return values


def _worst(contract: Contract) -> dict[str, float]:
    return {metric.name: metric.worst for metric in contract.metrics if metric.name not in BUILT_IN_METRICS}


def _values(rollout: Rollout, safety_checks: Sequence[str]) -> Iterator[tuple[str, float]]:
    yield "success", float(rollout.is_pass)
    yield "score", rollout.score or 0.0
    yield "model_calls", float(rollout.usage.n_calls)
    if not rollout.usage.n_replayed_calls:  # a recording answers faster than any provider
        yield "latency_s", rollout.wall_s
    yield "safety", float(all(check.is_passed for check in rollout.checks if check.name in safety_checks))
    for check in rollout.checks:
        yield f"check:{check.name}", float(check.is_passed)
