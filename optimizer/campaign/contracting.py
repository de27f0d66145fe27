"""What the metric contract asks of the loop: values by task, and a word in time where it speaks of the unmeasured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from optimizer.domain.errors import ConfigError
from optimizer.domain.rollout import Rollout
from optimizer.evaluate.metrics import values_of
from optimizer.gate.contract import SUCCESS, Contract
from optimizer.gate.pooled import Pooled, Runs


def values_by_task(rollouts: Iterable[Rollout], contract: Contract) -> Runs:
    """Metrics of the measured runs, by task."""
    runs: dict[str, tuple[Mapping[str, float], ...]] = {}
    for rollout in rollouts:
        if rollout.is_measured:
            task = rollout.job.task.id
            runs[task] = (*runs.get(task, ()), values_of(rollout, contract))
    return runs


def require_measured(contract: Contract, pooled: Mapping[str, Pooled], rollouts: Sequence[Rollout]) -> None:
    """Refuse a contract about a metric that the baseline never had a value of.

    Raises:
        ConfigError: it names the metric, and what was measured.
    """
    seen = sorted({name for run in values_by_task(rollouts, contract).values() for values in run for name in values})
    for metric in contract.metrics:
        is_there = metric.name == SUCCESS or pooled[metric.name].raw.cells
        if not is_there:
            raise ConfigError(
                f"campaign.toml: [[contract.metric]] name = {metric.name!r} was measured on none of {len(rollouts)}"
                f" validation runs of the harness as it is. There is {', '.join(seen)}. Correct the name, let the"
                " benchmark report it in Score.metrics, or take the metric out."
            )
