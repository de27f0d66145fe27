"""Nouns as rows. Lists inside a noun are JSON text in one column."""

from __future__ import annotations

from dataclasses import asdict

from optimizer.domain.candidate import Candidate, Decision, FileEdit, GateCheck, Proposal
from optimizer.domain.dataset import DatasetVersion
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.json import Json
from optimizer.domain.rollout import Rollout
from optimizer.domain.task import Task
from optimizer.domain.trace import Trace, Usage
from optimizer.ledger.codec import USAGE_FIELDS, SqlValue, dump_json, preview, usage_values
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.records import ProposalRecord, TaskResult, TrunkEstimate

Columns = dict[str, SqlValue]


def usage_columns(usage: Usage) -> Columns:
    """Usage in columns of the same names."""
    return dict(zip(USAGE_FIELDS, usage_values(usage), strict=True))


def header_row(header: CampaignHeader) -> Columns:
    """The one row of `campaign`."""
    return {"id": 1} | {name: getattr(header, name) for name in header.__dataclass_fields__}


def task_row(task: Task) -> Columns:
    """Row of `task`."""
    return {"id": task.id, "split": task.split, "group_name": task.group, "slices": dump_json(task.slices)}


def rollout_row(rollout: Rollout, trace_sha: str, recorded_at: float) -> Columns:
    """Row of `rollout`."""
    job = rollout.job
    checks: list[Json] = [[check.name, check.is_passed, check.detail] for check in rollout.checks]
    return {
        "id": job.id,
        "tree": job.tree,
        "task_id": job.task.id,
        "purpose": job.purpose,
        "trial": job.trial,
        "status": rollout.status,
        "score": rollout.score,
        "checks": dump_json(checks),
        **usage_columns(rollout.usage),
        "trace_sha": trace_sha,
        "note": rollout.note,
        "sandbox_level": rollout.sandbox_level,
        "wall_s": rollout.wall_s,
        "cpu_s": rollout.cpu_s,
        "recorded_at": recorded_at,
    }


def metric_rows(rollout: Rollout) -> list[Columns]:
    """Rows of `rollout_metric`."""
    return [
        {"rollout_id": rollout.job.id, "name": name, "value": float(value)}
        for name, value in sorted(rollout.metrics.items())
    ]


def trace_event_rows(trace_sha: str, trace: Trace) -> list[Columns]:
    """Rows of `trace_event`: what a list shows, and the wall times."""
    return [
        {
            "trace_sha": trace_sha,
            "seq": seq,
            "kind": span.kind,
            "name": span.name,
            "is_error": span.is_error,
            "preview": preview(span),
            "wall_s": span.wall_s,
        }
        for seq, span in enumerate(trace.spans)
    ]


def failure_row(failure: Failure, batch: int) -> Columns:
    """Row of `failure`."""
    columns: Columns = {name: getattr(failure, name) for name in failure.__dataclass_fields__}
    columns["check_name"] = columns.pop("check")
    return columns | {"context": dump_json(asdict(failure.context)), "batch": batch}


def cluster_row(cluster: Cluster, batch: int, step: int) -> Columns:
    """Row of `cluster`: the cluster as it stands after a step."""
    columns: Columns = {name: getattr(cluster, name) for name in cluster.__dataclass_fields__}
    return columns | {"failing_tasks": dump_json(cluster.failing_tasks), "batch": batch, "step": step}


def case_row(case: EvalCase, batch: int, step: int) -> Columns:
    """Row of `eval_case`: the case as it stands after a step."""
    columns: Columns = {name: getattr(case, name) for name in case.__dataclass_fields__}
    columns["check_name"] = columns.pop("check")
    nested = {"slices": dump_json(case.slices), "verification": dump_json(asdict(case.verification))}
    return columns | nested | {"batch": batch, "step": step}


def dataset_row(version: DatasetVersion, batch: int, step: int) -> Columns:
    """Row of `dataset`: one immutable version of the regression suite."""
    entries: list[Json] = [[entry.case_id, entry.case_hash, entry.task_id] for entry in version.entries]
    nested = {"entries": dump_json(entries), "pedigree": dump_json(asdict(version.pedigree))}
    return {"id": version.id, "batch": batch, "step": step, "parent": version.parent, **nested}


def proposal_row(record: ProposalRecord, edits: Json, recorded_at: float) -> Columns:
    """Row of `proposal`; `edits` are [path, blob] pairs."""
    proposal = record.proposal or _NOTHING
    return {
        "n": record.n,
        "batch": record.batch,
        "cluster_id": record.cluster_id,
        "is_proposed": record.proposal is not None,
        "title": proposal.title,
        "hypothesis": proposal.hypothesis,
        "edits": dump_json(edits),
        "target_tasks": dump_json(proposal.target_tasks),
        "rung": proposal.rung,
        "proposer": proposal.proposer,
        "predicted_fixes": proposal.predicted_fixes,
        "predicted_risks": proposal.predicted_risks,
        "proposal_usage": dump_json(usage_values(proposal.usage)),
        "refusal_code": record.refusal.code if record.refusal else None,
        "refusal_reason": record.refusal.reason if record.refusal else None,
        **usage_columns(record.usage),
        "recorded_at": recorded_at,
    }


_NOTHING = Proposal(title="", hypothesis="", edits=(), target_tasks=(), rung="prompt", proposer="")


def candidate_row(candidate: Candidate, parent_n: int | None, diff_sha: str, recorded_at: float) -> Columns:
    """Row of `candidate`; its proposal has a row of its own."""
    return {
        "n": candidate.n,
        "parent": candidate.parent,
        "parent_n": parent_n,
        "commit_sha": candidate.commit,
        "tree": candidate.tree,
        "cluster_id": candidate.cluster_id,
        "batch": candidate.batch,
        "diff_sha": diff_sha,
        "recorded_at": recorded_at,
    }


def decision_row(decision: Decision, recorded_at: float) -> Columns:
    """Row of `decision`; its checks have rows of their own."""
    low, high = decision.val_interval or (None, None)
    return {
        "candidate": decision.candidate,
        "verdict": decision.verdict,
        "reason_code": decision.reason_code,
        "reason": decision.reason,
        "val_before": decision.val_before,
        "val_after": decision.val_after,
        "val_low": low,
        "val_high": high,
        "fixed": dump_json(decision.fixed),
        "broken": dump_json(decision.broken),
        "n_fixed": len(decision.fixed),
        "n_broken": len(decision.broken),
        "n_rollouts": decision.n_rollouts,
        **usage_columns(decision.usage),
        "recorded_at": recorded_at,
    }


def check_row(candidate: int, position: int, check: GateCheck) -> Columns:
    """Row of `gate_check`."""
    columns: Columns = {name: getattr(check, name) for name in check.__dataclass_fields__}
    return columns | {"candidate": candidate, "ord": position}


def result_row(candidate: int, result: TaskResult) -> Columns:
    """Row of `task_result`."""
    columns: Columns = {name: getattr(result, name) for name in result.__dataclass_fields__}
    return columns | {"candidate": candidate}


def trunk_row(estimate: TrunkEstimate, recorded_at: float) -> Columns:
    """Row of `trunk`."""
    columns: Columns = {name: getattr(estimate, name) for name in estimate.__dataclass_fields__}
    return columns | {"commit_sha": columns.pop("commit"), "recorded_at": recorded_at}


def edits_json(edits: tuple[FileEdit, ...], shas: tuple[str | None, ...]) -> Json:
    """Edits of a proposal as [path, blob or null] pairs."""
    return [[edit.path, sha] for edit, sha in zip(edits, shas, strict=True)]
