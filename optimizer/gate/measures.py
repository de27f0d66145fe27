"""What the validation runs of a candidate say of one metric, beside what the trunk is known for on the same tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Reading = Callable[[str], float | None]
"""A value by validation task; None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceMeasure:
    """The metric on the tasks of one slice."""

    slice: str
    value: float | None
    """None when no task of the slice was measured."""
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One metric, in its own units."""

    name: str
    value: float | None = None
    """Mean over the measured tasks of the mean of its runs, replayed ones included; None if there is none."""
    half_width: float = 0.0
    """Half a 95 % interval of that mean, tasks taken as a sample."""
    n: int = 0
    """Measured tasks."""
    trunk: float | None = None
    """The trunk's pooled value on the tasks that both have."""
    difference: float | None = None
    """Mean over these tasks of candidate less trunk."""
    slices: tuple[SliceMeasure, ...] = ()


def measure(name: str, values: Mapping[str, float], base: Reading, slices: Mapping[str, frozenset[str]]) -> Measure:
    """Compare per-task means with the trunk's; `slices` are the tasks of each slice to be told apart."""
    if not values:
        return Measure(name=name, slices=tuple(SliceMeasure(slice=s, value=None, n=0) for s in slices))
    mean = _mean(list(values.values()))
    spread = _mean([(value - mean) ** 2 for value in values.values()])
    pairs = [(value, trunk) for task, value in values.items() if (trunk := base(task)) is not None]
    return Measure(
        name=name,
        value=mean,
        half_width=1.96 * math.sqrt(spread / len(values)),
        n=len(values),
        trunk=_mean([trunk for _, trunk in pairs]) if pairs else None,
        difference=_mean([value - trunk for value, trunk in pairs]) if pairs else None,
        slices=tuple(_slice(name_, values, tasks) for name_, tasks in slices.items()),
    )


def _slice(name: str, values: Mapping[str, float], tasks: frozenset[str]) -> SliceMeasure:
    inside = [value for task, value in values.items() if task in tasks]
    return SliceMeasure(slice=name, value=_mean(inside) if inside else None, n=len(inside))


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
