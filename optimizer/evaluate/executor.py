"""Where rollouts run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """A finished rollout with the trace it left."""

    rollout: Rollout
    trace: Trace


class Executor(Protocol):
    """This machine, or a cluster."""

    async def execute(self, job: RolloutJob) -> Executed:
        """Run one job to its end. Never raises for what the harness, a provider or a benchmark does."""
        ...
