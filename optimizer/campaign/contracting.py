"""What the metric contract asks of the loop: values by task, and a word in time where it speaks of the unmeasured."""

from __future__ import annotations

import difflib
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


def missed_bounds(contract: Contract, pooled: Mapping[str, Pooled], success: float) -> tuple[str, ...]:
    """Bounds that the harness as it is does not keep, in words: until a change reaches them, nothing ships."""
    said = []
    for metric in contract.metrics:
        now = success if metric.name == SUCCESS else pooled[metric.name].raw.estimate
        for word, bound in (("floor", metric.floor), ("ceiling", metric.ceiling)):
            if bound is not None and (now < bound if word == "floor" else now > bound):
                said.append(
                    f"[contract] {word} {bound:g} of {metric.name} is missed by the harness as it is ({now:.3g}):"
                    " every change that does not reach it is rejected"
                )
    return tuple(said)


def require_measured(contract: Contract, pooled: Mapping[str, Pooled], rollouts: Sequence[Rollout]) -> None:
    """Refuse a contract about a metric that the baseline never had a value of.

    Raises:
        ConfigError: it names the metric, and what was measured.
    """
    seen = sorted({name for run in values_by_task(rollouts, contract).values() for values in run for name in values})
    for metric in contract.metrics:
        is_there = metric.name == SUCCESS or pooled[metric.name].raw.cells
        if not is_there:
            near = difflib.get_close_matches(metric.name, seen, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"campaign.toml: [[contract.metric]] name = {metric.name!r} was measured on none of {len(rollouts)}"
                f" validation runs of the harness as it is.{hint} There is {', '.join(seen)}. Correct the name, let the"
                " benchmark report it in Score.metrics, or take the metric out."
            )
