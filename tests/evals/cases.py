"""Cases as tests want them."""

from __future__ import annotations

from dataclasses import replace

from optimizer.domain.evalcase import EvalCase, Verification

BELIEVED = Verification(n_failing=3, n_failing_runs=3, known_good="gold")


def case(task: str = "t1", cluster: int = 1, *, found: Verification = BELIEVED, **changes: object) -> EvalCase:
    plain = EvalCase(
        id=f"{task}-{cluster}",
        task_id=task,
        cluster_id=cluster,
        failure_id="f",
        rollout_id="r",
        check="final_state",
        state="candidate",
        verification=found,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]
