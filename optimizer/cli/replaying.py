"""Estimate the true pass rate of a commit: fresh rollouts with luck that no decision has seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from optimizer.cli.compose import Watchers, Workplace, evaluator_of, hone_version
from optimizer.config.load import settings_hash, to_json
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import LedgerError
from optimizer.domain.json import canonical_json
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Split
from optimizer.evaluate.evaluator import Evaluator
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.ledger import Ledger

FOLDER = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueRate:
    """Pass rate of one commit over repeated fresh rollouts."""

    commit: str
    split: Split
    mean: float
    """0.0 to 1.0, mean over tasks of the share of trials passed."""
    half_interval: float
    """Half of the 95 % interval for these tasks: what further trials could still change."""
    n_tasks: int
    n_trials: int
    n_rollouts: int
    """Measured ones."""
    flip_rate: float
    """Mean over tasks of 2p(1-p): how often two identical runs of a task disagree; 0.0 to 0.5."""
    usd: float
    is_simulated: bool


async def replay(
    workplace: Workplace, commits: Sequence[str], *, split: Split, n_trials: int, watchers: Watchers
) -> tuple[TrueRate, ...]:
    """Run every task of a split n_trials times for each commit.

    Recorded in a ledger of its own, so that a campaign's ledger holds what the campaign did and nothing else.
    """
    with replay_ledger(workplace) as ledger:
        async with evaluator_of(workplace, ledger, Budget(BudgetLimits()), watchers) as evaluator:
            return tuple(
                [await _rate(workplace, evaluator, commit, split=split, n_trials=n_trials) for commit in commits]
            )


async def _rate(workplace: Workplace, evaluator: Evaluator, commit: str, *, split: Split, n_trials: int) -> TrueRate:
    described = workplace.repo.describe(commit)
    tasks = [task for task in workplace.benchmark.tasks() if task.split == split]
    jobs = [
        RolloutJob(tree=described.harness_tree, task=task, purpose="replay", trial=trial)
        for trial in range(n_trials)
        for task in tasks
    ]
    rollouts = await evaluator.run(jobs)
    by_task: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        if rollout.is_measured:
            by_task.setdefault(rollout.job.task.id, []).append(rollout)
    if not by_task:
        raise LedgerError(f"no rollout of {commit[:10]} could be measured: {rollouts[0].note}")
    rates = [sum(r.is_pass for r in runs) / len(runs) for runs in by_task.values()]
    counts = [len(runs) for runs in by_task.values()]
    within = sum(p * (1 - p) / max(1, n - 1) for p, n in zip(rates, counts, strict=True))
    flips = [2 * p * (1 - p) * n / max(1, n - 1) for p, n in zip(rates, counts, strict=True)]
    return TrueRate(
        commit=described.commit,
        split=split,
        mean=math.fsum(rates) / len(rates),
        half_interval=1.96 * math.sqrt(within) / len(rates),
        n_tasks=len(rates),
        n_trials=n_trials,
        n_rollouts=sum(counts),
        flip_rate=math.fsum(flips) / len(flips),
        usd=math.fsum(rollout.usage.usd or 0.0 for rollout in rollouts),
        is_simulated=workplace.is_simulated,
    )


def replay_ledger(workplace: Workplace) -> Ledger:
    """The ledger of rollouts outside any campaign, beside the campaign's own."""
    return side_ledger(workplace, FOLDER)


def side_ledger(workplace: Workplace, name: str) -> Ledger:
    """A ledger beside the campaign's own, for rollouts that the campaign must know nothing of."""
    folder = workplace.ledger_folder / name
    settings = workplace.settings
    head = workplace.repo.head()
    header = CampaignHeader(
        campaign=f"{settings.campaign.name}-{name}",
        benchmark=workplace.benchmark.name,
        benchmark_version=workplace.benchmark.version,
        base_commit=head.commit,
        base_tree=head.harness_tree,
        seed=settings.campaign.seed,
        settings_json=canonical_json(to_json(settings)),
        settings_hash=settings_hash(settings),
        split_manifest_hash="",
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        hone_version=hone_version(),
        is_simulated=workplace.is_simulated,
    )
    if not (folder / "ledger.sqlite").exists():
        return Ledger.create(folder, header)
    ledger = Ledger.open(folder)
    same = replace(ledger.header, started_at="", base_commit="", base_tree="", settings_json="")
    if same != replace(header, started_at="", base_commit="", base_tree="", settings_json=""):
        ledger.close()
        raise LedgerError(f"rollouts in {folder} were made with other settings; remove that folder to {name} anew.")
    return ledger
