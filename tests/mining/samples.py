"""Failures as tests need them."""

from __future__ import annotations

from optimizer.domain.failure import Failure, Signal


def failure(
    task: str,
    label: str = "planning.missing_step",
    severity: float = 0.5,
    *,
    signature: str | None = None,
    signal: Signal = "check_failed",
    mark: str = "",
) -> Failure:
    line = label if signature is None else signature
    return Failure(
        id=f"{task}-{label}-{line}-{mark}",
        rollout_id="r",
        task_id=task,
        tree="t",
        signal=signal,
        label=label,
        symptom="s",
        cause="c",
        evidence="e",
        span=0,
        severity=severity,
        signature=line,
    )
