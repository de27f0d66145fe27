"""Rollouts by the block: what is recorded is not run again, what is run is paid for first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import anyio

from optimizer.domain.budget import Budget, Spend
from optimizer.domain.errors import BenchmarkError, InfrastructureError
from optimizer.domain.final import FinalSeal
from optimizer.domain.json import Json
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.trace import Trace, Usage
from optimizer.evaluate.executor import Executed, Executor


class RolloutLog(Protocol):
    """Where rollouts are kept; the ledger."""

    def rollout(self, rollout_id: str) -> Rollout | None:
        """A recorded rollout."""
        ...

    def trace(self, sha: str) -> Trace:
        """A recorded trace."""
        ...

    def paid(self, rollout_id: str) -> Usage:
        """All that a rollout has paid for, over all its tries and sessions."""
        ...

    def record_rollout(self, rollout: Rollout, trace: Trace) -> str:
        """Keep a rollout and its trace for ever; returns the trace's address."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatorSettings:
    """How rollouts are scheduled."""

    concurrency: int
    infra_retries: int
    """Further tries of a rollout that infrastructure lost."""
    max_usd: float
    """Cap of one rollout, set aside before it starts."""
    max_tokens: int
    """Cap of one rollout, set aside before it starts."""


class Evaluator:
    """Runs blocks of jobs.

    Deterministic: a block is reserved and settled as a whole and in order, so budgets end a campaign at the same
    place whatever order its rollouts finish in, and a resumed campaign walks through the same amounts.
    """

    def __init__(
        self,
        executor: Executor,
        log: RolloutLog,
        budget: Budget,
        settings: EvaluatorSettings,
        watch: Callable[[Rollout], None] = lambda _: None,
        *,
        seal: FinalSeal | None = None,
    ) -> None:
        """`watch` is told of every rollout that was really run, when it ends; `seal` lets test tasks be run."""
        self._executor = executor
        self._log = log
        self._budget = budget
        self._settings = settings
        self._settled: set[str] = set()
        self._watch = watch
        self._seal = seal
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, jobs: Sequence[RolloutJob]) -> tuple[Rollout, ...]:
        """Outcomes in the order of the jobs.

        Raises:
            BudgetExhaustedError: before anything is run, when the whole block might not be affordable.
            BenchmarkError: a task of the test split is among them and its seal is not broken for it.
        """
        self._require_unsealed(jobs)
        fresh = {job.id: job for job in jobs if job.id not in self._settled}
        reservation = self._budget.reserve(
            Spend(
                usd=self._settings.max_usd * len(fresh),
                tokens=self._settings.max_tokens * len(fresh),
                rollouts=len(fresh),
            )
        )
        try:
            done = await self._outcomes({job.id: job for job in jobs})
        except BaseException:
            self._budget.settle(reservation, Spend())
            raise
        new = sum((done[job_id].usage for job_id in sorted(fresh)), Usage())
        self._budget.settle(reservation, Spend(usd=new.usd or 0.0, tokens=new.tokens, rollouts=len(fresh)))
        self._settled |= fresh.keys()
        return tuple(done[job.id] for job in jobs)

    def _require_unsealed(self, jobs: Sequence[RolloutJob]) -> None:
        """Every rollout of every verb comes by here: the one place that keeps the test split sealed."""
        for job in jobs:
            if job.task.split != "test":
                continue
            if self._seal is None or job.purpose != "final" or job.tree not in self._seal.trees:
                raise BenchmarkError(
                    f"task {job.task.id} is in the test split, which is sealed: only `hone finalize` runs it, for the"
                    f" baseline and the head of a campaign (asked for: {job.purpose} of {job.tree[:10]})."
                )

    async def _outcomes(self, jobs: dict[str, RolloutJob]) -> dict[str, Rollout]:
        """Run what is not recorded yet.

        Jobs that share their luck run one after the other, in order: who pays for a call that both send, and who finds
        it recorded, must not depend on the clock.
        """
        done = {job_id: kept for job_id in jobs if (kept := self._log.rollout(job_id)) is not None}
        lost: list[Executed] = []
        limiter = self._limiter = self._limiter or anyio.CapacityLimiter(self._settings.concurrency)
        groups: dict[str, list[RolloutJob]] = {}
        for job_id, job in jobs.items():
            if job_id not in done:
                groups.setdefault(job.luck, []).append(job)

        async def in_turn(group: list[RolloutJob]) -> None:
            for job in group:
                async with limiter:
                    executed = self._with_all_costs(await self._measured(job))
                self._watch(executed.rollout)
                if executed.rollout.is_measured:
                    done[job.id] = self._kept(executed)
                else:
                    lost.append(executed)

        async with anyio.create_task_group() as tasks:
            for group in groups.values():
                tasks.start_soon(in_turn, group)
        n_run = sum(len(group) for group in groups.values())
        if n_run and len(lost) == n_run:
            raise InfrastructureError(
                f"none of {n_run} rollouts could be measured: {lost[0].rollout.note}."
                " Mend that and `hone resume`; nothing was decided by it."
            )
        return done | {executed.rollout.job.id: self._kept(executed) for executed in lost}

    def is_settled(self, job_id: str) -> bool:
        """Whether a rollout was paid for by an earlier block."""
        return job_id in self._settled

    def asks_the_same(self, one: Rollout, other: Rollout) -> bool:
        """Whether two rollouts sent their models exactly the same requests, in the same order."""
        return self._requests(one) == self._requests(other)

    def _requests(self, rollout: Rollout) -> tuple[Json, ...]:
        if rollout.trace_sha is None:
            return (rollout.job.id,)
        return tuple(span.input for span in self._log.trace(rollout.trace_sha).spans if span.kind == "model_call")

    def _kept(self, executed: Executed) -> Rollout:
        sha = self._log.record_rollout(executed.rollout, executed.trace)
        return replace(executed.rollout, trace_sha=sha)

    def _with_all_costs(self, executed: Executed) -> Executed:
        """Tries that were lost, and sessions that were killed, have paid for calls the last try may not have used."""
        usage, paid = executed.rollout.usage, self._log.paid(executed.rollout.job.id)
        whole = replace(
            usage,
            input_tokens=max(usage.input_tokens, paid.input_tokens),
            cached_tokens=max(usage.cached_tokens, paid.cached_tokens),
            output_tokens=max(usage.output_tokens, paid.output_tokens),
            reasoning_tokens=max(usage.reasoning_tokens, paid.reasoning_tokens),
            usd=None if usage.usd is None or paid.usd is None else max(usage.usd, paid.usd),
        )
        return replace(executed, rollout=replace(executed.rollout, usage=whole))

    async def _measured(self, job: RolloutJob) -> Executed:
        """Try again what infrastructure lost."""
        for _ in range(self._settings.infra_retries):
            executed = await self._executor.execute(job)
            if executed.rollout.is_measured:
                return executed
        return await self._executor.execute(job)
