"""The sealed test: nothing runs it but `finalize`, which runs it once, to the end, and says what it found."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from optimizer.campaign.finalizing import FinalNotes, compare, result_of
from optimizer.cli.compose import Watchers, Workplace
from optimizer.cli.final_lines import crowd_text, final_lines
from optimizer.cli.finalizing import FinalPlan, finalize, plan_final, sealed_tasks
from optimizer.cli.running import unwrapped
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import BenchmarkError, ConfigError, LedgerError
from optimizer.domain.final import FinalResult, FinalSeal
from optimizer.domain.rollout import RolloutJob
from optimizer.domain.task import Task
from optimizer.evaluate.evaluator import Evaluator, EvaluatorSettings
from optimizer.ledger.digest import content_digest
from optimizer.ledger.reader import LedgerReader
from tests.campaign.conftest import Finished
from tests.campaign.session_of import run
from tests.campaign.toy import Toy, git, make_toy
from tests.evaluate.fakes import FakeExecutor, MemoryLog, rollout_of

NOTES = FinalNotes(n_val_candidates=0, is_simulated=True)
SETTINGS = EvaluatorSettings(concurrency=4, infra_retries=1, max_usd=0.05, max_tokens=1000)
SEAL = FinalSeal(
    n=1,
    benchmark="toy",
    benchmark_version="1",
    split_manifest_hash="5911",
    base_commit="c" * 40,
    base_tree="b" * 40,
    head_commit="d" * 40,
    head_tree="h" * 40,
    n_trials=3,
    is_untouched=True,
)


def tasks_of(n: int, split: str = "test", per_group: int = 1) -> tuple[Task, ...]:
    return tuple(
        Task(
            id=f"{split}{i}", split=split, group=f"{split}-g{i // per_group}", slices=("even", "odd")[i % 2 : i % 2 + 1]
        )  # type: ignore[arg-type]
        for i in range(n)
    )


def evaluator_of(plan, *, seal: FinalSeal | None = None, log: MemoryLog | None = None) -> Evaluator:
    return Evaluator(FakeExecutor(plan), log or MemoryLog(), Budget(BudgetLimits()), SETTINGS, seal=seal)


def reword(toy: Toy, old: str, new: str) -> None:
    """Change the settings and commit them."""
    path = toy.folder / "campaign.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    git(toy.folder, "commit", "-q", "-a", "-m", "settings")


class Killed(Exception):  # noqa: N818 - what happens, not what is wrong
    """The process is gone."""


@dataclass(frozen=True)
class Copy:
    """A finished campaign of one's own."""

    toy: Toy

    @property
    def workplace(self) -> Workplace:
        return self.toy.workplace()

    def plan(self, **changes) -> FinalPlan:
        return plan_final(self.workplace, **({"n_trials": None, "max_usd": None, "is_again": False} | changes))

    def finalize(self, **changes) -> FinalResult:
        return anyio.run(lambda: finalize(self.workplace, self.plan(**changes), Watchers(note=lambda _: None)))


@pytest.fixture
def copy(finished: Finished, tmp_path: Path) -> Copy:
    folder = tmp_path / "harness"
    shutil.copytree(finished.toy.folder, folder, symlinks=True)
    return Copy(Toy(folder))


@pytest.mark.anyio
@pytest.mark.parametrize("purpose", ["mine", "target", "suite", "val", "promote", "replay", "final"])
async def test_no_purpose_runs_a_test_task_while_the_seal_is_whole(purpose):
    job = RolloutJob(tree=SEAL.base_tree, task=tasks_of(1)[0], purpose=purpose, trial=0)
    with pytest.raises(BenchmarkError, match="sealed"):
        await evaluator_of(lambda *_: "passed").run([job])


@pytest.mark.anyio
@pytest.mark.parametrize(("tree", "purpose"), [("x" * 40, "final"), (SEAL.head_tree, "val")])
async def test_a_broken_seal_lets_only_its_two_versions_run_and_only_for_the_final_comparison(tree, purpose):
    job = RolloutJob(tree=tree, task=tasks_of(1)[0], purpose=purpose, trial=0)
    with pytest.raises(BenchmarkError, match="sealed"):
        await evaluator_of(lambda *_: "passed", seal=SEAL).run([job])


def test_a_whole_campaign_never_runs_a_test_task(finished: Finished):
    with LedgerReader.open(finished.toy.ledger_folder) as reader:
        assert reader.finals() == ()
        assert [reader.task_history(task.id) for task in sealed_tasks(finished.toy.workplace())] == [()] * 4


@pytest.mark.anyio
async def test_infrastructure_errors_count_for_nobody_and_are_said():
    lost = {"test3"}
    result = await compare(
        evaluator_of(lambda job, _: "infra_error" if job.task.id in lost else "passed", seal=SEAL),
        tasks_of(10),
        SEAL,
        NOTES,
        block=4,
    )
    assert (result.n_tasks, result.n_rollouts, result.n_unmeasured) == (9, 60, 6)


