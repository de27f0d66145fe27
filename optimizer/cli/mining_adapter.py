"""Where `hone mine` meets the mining room: a foreign run as a rollout, its failure, and the clusters of many.

Everything that `hone mine` needs of mining is imported here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from optimizer.domain.failure import Cluster, Failure, FailureContext
from optimizer.domain.rollout import Rollout, RolloutJob, Status
from optimizer.domain.task import Task
from optimizer.mining.clusters import ClusterBook, ClusterRules
from optimizer.mining.detectors.explain import findings
from optimizer.mining.diagnose import diagnose
from optimizer.mining.taxonomy import severity_of
from optimizer.telemetry.imported import ImportedRun

LOOKS_FAILED = 0.5
"""Severity from which a detector's finding makes a failure of a run that nobody judged."""
_NEVER = ClusterRules(fruitless_limit=1_000_000, dormant_batches=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One cluster with its failures in the order they were read."""

    cluster: Cluster
    failures: tuple[Failure, ...]


def failure_of(run: ImportedRun) -> Failure | None:
    """What went wrong in a run; None when it passed, or when nobody judged it and no detector minds."""
    if run.verdict.outcome == "passed" or run.verdict.status == "infra_error":
        return None
    rollout = as_rollout(run)
    if run.verdict.outcome == "unknown" and not _looks_failed(rollout, run):
        return None
    failure = diagnose(rollout, run.trace)
    tools = tuple(tool.name for tool in run.tools)
    context = failure.context if failure.context.tools or not tools else replace(failure.context, tools=tools)
    return replace(failure, rollout_id=run.id, context=context or FailureContext())


def _looks_failed(rollout: Rollout, run: ImportedRun) -> bool:
    return any(each.is_decisive and severity_of(each.label) >= LOOKS_FAILED for each in findings(rollout, run.trace))


def as_rollout(run: ImportedRun) -> Rollout:
    """A run as one of ours, on the tree `imported`; a run nobody judged is looked at as if it had failed."""
    job = RolloutJob(
        tree="imported",
        task=Task(id=run.task_id, split="train", group=run.group),
        purpose="mine",
        trial=int(run.id.partition("-")[0][:8], 16) if run.id else 0,
    )
    status: Status = run.verdict.status or ("passed" if run.verdict.outcome == "passed" else "failed")
    return Rollout(
        job=job,
        status=status,
        score=None if status == "infra_error" else run.verdict.score or 0.0,
        checks=run.verdict.checks,
        usage=run.trace.usage,
        trace_sha=None,
        note=run.verdict.note,
        sandbox_level="none",
        wall_s=0.0,
        cpu_s=0.0,
    )


def clustered(failures: Sequence[Failure]) -> tuple[Group, ...]:
    """Clusters of all failures, the most harmful first, one-offs last."""
    book = ClusterBook(_NEVER)
    book.absorb(1, {failure.rollout_id: failure for failure in failures})
    members: dict[int, list[Failure]] = {}
    for failure in failures:
        members.setdefault(book.root(book.of(failure)), []).append(failure)
    groups = (Group(cluster=book.get(root), failures=tuple(found)) for root, found in members.items())
    return tuple(sorted(groups, key=_rank))


def _rank(group: Group) -> tuple[bool, float, int]:
    cluster = group.cluster
    return (cluster.is_one_off, -cluster.n_failures * cluster.severity, cluster.id)
