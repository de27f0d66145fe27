"""The contract of metrics in `campaign.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, Strict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from optimizer.config.kinds import Section, Texts, Weight

_COUNTED = frozenset({"usd", "tokens", "latency_s", "model_calls"})
"""Metrics without a natural 1.0."""
_MINIMIZED = _COUNTED | {"escalation"}


class ContractMetricSection(Section):
    """One metric of the contract; docs/contract.md has the formulae."""

    name: Annotated[str, StringConstraints(pattern=r"^(check:.{1,200}|[a-z][a-z0-9_]{0,47})$")]
    """`success`, `score`, `usd`, `tokens`, `latency_s`, `model_calls`, `escalation`, `safety`, `trajectory`,
    `check:<name>`, or an outcome that the benchmark reports."""
    direction: Literal["maximize", "minimize"] | None = None
    """Which way is better; without it costs and `escalation` are minimized and all others maximized."""
    weight: Weight = 1.0
    """`weighted` alone: share in the utility, relative to the other weights."""
    floor: float | None = None
    """Lowest value on validation with which a change may ship, whatever else it gains."""
    ceiling: float | None = None
    """Highest value on validation with which a change may ship, whatever else it gains."""
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """Guardrail: how much worse than the trunk's pooled value a change may be; without it there is none."""
    tolerance_kind: Literal["absolute", "relative"] = "absolute"
    """`absolute`: tolerance and tie in units of the metric; `relative`: as shares of the trunk's value."""
    tie: Annotated[float, Field(ge=0)] | None = None
    """`lexicographic` alone: a difference up to this decides nothing; without it the tolerance, and else 0."""
    scale: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """Value that counts as 1.0 in weighing; 1 where it is left out, and needed for costs and counts."""
    slices: Mapping[str, float] = Field(default_factory=dict)
    """Bound for the validation tasks of single slices by name: a floor, or a ceiling where the metric is minimized."""

    @property
    def is_minimized(self) -> bool:
        """Which way is better, the default included."""
        return self.direction == "minimize" or (self.direction is None and self.name in _MINIMIZED)

    @model_validator(mode="after")
    def _makes_sense(self) -> ContractMetricSection:
        if self.name == "utility":
            raise PydanticCustomError("contract", "another name: 'utility' is the weighted sum itself")
        if self.name == "success" and (self.is_minimized or self.scale not in {None, 1.0}):
            raise PydanticCustomError("contract", "for 'success' neither a direction nor a scale: it is 0 or 1")
        if self.name in _COUNTED and self.scale is None:
            raise PydanticCustomError(
                "contract", "scale, the value that counts as 1.0, because {name} has none", {"name": repr(self.name)}
            )
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            raise PydanticCustomError("contract", "a floor that is not above the ceiling; now nothing could ship")
        if self.tolerance_kind == "relative" and self.tolerance is None and self.tie is None:
            raise PydanticCustomError("contract", "a tolerance or a tie for tolerance_kind to speak of, or none")
        return self


class ContractSection(Section):
    """What is wanted beside success, and what no gain may buy."""

    policy: Literal["lexicographic", "weighted"] = "lexicographic"
    """`lexicographic`: the first metric that differs by more than a tie decides. `weighted`: their weighted mean."""
    safety_checks: Texts = ()
    """Checks whose failure counts against `safety`; without them all that the taxonomy files under `policy`."""
    metric: Annotated[tuple[ContractMetricSection, ...], Strict(strict=False)] | None = None
    """The metrics, the most important first; without any, success alone."""

    @model_validator(mode="after")
    def _agrees(self) -> ContractSection:
        names = [metric.name for metric in self.metric or ()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PydanticCustomError("contract", "each metric once, not {names} twice", {"names": ", ".join(twice)})
        if self.policy == "weighted" and self.metric and not any(metric.weight for metric in self.metric):
            raise PydanticCustomError("contract", "a metric with a weight above 0, because policy is 'weighted'")
        return self
