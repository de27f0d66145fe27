"""The trunk's pooled record of metrics other than success.

It holds what the trunk itself and the accepted versions before it were measured at. Runs of rejected candidates, which
also measure the trunk's success, are left out: an edit is often rejected for what it does to these very metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from optimizer.gate.contract import SUCCESS, Contract, Metric
from optimizer.gate.guard import Cell, TrunkRecord

COST = Metric(name="usd", direction="minimize")
"""Measured whatever the contract says, so that every decision can name it."""
LIMIT = 12.0
"""Runs that a task's record counts for at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """One metric on every validation task."""

    raw: TrunkRecord
    """In units of the metric."""
    norm: TrunkRecord
    """Each run on its scale of 0.0 to 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What validation compares instead of the pass, each task 0.0 to 1.0."""

    record: TrunkRecord
    own: Mapping[str, float]
    """The trunk's own runs of trial 0."""


Runs = Mapping[str, tuple[Mapping[str, float], ...]]
"""Metrics of measured runs, by validation task."""


def tracked(contract: Contract) -> tuple[Metric, ...]:
    """Metrics that need a record of their own."""
    named = tuple(metric for metric in contract.metrics if metric.name != SUCCESS)
    return named if any(metric.name == COST.name for metric in named) else (*named, COST)


def pool(old: Mapping[str, Pooled], contract: Contract, runs: Runs, *, keep: float = 1.0) -> dict[str, Pooled]:
    """Add runs of the trunk; what was known counts for the share `keep`."""
    return {metric.name: _pool_one(old.get(metric.name), metric, runs, keep) for metric in tracked(contract)}


def _pool_one(old: Pooled | None, metric: Metric, runs: Runs, keep: float) -> Pooled:
    before = old or Pooled(raw=TrunkRecord(cells={}), norm=TrunkRecord(cells={}))
    values = {task: [run[metric.name] for run in each if metric.name in run] for task, each in runs.items()}
    norms = {task: [metric.norm(value) for value in each] for task, each in values.items()}
    return Pooled(raw=_plus(before.raw, values, keep), norm=_plus(before.norm, norms, keep))


def _plus(record: TrunkRecord, values: Mapping[str, Iterable[float]], keep: float) -> TrunkRecord:
    cells = {task: Cell(passes=keep * cell.passes, runs=keep * cell.runs) for task, cell in record.cells.items()}
    for task, each in values.items():
        for value in each:
            old = cells.get(task, Cell(passes=0.0, runs=0.0))
            share = min(1.0, LIMIT / (old.runs + 1.0))
            cells[task] = Cell(passes=share * (old.passes + value), runs=share * (old.runs + 1.0))
    return TrunkRecord(cells=cells)


def utility_record(contract: Contract, success: TrunkRecord, pooled: Mapping[str, Pooled]) -> TrunkRecord:
    """The trunk's utility on every task on which all of its parts were measured."""
    records = {name: each.norm for name, each in pooled.items()} | {SUCCESS: success}
    cells = {}
    for task in success.cells:
        found = {name: record.cells[task] for name, record in records.items() if task in record.cells}
        value = contract.utility({name: cell.rate for name, cell in found.items()})
        if value is not None:
            parts = [found[m.name].runs for m in contract.metrics if m.name in found]
            runs = min(parts)
            cells[task] = Cell(passes=value * runs, runs=runs)
    return TrunkRecord(cells=cells)
