"""What a rollout costs beyond the model: sandbox, session, gateway, grading, ledger.

Usage: python -m tests.evaluate.bench_rollout [ROLLOUTS]

Runs the shipped harness on helpdesk with the simulated model, counts the CPU seconds of this process and of everything
it started, and takes off what the simulated model itself used. What is left includes the harness's own work: the
OpenAI SDK spends about 5 ms per call on 16 tool schemas.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from optimizer.cli.compose import Watchers, evaluator_of, open_workplace
from optimizer.cli.replaying import replay_ledger
from optimizer.cli.starting import start_harness
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext, Upstream, UpstreamReply
from optimizer.domain.rollout import Rollout, RolloutJob


@dataclass
class Timed:
    """An upstream and the CPU seconds it used."""

    inner: Upstream
    is_external: bool = False
    cpu_s: float = 0.0

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:
        started = time.process_time()
        reply = await self.inner.chat(request, context)
        self.cpu_s += time.process_time() - started
        return reply

    async def close(self) -> None:
        await self.inner.close()


def cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def main(n: int) -> None:
    folder = Path(tempfile.mkdtemp()) / "bench"
    start_harness(folder, name="bench", seed=1)
    workplace = open_workplace(folder)
    model = Timed(workplace.upstream())
    workplace = replace(workplace, upstream=lambda: model)
    tasks = [task for task in workplace.benchmark.tasks() if task.split == "train"]
    tree = workplace.repo.head().harness_tree
    jobs = [
        RolloutJob(tree=tree, task=tasks[i % len(tasks)], purpose="replay", trial=i // len(tasks)) for i in range(n)
    ]

    async def run() -> tuple[tuple[Rollout, ...], float]:
        with replay_ledger(workplace) as ledger:
            async with evaluator_of(workplace, ledger, Budget(BudgetLimits()), Watchers(note=print)) as evaluator:
                await evaluator.run(jobs[:8])
                started = time.monotonic()
                return await evaluator.run(jobs), time.monotonic() - started

    before, model_before = cpu_s(), model.cpu_s
    rollouts, wall_s = anyio.run(run)
    total, inside = cpu_s() - before, sum(r.cpu_s for r in rollouts)
    calls = sum(r.usage.n_calls for r in rollouts) / n
    sim = model.cpu_s - model_before
    print(
        f"load average {os.getloadavg()[0]:.1f}, {n} rollouts of {calls:.1f} model calls, {n / wall_s:.1f} rollouts/s"
    )
    print(f"CPU ms per rollout: all {1000 * total / n:.0f}, of it the simulated model {1000 * sim / n:.0f},")
    print(f"  inside the sandbox {1000 * inside / n:.0f} (the harness and its SDK included)")
    print(f"beyond the model: {1000 * (total - sim) / n:.0f} ms CPU per rollout (bar: 150), start-up included")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
