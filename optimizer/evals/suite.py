"""The regression suite: train tasks that once failed and are solved now, kept for ever as checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Failure
from optimizer.domain.json import content_hash

QUARANTINE_BELOW = 0.5
"""A case that passes less often than this on accepted versions is no witness of anything."""


class Suite:
    """All eval cases of a campaign. A change yields the superseding case, for the ledger; nothing is dropped."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._cases: dict[str, EvalCase] = {}

    def __iter__(self) -> Iterator[EvalCase]:
        """Cases in the order they were made."""
        return iter(self._cases.values())

    def draft(self, failure: Failure, cluster_id: int) -> tuple[EvalCase, ...]:
        """Make a case of a failure; none when its task is already kept for this cluster."""
        case_id = content_hash(failure.task_id, cluster_id)
        if case_id in self._cases:
            return ()
        case = EvalCase(
            id=case_id,
            task_id=failure.task_id,
            cluster_id=cluster_id,
            failure_id=failure.id,
            rollout_id=failure.rollout_id,
            check=failure.signature.rpartition("|")[2] or failure.label,
            state="candidate",
            note="failed once",
        )
        return (self._put(case),)

    def promote(self, cluster_id: int, runs: Mapping[str, tuple[int, int]]) -> tuple[EvalCase, ...]:
        """Judge the drafted cases of a cluster by (passes, measured runs) of their task on a new accepted version.

        A case whose runs all pass becomes active; one that sometimes passes is verified, and waits.
        """
        changed = []
        for case in list(self._cases.values()):
            if case.cluster_id != cluster_id or case.state not in {"candidate", "verified"}:
                continue
            passes, n = runs.get(case.task_id, (0, 0))
            if n:
                changed.append(self._put(_promoted(case, passes, n)))
        return tuple(changed)

    def observe(self, runs: Mapping[str, tuple[int, int]]) -> tuple[EvalCase, ...]:
        """Update pass rates of active cases from the suite runs of a version that was accepted."""
        changed = []
        for case_id, (passes, n) in runs.items():
            if n and case_id in self._cases:
                changed.append(self._put(_observed(self._cases[case_id], passes, n)))
        return tuple(changed)

    def active(self) -> tuple[EvalCase, ...]:
        """One active case per task, the surest first, at most `limit`: what the gate runs."""
        by_task: dict[str, EvalCase] = {}
        for case in self._cases.values():
            if case.state == "active":
                by_task.setdefault(case.task_id, case)
        ranked = sorted(by_task.values(), key=lambda case: (-(case.pass_rate or 0.0), -case.n_runs, case.id))
        return tuple(ranked[: self._limit])

    def pinned(self, task_ids: Sequence[str]) -> tuple[EvalCase, ...]:
        """Cases for pinned tasks that no active case covers: they are run for every candidate all the same."""
        covered = {case.task_id for case in self.active()}
        return tuple(_pinned(task_id) for task_id in task_ids if task_id not in covered)

    def _put(self, case: EvalCase) -> EvalCase:
        self._cases[case.id] = case
        return case


def _pinned(task_id: str) -> EvalCase:
    return EvalCase(
        id=content_hash("pinned", task_id),
        task_id=task_id,
        cluster_id=0,
        failure_id="",
        rollout_id="",
        check="pinned",
        state="active",
        n_runs=1,
        n_passes=1,
        note="pinned by a person",
    )


def _promoted(case: EvalCase, passes: int, n: int) -> EvalCase:
    counted = replace(case, n_runs=case.n_runs + n, n_passes=case.n_passes + passes)
    if passes == n:
        return replace(counted, state="active", note=f"passed {passes} of {n} on an accepted version")
    return replace(counted, state="verified" if passes else "candidate", note=f"passed {passes} of {n}")


def _observed(case: EvalCase, passes: int, n: int) -> EvalCase:
    counted = replace(case, n_runs=case.n_runs + n, n_passes=case.n_passes + passes)
    rate = counted.pass_rate or 0.0
    if rate < QUARANTINE_BELOW:
        return replace(counted, state="quarantined", note=f"flaky: passes {rate:.0%} of {counted.n_runs} runs")
    return counted
