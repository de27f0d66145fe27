"""The `[contract]` of campaign.toml as the gate reads it; a staged release reads the same value."""

from __future__ import annotations

from collections.abc import Iterable

from optimizer.config.contract import ContractMetricSection
from optimizer.config.settings import Settings
from optimizer.domain.errors import ConfigError
from optimizer.domain.task import Task
from optimizer.gate.contract import PLAIN, Contract, Metric, SliceBound
from optimizer.mining.taxonomy import default_taxonomy


def contract_of(settings: Settings) -> Contract:
    """The contract that was written, or success alone."""
    section = settings.contract
    shipped = default_taxonomy().checks.items()
    return Contract(
        policy=section.policy,
        metrics=tuple(_metric(each) for each in section.metric or ()) or (PLAIN,),
        safety_checks=section.safety_checks or tuple(name for name, label in shipped if label.startswith("policy.")),
    )


def _metric(section: ContractMetricSection) -> Metric:
    return Metric(
        name=section.name,
        direction="minimize" if section.is_minimized else "maximize",
        weight=section.weight,
        floor=section.floor,
        ceiling=section.ceiling,
        tolerance=section.tolerance,
        is_relative=section.tolerance_kind == "relative",
        tie=section.tie,
        scale=section.scale or 1.0,
        slices=tuple(SliceBound(slice=name, bound=bound) for name, bound in section.slices.items()),
    )


def check_slices(settings: Settings, tasks: Iterable[Task]) -> None:
    """Refuse a bound on a slice that no validation task belongs to.

    Raises:
        ConfigError: it names the metric, the slice and those that there are.
    """
    known = {name for task in tasks if task.split == "val" for name in task.slices}
    for metric in settings.contract.metric or ():
        unknown = sorted(set(metric.slices) - known)
        if unknown:
            raise ConfigError(
                f"campaign.toml: [[contract.metric]] {metric.name}: slices names {', '.join(unknown)}, which no"
                f" validation task belongs to. There is {', '.join(sorted(known)) or 'none'}: correct the name or take"
                " the bound out."
            )
