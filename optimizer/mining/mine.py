"""From a failed rollout to a failure."""

from __future__ import annotations

from optimizer.domain.failure import Failure
from optimizer.domain.json import content_hash
from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Trace
from optimizer.mining.detectors import explain
from optimizer.mining.taxonomy import name_of, severity_of


def diagnose(rollout: Rollout, trace: Trace) -> Failure:
    """Turn one failed, measured rollout into a failure."""
    finding = explain(rollout, trace)
    signature = f"{finding.label}|{finding.check}"
    return Failure(
        id=content_hash(rollout.job.id, signature),
        rollout_id=rollout.job.id,
        task_id=rollout.job.task.id,
        tree=rollout.job.tree,
        signal="hard_error" if rollout.status == "crashed" else "check_failed",
        label=finding.label,
        symptom=finding.symptom,
        cause=name_of(finding.label),
        evidence=finding.evidence,
        span=finding.span,
        severity=severity_of(finding.label),
        signature=signature,
    )
