"""Break the seal of the test split: who may, what it costs, and the two versions that are run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

from optimizer.campaign.finalizing import FinalNotes, compare
from optimizer.cli.compose import Watchers, Workplace, evaluator_of, hold_for_ever, host_name, open_ledger
from optimizer.cli.models import price_of
from optimizer.cli.reading import LEDGER
from optimizer.cli.replaying import side_ledger
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import BenchmarkError, BudgetExhaustedError, ConfigError, LedgerError
from optimizer.domain.final import FinalResult, FinalSeal
from optimizer.domain.task import Task
from optimizer.evals.splits import check_splits
from optimizer.ledger.finals import FinalRow
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.views import StatusView

FOLDER = "final"
TRIALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalPlan:
    """What `hone finalize` is about to do; nothing is spent yet."""

    seal: FinalSeal
    is_begun: bool
    """This very comparison was begun, or finished, before."""
    result: FinalResult | None
    """Of an earlier run of this very comparison."""
    n_tasks: int
    usd: float | None
    """Expected cost; None when it is not known."""
    max_usd: float | None
    """Never more than this; None for no limit."""
    notes: FinalNotes

    @property
    def n_rollouts(self) -> int:
        """Rollouts of the whole comparison."""
        return 2 * self.n_tasks * self.seal.n_trials


def plan_final(workplace: Workplace, *, n_trials: int | None, max_usd: float | None, is_again: bool) -> FinalPlan:
    """Look at what there is to compare; `is_again` allows a split that was spent before.

    Raises:
        LedgerError: no campaign, nothing accepted, or the split is spent.
        BenchmarkError: the tasks are not those the campaign began with.
        ConfigError: the budget does not reach.
    """
    tasks = sealed_tasks(workplace)
    if not (workplace.ledger_folder / LEDGER).is_file():
        raise LedgerError(
            f"no campaign {workplace.settings.campaign.name!r} has been started here, so there is nothing to compare."
            " Start one with `hone run`."
        )
    with LedgerReader.open(workplace.ledger_folder) as reader:
        _require_same_benchmark(workplace, reader)
        rows, status, accepted = reader.finals(), reader.status(), reader.accepted()
        each = reader.usd_per_rollout(status.header.base_tree)
    if not accepted:
        raise LedgerError(
            f"campaign {status.header.campaign!r} has accepted nothing, so its head is its baseline and there is"
            " nothing to compare. The test split stays sealed."
        )
    wanted = _seal(workplace, status, head=accepted[-1].commit, n_trials=n_trials or _trials(rows) or TRIALS, rows=rows)
    earlier = next((row for row in rows if _is_same(row.seal, wanted)), None)
    if earlier is None:
        wanted = _untouched_or_again(workplace, wanted, rows, is_again=is_again)
    seal = wanted if earlier is None else earlier.seal
    plan = FinalPlan(
        seal=seal,
        is_begun=earlier is not None,
        result=None if earlier is None else earlier.result,
        n_tasks=len(tasks),
        usd=None if each is None else each * 2 * len(tasks) * seal.n_trials,
        max_usd=max_usd if max_usd is not None else _left(workplace, status),
        notes=FinalNotes(n_val_candidates=status.n_val_candidates, is_simulated=workplace.is_simulated),
    )
    _require_affordable(workplace, plan)
    return plan


async def finalize(workplace: Workplace, plan: FinalPlan, watchers: Watchers) -> FinalResult:
    """Break the seal, run what is missing, compare, and record it. Killed, it is finished by calling it again.

    Rollouts go to a ledger of their own, so that nothing of the campaign - mining, suites, a resume - reads a test run.

    Raises:
        ConfigError: the money ran out on the way; everything that has run is kept.
    """
    with open_ledger(workplace) as ledger, side_ledger(workplace, FOLDER) as runs:
        ledger.finals.open(plan.seal)
        budget = Budget(BudgetLimits(usd=plan.max_usd))
        runs.start_session(os.getpid(), host_name(), limits=budget.limits)
        hold_for_ever(budget, runs.uncertain_spend())
        try:
            result = await _compared(workplace, plan, runs, budget, watchers)
        except BudgetExhaustedError as spent:
            raise ConfigError(
                f"the test could not be finished: {spent} What has run is kept, and nothing of it is shown before"
                " all of it is there; go on with a larger --max-usd."
            ) from spent
        ledger.finals.record(plan.seal, result)
        runs.end_session("finished")
    return result


async def _compared(
    workplace: Workplace, plan: FinalPlan, runs: Ledger, budget: Budget, watchers: Watchers
) -> FinalResult:
    async with evaluator_of(workplace, runs, budget, watchers, seal=plan.seal) as evaluator:
        return await compare(evaluator, sealed_tasks(workplace), plan.seal, plan.notes, block=_block(workplace, plan))


def _block(workplace: Workplace, plan: FinalPlan) -> int:
    """Tasks at a time. What a block might cost at worst is set aside before it runs, so little money means few."""
    widest = 2 * workplace.settings.loop.concurrency
    if plan.max_usd is None:
        return widest
    return max(1, min(widest, int(plan.max_usd / (8 * workplace.settings.rollout.max_usd))))


def sealed_tasks(workplace: Workplace) -> tuple[Task, ...]:
    """The tasks of the sealed split."""
    return tuple(task for task in workplace.benchmark.tasks() if task.split == "test")


def _require_same_benchmark(workplace: Workplace, reader: LedgerReader) -> None:
    header, benchmark = reader.header(), workplace.benchmark
    manifest = check_splits(tuple(benchmark.tasks())).manifest_hash
    if (header.benchmark_version, header.split_manifest_hash) != (benchmark.version, manifest):
        raise BenchmarkError(
            f"{benchmark.name} is not what the campaign began with: version {header.benchmark_version[:12]}, splits"
            f" {header.split_manifest_hash[:12]} then; {benchmark.version[:12]}, {manifest[:12]} now. Install the"
            " version of then: a test split counts only as it was before the first rollout."
        )


def _seal(
    workplace: Workplace, status: StatusView, *, head: str, n_trials: int, rows: tuple[FinalRow, ...]
) -> FinalSeal:
    header = status.header
    return FinalSeal(
        n=len(rows) + 1,
        benchmark=header.benchmark,
        benchmark_version=header.benchmark_version,
        split_manifest_hash=header.split_manifest_hash,
        base_commit=header.base_commit,
        base_tree=header.base_tree,
        head_commit=head,
        head_tree=workplace.repo.describe(head).harness_tree,
        n_trials=n_trials,
        is_untouched=True,
    )


def _trials(rows: tuple[FinalRow, ...]) -> int | None:
    return rows[-1].seal.n_trials if rows else None


def _is_same(one: FinalSeal, other: FinalSeal) -> bool:
    return (one.head_commit, one.n_trials) == (other.head_commit, other.n_trials)


def _untouched_or_again(
    workplace: Workplace, wanted: FinalSeal, rows: tuple[FinalRow, ...], *, is_again: bool
) -> FinalSeal:
    """A seal for a first look, or a labelled one for a further look that somebody insists on."""
    spent = [(workplace.settings.campaign.name, row.seal) for row in rows] + list(_elsewhere(workplace, wanted))
    if not spent:
        return wanted
    if is_again:
        return replace(wanted, is_untouched=False)
    name, seal = spent[-1]
    raise LedgerError(
        f"the test split of {wanted.benchmark} {wanted.benchmark_version[:12]} is spent: campaign {name!r} has compared"
        f" {seal.head_commit[:10]} on it ({seal.n_trials} trials). Choosing by a second look makes it a validation"
        " split. Use a benchmark version with fresh test tasks; or --again, and the result says that it is not"
        " untouched."
    )


def _elsewhere(workplace: Workplace, wanted: FinalSeal) -> Iterator[tuple[str, FinalSeal]]:
    """Seals that other campaigns of this harness folder have broken on the same split."""
    own = workplace.ledger_folder
    for path in sorted(own.parent.glob("*/ledger.sqlite")):
        if path.parent == own:
            continue
        with LedgerReader.open(path.parent) as reader:
            for row in reader.finals():
                if (row.seal.benchmark, row.seal.split_manifest_hash) == (wanted.benchmark, wanted.split_manifest_hash):
                    yield path.parent.name, row.seal


def _left(workplace: Workplace, status: StatusView) -> float | None:
    """What the campaign has left of its dollars."""
    limit = workplace.settings.budget.usd
    return None if limit is None else max(0.0, limit - status.spent.usd - status.uncertain.usd)


def _require_affordable(workplace: Workplace, plan: FinalPlan) -> None:
    if plan.result is not None or plan.max_usd is None:
        return
    if price_of(workplace.settings) is None:
        raise ConfigError(
            f"no price is known for model {workplace.settings.model.name!r}, so --max-usd cannot be kept."
            " State [model.price] in campaign.toml."
        )
    if plan.usd is not None and plan.usd > plan.max_usd:
        raise ConfigError(
            f"the test is expected to cost ${plan.usd:.2f} ({plan.n_rollouts} rollouts) and ${plan.max_usd:.2f} is left"
            " of [budget] usd, or allowed by --max-usd. Give a larger --max-usd; it is apart from [budget]."
        )