def test_the_interval_covers_a_known_truth():
    """Tasks of a group share their difficulty and their gain; truth is the mean over all groups there could be."""
    worlds = [compared_in_world(seed, n_groups=30, per_group=3) for seed in range(60)]
    assert sum(each.low <= 0.15 <= each.high for each in worlds) >= 56
    assert sum(each.difference for each in worlds) / len(worlds) == pytest.approx(0.15, abs=0.02)


def compared_in_world(seed: int, *, n_groups: int, per_group: int) -> FinalResult:
    dice = random.Random(seed)
    base = [0.7 * dice.random() for _ in range(n_groups)]
    gain = [0.05 + 0.2 * dice.random() for _ in range(n_groups)]
    rollouts = []
    for task in tasks_of(n_groups * per_group, per_group=per_group):
        group = int(task.group.rpartition("g")[2])
        for trial in range(SEAL.n_trials):
            for tree, chance in ((SEAL.base_tree, base[group]), (SEAL.head_tree, base[group] + gain[group])):
                job = RolloutJob(tree=tree, task=task, purpose="final", trial=trial)
                rollouts.append(rollout_of(job, "passed" if dice.random() < chance else "failed"))
    return result_of(rollouts, SEAL, NOTES)


def test_finalize_compares_baseline_and_head_and_the_interval_covers_the_toys_truth(copy: Copy):
    before = content_digest(copy.toy.ledger_folder, without=frozenset({"final_seal", "final_result"}))
    result = copy.finalize()
    prompt = copy.workplace.repo.read(copy.plan().seal.head_commit)["prompt.md"].decode()
    known = sum(f"know {task.slices[0]}" in prompt for task in sealed_tasks(copy.workplace))
    assert known > 0
    assert result.low <= known / 4 * 0.8 <= result.high
    assert (result.n_tasks, result.n_trials, result.n_rollouts) == (4, 3, 24)
    assert {each.name for each in result.slices} == {"adding", "biking", "cooking", "diving"}
    assert result.usage.usd > 0
    assert result.sandbox_levels
    after = content_digest(copy.toy.ledger_folder, without=frozenset({"final_seal", "final_result"}))
    assert after == before


def test_the_same_comparison_again_is_printed_for_nothing(copy: Copy):
    first = copy.finalize()
    n_calls = len(copy.toy.model.bill)
    again = copy.plan()
    assert again.is_begun
    assert again.result == first
    assert len(copy.toy.model.bill) == n_calls
    text = "\n".join(final_lines(again.seal, first))
    assert "95 % interval" in text
    assert "untouched split" in text
    with LedgerReader.open(copy.toy.ledger_folder) as reader:
        assert reader.status().final.result == first


def test_another_comparison_needs_again_and_is_labelled(copy: Copy):
    copy.finalize()
    with pytest.raises(LedgerError, match="spent"):
        copy.plan(n_trials=4)
    plan = copy.plan(n_trials=4, is_again=True)
    assert not plan.seal.is_untouched
    result = anyio.run(lambda: finalize(copy.workplace, plan, Watchers(note=lambda _: None)))
    assert "NOT UNTOUCHED" in "\n".join(final_lines(plan.seal, result))


def test_a_split_that_another_campaign_of_the_folder_has_spent_is_spent(copy: Copy):
    copy.finalize()
    fresh = copy.toy
    reword(fresh, 'name = "toy"\nseed', 'name = "other"\nseed')
    assert run(fresh) == "candidates"
    with pytest.raises(LedgerError, match="campaign 'toy'"):
        plan_final(fresh.workplace(), n_trials=None, max_usd=None, is_again=False)


def test_a_test_that_breaks_off_is_finished_by_calling_it_again_and_pays_for_nothing_twice(copy: Copy, tmp_path: Path):
    whole = Copy(Toy(tmp_path / "twin"))
    shutil.copytree(copy.toy.folder, whole.toy.folder, symlinks=True)
    expected = whole.finalize()

    plan = copy.plan()
    n_left = 7

    def watch(_: object) -> None:
        nonlocal n_left
        n_left -= 1
        if n_left < 0:
            raise Killed

    with pytest.raises(Killed), unwrapped():
        anyio.run(lambda: finalize(copy.workplace, plan, Watchers(note=lambda _: None, rollout=watch)))
    begun = copy.plan()
    assert begun.is_begun
    assert begun.result is None
    result = copy.finalize()
    assert result == expected
    assert len(copy.toy.model.bill) == len(whole.toy.model.bill)


def test_money_that_does_not_reach_is_said_before_the_seal_is_broken(copy: Copy):
    with pytest.raises(ConfigError, match="--max-usd"):
        copy.plan(max_usd=1e-6)
    with LedgerReader.open(copy.toy.ledger_folder) as reader:
        assert reader.finals() == ()


def test_a_campaign_that_accepted_nothing_keeps_its_seal(tmp_path: Path):
    toy = make_toy(tmp_path / "harness")
    reword(toy, "candidates = 12", "candidates = 1")
    run(toy)
    with pytest.raises(LedgerError, match="stays sealed"):
        plan_final(toy.workplace(), n_trials=None, max_usd=None, is_again=False)


def test_a_worn_validation_split_is_said():
    assert crowd_text(300) == ""
    assert "fresh val tasks" in crowd_text(301)
