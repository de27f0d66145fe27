"""The result of a campaign in one JSON object."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.ledger.views import StatusView


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What `hone run --json` and the last line of `hone demo` say."""

    campaign: str
    benchmark: str
    is_simulated: bool
    state: str
    ending: str | None
    """Which limit ended it: `usd`, `tokens`, `rollouts`, `candidates`, `hours`, or `exhausted`."""
    branch: str
    sandbox_levels: tuple[str, ...]
    """Isolation that rollouts reached."""
    n_batches: int
    n_candidates: int
    n_accepted: int
    n_rejected: int
    """Refused edits included."""
    n_inconclusive: int
    n_clusters: int
    n_regression_cases: int
    val_baseline: float | None
    """Internal estimate of the pass rate on validation; selected on, never the result."""
    val_best: float | None
    """Internal estimate for the head of the branch."""
    rollouts: int
    tokens: int
    usd: float
    """Simulated dollars when `is_simulated`."""
    n_model_calls: int
    n_replayed_calls: int
    wall_s: float


def summary_of(status: StatusView) -> Summary:
    """Pick the figures out of a status."""
    counts = status.counts
    return Summary(
        campaign=status.header.campaign,
        benchmark=status.header.benchmark,
        is_simulated=status.header.is_simulated,
        state=status.state,
        ending=status.end_code,
        branch=f"hone/{status.header.campaign}",
        sandbox_levels=status.sandbox_levels,
        n_batches=status.n_batches,
        n_candidates=counts.total,
        n_accepted=counts.accepted,
        n_rejected=counts.rejected + counts.refused,
        n_inconclusive=counts.inconclusive,
        n_clusters=sum(n for _, n in status.clusters),
        n_regression_cases=status.n_suite,
        val_baseline=status.val_baseline,
        val_best=status.val_now,
        rollouts=status.n_rollouts,
        tokens=status.spent.tokens,
        usd=round(status.spent.usd, 6),
        n_model_calls=status.n_calls,
        n_replayed_calls=status.n_replayed_calls,
        wall_s=round(status.elapsed_s, 1),
    )
