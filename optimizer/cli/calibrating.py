"""Measure the committed harness against itself, keep what came of it, and say it in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import anyio
from pydantic import TypeAdapter

from optimizer.campaign.calibrating import Calibration, Subject, calibrated
from optimizer.cli.compose import Watchers, Workplace, evaluator_of
from optimizer.cli.jsonable import jsonable
from optimizer.cli.progress import Narrator
from optimizer.cli.replaying import FOLDER, replay_ledger
from optimizer.cli.running import unwrapped
from optimizer.cli.session import policy_of
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import ConfigError, InfrastructureError
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.gate.power import SplitNoise
from optimizer.ledger.reader import LedgerReader

_SHOWN = 8
_READER: TypeAdapter[Calibration] = TypeAdapter(Calibration)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPlan:
    """What `hone calibrate` is about to run."""

    n_trials: int
    max_usd: float | None


def calibrate(workplace: Workplace, plan: CalibrationPlan) -> Calibration:
    """Run train and val of the committed harness `n_trials` times and read the noise off.

    Recorded beside the replays: what ran before is not run again.

    Raises:
        ConfigError: --max-usd does not reach.
        InfrastructureError: nothing was measured twice.
    """
    head = workplace.repo.head()
    tasks = [task for task in workplace.benchmark.tasks() if task.split != "test"]
    narrator = Narrator(
        limits=BudgetLimits(rollouts=len(tasks) * plan.n_trials, usd=plan.max_usd), is_simulated=workplace.is_simulated
    )
    subject = Subject(
        commit=head.commit,
        tree=head.harness_tree,
        n_trials=plan.n_trials,
        n_test_tasks=sum(task.split == "test" for task in workplace.benchmark.tasks()),
        is_simulated=workplace.is_simulated,
    )
    jobs = [
        RolloutJob(tree=head.harness_tree, task=task, purpose="replay", trial=trial)
        for trial in range(plan.n_trials)
        for task in tasks
    ]
    watchers = Watchers(note=narrator.note, rollout=narrator.rollout)
    try:
        with unwrapped():
            return anyio.run(lambda: _measured(workplace, plan, subject, jobs, watchers))
    finally:
        narrator.close()


async def _measured(
    workplace: Workplace, plan: CalibrationPlan, subject: Subject, jobs: list[RolloutJob], watchers: Watchers
) -> Calibration:
    block = 4 * workplace.settings.loop.concurrency
    rollouts: list[Rollout] = []
    with replay_ledger(workplace) as ledger:
        budget = Budget(BudgetLimits(usd=plan.max_usd))
        async with evaluator_of(workplace, ledger, budget, watchers) as evaluator:
            for start in range(0, len(jobs), block):
                rollouts += await evaluator.run(jobs[start : start + block])
                _require_money(budget, plan)
        try:
            result = calibrated(rollouts, subject, policy_of(workplace))
        except ValueError as error:
            raise InfrastructureError(f"the harness could not be calibrated: {error}.") from error
        content = jsonable(result)
        assert isinstance(content, dict)
        ledger.calibrations.record(subject.tree, subject.n_trials, content)
    return result


def _require_money(budget: Budget, plan: CalibrationPlan) -> None:
    if plan.max_usd is not None and budget.spent.usd >= plan.max_usd:
        raise ConfigError(
            f"--max-usd {plan.max_usd:g} is used up before all trials have run; what has run is kept."
            " Go on with a larger --max-usd, or with fewer --trials."
        )


def known_calibration(workplace: Workplace) -> Calibration | None:
    """What was measured of the committed harness, or else of an earlier version, which `commit` names; or None."""
    folder = workplace.ledger_folder / FOLDER
    if not (folder / "ledger.sqlite").is_file():
        return None
    with LedgerReader.open(folder) as reader:
        content = reader.calibration(workplace.repo.head().harness_tree)
    return None if content is None else _READER.validate_python(content)


def detection_lines(found: Calibration) -> Iterator[str]:
    """What these splits can and cannot show, in words."""
    power, val, train = found.power, found.val, found.train
    yield (
        f"val cannot see one fix: a difference under {100 * power.val_single:.1f} points is invisible to one paired run"
        f" of {val.n_tasks} val tasks (5 points would need {power.val_tasks_for_five_points} tasks)"
    )
    if train.rerun_rate is None:
        yield "nothing fails on train, so there is nothing to fix"
        return
    yield (
        f"targets see it: six alike target tasks show an edit that closes 40 % of their gap with power"
        f" {power.target_power_40:.2f}, 60 % with {power.target_power_60:.2f}; one that changes nothing passes with"
        f" {power.target_false_pass:.3f}"
    )
    yield (
        f"`k failing tasks pass now` is no evidence: {100 * train.rerun_rate:.0f} % of failing train runs pass when"
        " simply run again"
    )
    yield (
        f"hone finalize --trials {power.final_trials}: an interval of at least +-{100 * power.test_half_interval:.1f}"
        " points; tasks that gain unequally widen it"
    )


def calibration_lines(found: Calibration) -> Iterator[str]:
    """The whole calibration for a person."""
    simulated = "  (SIMULATED model: every figure is simulated)" if found.is_simulated else ""
    yield f"{found.commit[:10]} against itself, {found.n_trials} trials{simulated}"
    yield from _split_lines("train", found.train)
    yield from _split_lines("val", found.val)
    for line in detection_lines(found):
        yield f"  {line}"
    null = found.null
    yield (
        f"  A/A check: of {null.n_candidates} simulated candidates that change nothing, the gate lets"
        f" {null.n_through_targets} through the targets (bound {null.bound:.0%}) and accepts {null.n_accepted}"
    )
    cost = "price unknown" if found.usd is None else f"{'simulated ' if found.is_simulated else ''}${found.usd:.4f}"
    yield f"  cost {cost}"


def _split_lines(name: str, split: SplitNoise) -> Iterator[str]:
    yield (
        f"  {name:<5} {split.n_tasks} tasks, {split.n_runs} runs: pass rate {split.mean:.3f} (internal estimate),"
        f" single-run noise E[p(1-p)] {split.noise:.3f}"
    )
    shown = ", ".join(f"{each.task_id} {each.n_passes}/{each.n_runs}" for each in split.flaky[:_SHOWN])
    more = f" and {len(split.flaky) - _SHOWN} more" if len(split.flaky) > _SHOWN else ""
    if split.flaky and name == "train":
        yield f"        {len(split.flaky)} flaky, unfit as single-run evidence: {shown}{more}"
    elif split.flaky:
        yield f"        {len(split.flaky)} flaky"
