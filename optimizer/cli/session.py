"""One session of a campaign: from an opened ledger to a planned ending, whatever interrupts it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import monotonic

import anyio

from optimizer.campaign.journal import Journal
from optimizer.campaign.keeping import Keeper, Signature
from optimizer.campaign.loop import Campaign, Crew, Ending
from optimizer.campaign.proposing import Brief, Version, Workshop
from optimizer.campaign.reviewing import ReviewDesk
from optimizer.campaign.steering import Steering
from optimizer.cli.compose import (
    Watchers,
    Workplace,
    budget_of,
    check_harness,
    committed_text,
    evaluator_of,
    hold_for_ever,
    hone_version,
    host_name,
    measured_tasks,
)
from optimizer.cli.contracting import check_slices, contract_of
from optimizer.cli.eyes import lens_of, sources_of, taxonomy_of
from optimizer.cli.models import proposal_cap
from optimizer.cli.progress import Narrator
from optimizer.config.load import settings_hash, to_json
from optimizer.domain.budget import Budget
from optimizer.domain.errors import BenchmarkError, ConfigError, RepoError
from optimizer.domain.json import canonical_json
from optimizer.evals.splits import check_splits
from optimizer.evaluate.evaluator import Evaluator
from optimizer.gate.guard import TARGET_ROUTE, GuardRule
from optimizer.gate.policy import Policy
from optimizer.gate.target import TargetRule
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.ledger import Ledger

HEARTBEAT_S = 5.0


def begin(workplace: Workplace, *, now: datetime | None = None) -> Ledger:
    """Start the ledger of a new campaign at the commit that is checked out; `now` dates its commits.

    Raises:
        RepoError: the harness folder is not clean, so the campaign would not see what the person sees.
        HarnessError: the harness cannot run.
        BenchmarkError: the splits leak.
        ConfigError: a pinned task or the taxonomy cannot be used.
        LedgerError: the campaign exists already.
    """
    dirty = workplace.repo.dirty_files()
    if dirty:
        shown = ", ".join(dirty[:5]) + (", ..." if len(dirty) > 5 else "")
        raise RepoError(
            f"the harness folder has changes that are not committed ({shown}), and a campaign starts from a commit."
            " `git add -A && git commit -m 'Before hone'` (or `git stash`), then try again."
        )
    head = workplace.repo.head()
    check_harness(workplace.repo.read(head.harness_tree), workplace.settings)
    splits = check_splits(tuple(workplace.benchmark.tasks()))
    if splits.problems:
        raise BenchmarkError(f"the task splits cannot be trusted: {'; '.join(splits.problems)}. Mend the benchmark.")
    settings = workplace.settings
    taxonomy_of(workplace)
    check_pins(workplace)
    check_slices(settings, workplace.benchmark.tasks())
    _require_untaken(workplace)
    workplace.repo.begin(head.commit)
    return Ledger.create(
        workplace.ledger_folder,
        CampaignHeader(
            campaign=settings.campaign.name,
            benchmark=workplace.benchmark.name,
            benchmark_version=workplace.benchmark.version,
            base_commit=head.commit,
            base_tree=head.harness_tree,
            seed=settings.campaign.seed,
            settings_json=canonical_json(to_json(settings)),
            settings_hash=settings_hash(settings),
            split_manifest_hash=splits.manifest_hash,
            started_at=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
            hone_version=hone_version(),
            is_simulated=workplace.is_simulated,
        ),
    )


def check_pins(workplace: Workplace) -> None:
    """Only train tasks can be pinned. Raises ConfigError."""
    train = {task.id for task in workplace.benchmark.tasks() if task.split == "train"}
    unknown = [task_id for task_id in workplace.settings.gate.pin if task_id not in train]
    if unknown:
        raise ConfigError(
            f"[gate] pin names {', '.join(unknown)}, which are no train tasks; only train tasks can be pinned"
        )


def _require_untaken(workplace: Workplace) -> None:
    """A ledger that was deleted leaves its git refs; a new campaign must not mix with them."""
    repo, name = workplace.repo, workplace.settings.campaign.name
    if (workplace.ledger_folder / "ledger.sqlite").exists() or not (repo.accepted() or repo.rejected()):
        return
    raise RepoError(
        f"an earlier campaign {name!r} left commits in git (hone/{name}, refs/hone/{name}/), but its ledger is gone."
        f" Choose another [campaign] name; or, to forget it: `git branch -D hone/{name}` and"
        f" `git for-each-ref --format='delete %(refname)' refs/hone/{name} | git update-ref --stdin`."
    )


async def work(workplace: Workplace, ledger: Ledger, narrator: Narrator) -> Ending:
    """Run the loop until it ends. Interrupted or killed, it leaves a ledger that `hone resume` goes on from."""
    budget = budget_of(workplace.settings)
    workplace.repo.begin(ledger.header.base_commit)
    before_s = ledger.elapsed_s()
    ledger.start_session(os.getpid(), host_name(), limits=budget.limits)
    hold_for_ever(budget, ledger.uncertain_spend())
    started = monotonic()
    try:
        watchers = Watchers(note=narrator.note, rollout=narrator.rollout)
        async with evaluator_of(workplace, ledger, budget, watchers) as evaluator, _heart(ledger):
            crew = _crew(workplace, ledger, budget, evaluator, narrator, lambda: before_s + monotonic() - started)
            ending = await Campaign(crew, workplace.settings, policy_of(workplace)).run()
    except BaseException as error:
        ledger.end_session("interrupted" if _is_interruption(error) else "failed")
        raise
    ledger.end_session("finished")
    return ending


def policy_of(workplace: Workplace) -> Policy:
    """The gate's rule with the person's settings."""
    gate = workplace.settings.gate
    return Policy(
        rule=gate.rule,
        target=TargetRule(alpha=1 - gate.confidence, max_rollouts=18 if gate.effort == 1 else 36),
        target_route=GuardRule(
            prior_mean=TARGET_ROUTE.prior_mean,
            reject_below=TARGET_ROUTE.reject_below,
            accept_at=gate.strictness,
        ),
        regression_rate=gate.regression_rate,
        max_infra_share=workplace.settings.loop.max_infra_share,
        val_passes=gate.effort,
        k_se=gate.k_se,
        contract=contract_of(workplace.settings),
    )


def _crew(
    workplace: Workplace,
    ledger: Ledger,
    budget: Budget,
    evaluator: Evaluator,
    narrator: Narrator,
    elapsed_s: Callable[[], float],
) -> Crew:
    settings, header = workplace.settings, ledger.header
    signature = Signature(
        campaign=header.campaign,
        started_at=datetime.fromisoformat(header.started_at),
        is_simulated=header.is_simulated,
    )
    guidance = settings.guidance.file
    workshop = Workshop(
        repo=workplace.repo,
        ledger=ledger,
        budget=budget,
        proposers=workplace.proposers(),
        brief=Brief(
            editable=settings.harness.editable,
            guidance=committed_text(workplace, guidance) if guidance else "",
            seed=settings.campaign.seed,
            worst_case=proposal_cap(settings),
        ),
        signature=signature,
        base=Version(commit=header.base_commit, tree=header.base_tree),
    )
    journal = Journal(ledger, narrator.event)
    lens = lens_of(workplace, ledger, budget)
    desk = ReviewDesk(journal, mode=settings.review.mode, always_ask=frozenset(settings.review.always_ask))
    return Crew(
        journal=journal,
        steering=Steering(journal, desk, narrator.note),
        workshop=workshop,
        keeper=Keeper(workplace.repo, ledger, signature),
        evaluator=evaluator,
        budget=budget,
        tasks=measured_tasks(workplace.benchmark),
        lens=lens,
        sources=sources_of(workplace, ledger, budget, lens.taxonomy),
        elapsed_s=elapsed_s,
    )


@asynccontextmanager
async def _heart(ledger: Ledger) -> AsyncIterator[None]:
    """Say every few seconds that the session lives."""

    async def beat() -> None:
        while True:
            ledger.heartbeat()
            await anyio.sleep(HEARTBEAT_S)

    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        yield
        group.cancel_scope.cancel()


def _is_interruption(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_interruption(inner) for inner in error.exceptions)
    return isinstance(error, KeyboardInterrupt | anyio.get_cancelled_exc_class())
