"""The runs of train tasks a campaign has made so far, whatever they were made for: evidence that costs nothing more.

Only what the loop has seen counts, never what a ledger holds of a later session: a resumed campaign must see the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from optimizer.domain.rollout import Rollout


class RunBook:
    """Measured train rollouts by task, in the order they were first seen."""

    def __init__(self) -> None:
        self._by_task: defaultdict[str, dict[str, Rollout]] = defaultdict(dict)

    def learn(self, rollouts: Iterable[Rollout]) -> tuple[Rollout, ...]:
        """Take runs in; those that are new."""
        new = []
        for rollout in rollouts:
            seen = self._by_task[rollout.job.task.id] if rollout.job.task.split == "train" else None
            if seen is not None and rollout.is_measured and rollout.job.id not in seen:
                seen[rollout.job.id] = rollout
                new.append(rollout)
        return tuple(new)

    def on(self, tree: str, task_id: str) -> tuple[Rollout, ...]:
        """All runs of one harness tree on one task."""
        return tuple(run for run in self._by_task.get(task_id, {}).values() if run.job.tree == tree)

    def of(self, task_id: str) -> tuple[Rollout, ...]:
        """All runs of any harness tree on one task."""
        return tuple(self._by_task.get(task_id, {}).values())
