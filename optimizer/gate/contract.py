"""The metric contract: what a team wants of its agent, in which order or weight, and what no gain may buy.

It is a value without any input or output: settings make it, the gate judges by it, and a staged release reads the same
one. docs/contract.md holds the formulae. The contract that nobody wrote is success alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["maximize", "minimize"]
ContractPolicy = Literal["lexicographic", "weighted"]
SUCCESS = "success"
UTILITY = "utility"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceBound:
    """Worst value allowed on the validation tasks of one slice."""

    slice: str
    bound: float
    """A floor where the metric is maximized, a ceiling where it is minimized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One named metric and what is wanted of it."""

    name: str
    direction: Direction = "maximize"
    weight: float = 1.0
    """Share in the utility, relative to the other weights; `weighted` alone."""
    floor: float | None = None
    """Lowest value on validation with which a change may ship."""
    ceiling: float | None = None
    """Highest such value."""
    tolerance: float | None = None
    """How much worse than the trunk a change may be; None allows any loss that nothing else forbids."""
    is_relative: bool = False
    """Whether tolerance and tie are shares of the trunk's value rather than units of the metric."""
    tie: float | None = None
    """`lexicographic`: differences up to this decide nothing; None takes the tolerance, and else zero."""
    scale: float = 1.0
    """Value that counts as 1.0; above zero."""
    slices: tuple[SliceBound, ...] = ()

    @property
    def worst(self) -> float:
        """Value of a run that did not get far enough to have one."""
        return 0.0 if self.direction == "maximize" else self.scale

    @property
    def is_bounded(self) -> bool:
        """Whether it can stop a change that validation likes."""
        return bool(self.slices) or not (self.floor is None and self.ceiling is None and self.tolerance is None)

    def gain(self, difference: float) -> float:
        """A difference with the sign that better has."""
        return difference if self.direction == "maximize" else -difference

    def norm(self, value: float) -> float:
        """A value from 0.0 (worst) to 1.0 (best) on its scale, cut at both ends."""
        share = min(1.0, max(0.0, value / self.scale))
        return share if self.direction == "maximize" else 1.0 - share

    def allowed_loss(self, trunk: float) -> float | None:
        """The tolerance in units of the metric."""
        return None if self.tolerance is None else self._in_units(self.tolerance, trunk)

    def tie_width(self, trunk: float) -> float:
        """Half the width of the band in which two values count as equal."""
        width = self.tie if self.tie is not None else self.tolerance
        return 0.0 if width is None else self._in_units(width, trunk)

    def _in_units(self, width: float, trunk: float) -> float:
        return width * abs(trunk) if self.is_relative else width


PLAIN = Metric(name=SUCCESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """All metrics, the most important first."""

    policy: ContractPolicy = "lexicographic"
    metrics: tuple[Metric, ...] = (PLAIN,)
    """At least one."""
    safety_checks: tuple[str, ...] = ()
    """Checks of the benchmark whose failure counts against `safety`."""

    @property
    def is_plain(self) -> bool:
        """Nothing but success, unbounded: what a campaign without a contract is judged by."""
        return self.metrics == (PLAIN,)

    @property
    def is_bounded(self) -> bool:
        """Whether a change may be stopped by a floor, a ceiling, a slice or a tolerance."""
        return any(metric.is_bounded for metric in self.metrics)

    @property
    def weighs(self) -> str:
        """What validation compares first: `success`, another leading metric, or `utility`."""
        if self.policy == "weighted" and len(self.metrics) > 1:
            return UTILITY
        return self.metrics[0].name

    @property
    def is_ordered(self) -> bool:
        """Whether a tie of the first metric lets another decide."""
        return self.policy == "lexicographic" and len(self.metrics) > 1

    def utility(self, norms: Mapping[str, float]) -> float | None:
        """Normalized values as one number from 0.0 to 1.0; None where one of them was not measured."""
        metrics = self.metrics if self.weighs == UTILITY else self.metrics[:1]
        if any(metric.name not in norms for metric in metrics):
            return None
        total = sum(metric.weight for metric in metrics)
        return sum(metric.weight * norms[metric.name] for metric in metrics) / total if total else None

    def norms(self, values: Mapping[str, float]) -> dict[str, float]:
        """Values of one run, normalized, as far as they were measured."""
        return {metric.name: metric.norm(values[metric.name]) for metric in self.metrics if metric.name in values}
