"""The contract's terms held against what was measured: a check for each, and the words of the decision.

A bound is held against the point estimate: the mean of the candidate's own validation runs. That is what the words "no
change whose measured value breaches the floor ships" say. It is neither lenient (a bound that must be refuted would let
most breaches pass on 40 tasks) nor deaf (one that must be proved would stop nearly everything); whoever wants a margin
for noise adds it to the bound, and the check prints the 95 % half-width to choose it by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from optimizer.domain.candidate import GateCheck
from optimizer.gate.contract import SUCCESS, Contract, Metric
from optimizer.gate.evidence import Evidence
from optimizer.gate.measures import Measure
from optimizer.gate.pooled import COST

_SLACK = 1e-9
"""Sums of decimals may miss a bound by their last bit."""


def checks_of(evidence: Evidence, contract: Contract) -> tuple[GateCheck, ...]:
    """How each metric moved, and every bound; a bound counts once all of validation was asked for."""
    if contract.is_plain:
        return ()
    found = {measure.name: measure for measure in evidence.measures}
    checks = []
    for metric in contract.metrics:
        measured = found.get(metric.name, Measure(name=metric.name))
        checks.append(_moved(metric, measured))
        checks += _bounds(metric, measured, is_read=evidence.is_val_complete)
    if evidence.validation is None:
        return tuple(replace(check, note="not reached") for check in checks)
    return tuple(checks)


def broken_bounds(evidence: Evidence, contract: Contract) -> tuple[GateCheck, ...]:
    """Bounds that are breached."""
    return tuple(check for check in checks_of(evidence, contract) if _is_bound(check) and check.is_passed is False)


def unread_bounds(evidence: Evidence, contract: Contract) -> tuple[GateCheck, ...]:
    """Bounds that nothing was measured for; None of them can be said to hold."""
    return tuple(check for check in checks_of(evidence, contract) if _is_bound(check) and check.is_passed is None)


def words_of(evidence: Evidence, contract: Contract) -> Iterator[str]:
    """Each metric of a written contract, what is in conflict, and the cost."""
    found = {measure.name: measure for measure in evidence.measures}
    if not contract.is_plain:
        for metric in contract.metrics:
            measured = found.get(metric.name)
            if measured is not None and measured.value is not None:
                yield _compared(metric, measured)
        yield from _conflict(contract, evidence)
    cost = found.get(COST.name)
    if cost is not None and cost.difference is not None and cost.trunk:
        yield f"cost {_percent(cost.difference / cost.trunk)}"


def _conflict(contract: Contract, evidence: Evidence) -> Iterator[str]:
    """One metric better and another worse is said, never averaged away."""
    gains = {
        measured.name: metric.gain(measured.difference)
        for metric in contract.metrics
        for measured in evidence.measures
        if measured.name == metric.name and measured.difference is not None
    }
    better = [name for name, gain in gains.items() if gain > _SLACK]
    worse = [name for name, gain in gains.items() if gain < -_SLACK]
    if better and worse:
        yield f"conflict: {', '.join(better)} better, {', '.join(worse)} worse"


def _moved(metric: Metric, measured: Measure) -> GateCheck:
    """Whether it is no worse than the trunk; information, and no bound."""
    has_both = measured.difference is not None
    return GateCheck(
        name=f"metric:{metric.name}",
        value=measured.difference,
        op=">=" if metric.direction == "maximize" else "<=",
        threshold=0.0,
        is_passed=metric.gain(measured.difference) >= -_SLACK if measured.difference is not None else None,
        note=_compared(metric, measured) if has_both else f"{metric.name} was not measured",
    )


def _bounds(metric: Metric, measured: Measure, *, is_read: bool) -> Iterator[GateCheck]:
    half = f" ±{_number(measured.half_width)} on {measured.n} tasks"
    if metric.floor is not None:
        yield _bound(f"floor:{metric.name}", measured.value, ">=", metric.floor, half, is_read=is_read)
    if metric.ceiling is not None:
        yield _bound(f"ceiling:{metric.name}", measured.value, "<=", metric.ceiling, half, is_read=is_read)
    kind, op = _slice_bound(metric)
    for each in metric.slices:
        part = next((found for found in measured.slices if found.slice == each.slice), None)
        value, n = (None, 0) if part is None else (part.value, part.n)
        name = f"{kind}:{metric.name}@{each.slice}"
        yield _bound(name, value, op, each.bound, f" on {n} tasks", is_read=is_read)
    if metric.tolerance is not None:
        yield _guardrail(metric, measured, is_read=is_read)


def _slice_bound(metric: Metric) -> tuple[str, Literal["<=", ">="]]:
    return ("floor", ">=") if metric.direction == "maximize" else ("ceiling", "<=")


def _bound(
    name: str, value: float | None, op: Literal["<=", ">="], bound: float, about: str, *, is_read: bool
) -> GateCheck:
    is_held = None
    if value is not None and is_read:
        is_held = value >= bound - _SLACK if op == ">=" else value <= bound + _SLACK
    said = "not measured" if value is None else f"{_number(value)}{about}"
    return GateCheck(
        name=name, value=value, op=op, threshold=bound, is_passed=is_held, note=f"{said} (need {op} {_number(bound)})"
    )


def _guardrail(metric: Metric, measured: Measure, *, is_read: bool) -> GateCheck:
    allowed = metric.allowed_loss(measured.trunk or 0.0) or 0.0
    loss = None if measured.difference is None else -metric.gain(measured.difference)
    kind = f"{_percent(metric.tolerance or 0.0)} of the trunk's" if metric.is_relative else "absolute"
    return GateCheck(
        name=f"tolerance:{metric.name}",
        value=loss,
        op="<=",
        threshold=allowed,
        is_passed=None if loss is None or not is_read else loss <= allowed + _SLACK,
        note="not measured" if loss is None else f"worse by {_number(loss)} (allowed {_number(allowed)}, {kind})",
    )


def _is_bound(check: GateCheck) -> bool:
    return not check.name.startswith("metric:")


def _compared(metric: Metric, measured: Measure) -> str:
    if measured.value is None:
        return f"{metric.name} was not measured"
    if measured.trunk is None or measured.difference is None:
        return f"{metric.name} {_number(measured.value)}"
    return f"{metric.name} {_number(measured.value)} vs trunk {_number(measured.trunk)} ({measured.difference:+.3g})"


def named(check: GateCheck) -> str:
    """A bound in a few words: `floor:success 0.5 < 0.6`."""
    sign = "<" if check.op == ">=" else ">"
    value = "not measured" if check.value is None else f"{_number(check.value)} {sign} {_number(check.threshold)}"
    return f"{check.name} {value}"


def weighs_words(evidence: Evidence) -> str:
    """`val`, and what it was decided by where that is not success."""
    return "val" if evidence.weighs == SUCCESS else f"val {evidence.weighs}"


def _number(value: float) -> str:
    return f"{value:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:+.0f} %"
