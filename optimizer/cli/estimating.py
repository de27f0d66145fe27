"""What a campaign may take, before anything is spent: arithmetic over the settings and a measured or assumed rollout.

Counts per candidate follow the gate: up to 18 target rollouts and as many of the trunk, each suite case once, and
validation in blocks of ten that mostly end early. The typical figures are those measured in simulation of the gate
(12.8 target rollouts of both arms and 35 validation rollouts at 100 validation tasks, scaled to the split at hand).
"""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.campaign.calibrating import Calibration
from optimizer.cli.compose import Workplace
from optimizer.cli.models import price_of, proposal_cap
from optimizer.config.settings import Settings
from optimizer.domain.trace import Usage

TYPICAL_TARGET_ROLLOUTS = 12.8
TYPICAL_VAL_SHARE = 0.35
DEFAULT_CANDIDATES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PerRollout:
    """One rollout, measured or assumed."""

    input_tokens: float
    output_tokens: float
    wall_s: float
    source: str
    """Where the figures come from, for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Expected and worst-case size of a campaign; USD is None when the price is unknown."""

    n_candidates: int
    typical_rollouts: int
    most_rollouts: int
    typical_tokens: int
    typical_usd: float | None
    most_usd: float | None
    """Hard limit: [budget] usd where it is set."""
    typical_hours: float
    per_rollout: PerRollout
    first_limit: str
    """Which budget is expected to end the campaign."""
    is_simulated: bool
    detects: tuple[str, ...] = ()
    """What the splits can and cannot show, where `hone calibrate` has measured their noise."""


ASSUMED = PerRollout(
    input_tokens=30_000, output_tokens=1_000, wall_s=30.0, source="assumed: 10 calls of 3,000 tokens, 30 s a rollout"
)


def measured_by(found: Calibration) -> PerRollout:
    """One rollout as a calibration has measured it."""
    return PerRollout(
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        wall_s=found.wall_s,
        source=f"measured by `hone calibrate` on {found.train.n_runs + found.val.n_runs} runs of {found.commit[:10]}",
    )


def estimate(workplace: Workplace, per_rollout: PerRollout, *, detects: tuple[str, ...] = ()) -> Estimate:
    """Add a campaign up."""
    settings = workplace.settings
    budget = settings.budget
    n_val = sum(task.split == "val" for task in workplace.benchmark.tasks())
    per_candidate = TYPICAL_TARGET_ROLLOUTS + TYPICAL_VAL_SHARE * n_val + settings.loop.suite_limit / 4
    per_candidate += settings.loop.batch_size / settings.loop.candidates_per_batch
    usd_each = _usd(settings, per_rollout)
    affordable = {"candidates": float(budget.candidates or 10**9)}
    if budget.rollouts is not None:
        affordable["rollouts"] = max(0.0, (budget.rollouts - n_val) / per_candidate)
    if budget.usd is not None and usd_each:
        affordable["usd"] = max(0.0, (budget.usd / usd_each - n_val) / per_candidate)
    if budget.tokens is not None:
        tokens_each = per_rollout.input_tokens + per_rollout.output_tokens
        affordable["tokens"] = max(0.0, (budget.tokens / tokens_each - n_val) / per_candidate)
    if budget.hours is not None:
        pace = settings.loop.concurrency / per_rollout.wall_s
        affordable["hours"] = max(0.0, (3600 * budget.hours * pace - n_val) / per_candidate)
    first_limit = min(affordable, key=lambda name: affordable[name])
    n_candidates = int(affordable[first_limit])
    typical = int(n_val + n_candidates * per_candidate)
    most = n_val + n_candidates * (36 + settings.loop.suite_limit * 3 + n_val + settings.loop.batch_size)
    return Estimate(
        n_candidates=n_candidates,
        typical_rollouts=typical,
        most_rollouts=min(most, budget.rollouts or most),
        typical_tokens=int(typical * (per_rollout.input_tokens + per_rollout.output_tokens)),
        typical_usd=None if usd_each is None else typical * usd_each + n_candidates * proposal_cap(settings).usd / 4,
        most_usd=budget.usd,
        typical_hours=typical * per_rollout.wall_s / settings.loop.concurrency / 3600,
        per_rollout=per_rollout,
        first_limit=first_limit,
        is_simulated=workplace.is_simulated,
        detects=detects,
    )


def _usd(settings: Settings, per_rollout: PerRollout) -> float | None:
    price = price_of(settings)
    if price is None:
        return None
    usage = Usage(input_tokens=int(per_rollout.input_tokens), output_tokens=int(per_rollout.output_tokens))
    return price.usd(usage)
