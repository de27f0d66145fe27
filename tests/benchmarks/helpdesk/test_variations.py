"""Made-up neighbours tell a train task's story of somebody else, are as solvable, and repeat no held-out task."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark
from benchmarks.helpdesk.variations import neighbour
from optimizer.domain.errors import BenchmarkError
from optimizer.domain.task import CaseSource, Task
from optimizer.evals.decontam import HeldOut
from optimizer.evals.openings import read_openings
from optimizer.evals.variations import SYNTHETIC, fitting_variation

pytestmark = pytest.mark.anyio


def models(bench: HelpdeskBenchmark) -> list[Task]:
    return [task for task in bench.tasks() if task.split == "train" and task.slices != ("product_question",)]


def test_the_benchmark_offers_gold_and_neighbours(bench: HelpdeskBenchmark) -> None:
    assert isinstance(bench, CaseSource)


async def test_the_gold_plan_of_every_neighbour_scores_one_by_the_checks_of_its_model(bench: HelpdeskBenchmark) -> None:
    for model in models(bench):
        gold = await bench.gold_score(model)
        for task in bench.variations(model, n=2, seed=0):
            score = await bench.gold_score(task)
            assert score.value == 1.0, task.id
            assert {check.name for check in score.checks} == {check.name for check in gold.checks}, task.id


def test_neighbours_are_tagged_train_tasks_about_other_people_and_orders(bench: HelpdeskBenchmark) -> None:
    cases = [bench.case(task.id) for task in bench.tasks()]
    people = {customer.name for case in cases for customer in case.seed.customers}
    orders = {order.id for case in cases for order in case.seed.orders}
    for model in models(bench):
        for task in bench.variations(model, n=2, seed=0):
            case = bench.case(task.id)
            assert (task.split, task.slices) == ("train", (*model.slices, SYNTHETIC))
            assert not people & {customer.name for customer in case.seed.customers}
            assert not orders & {order.id for order in case.seed.orders}
            assert case.script.first_message != bench.case(model.id).script.first_message
            assert len(case.plan.traps) == len(bench.case(model.id).plan.traps)


async def test_no_neighbour_that_is_let_in_shares_words_with_val_or_test(bench: HelpdeskBenchmark) -> None:
    held = HeldOut(await read_openings(bench, bench.tasks()))
    n_fitting = 0
    for model in models(bench):
        task = await fitting_variation(bench, bench, model, held)
        if task is not None:
            (opened,) = await read_openings(bench, [task])
            assert held.leak(opened.text, task.group) == ""
            n_fitting += 1
    assert n_fitting >= 0.9 * len(models(bench))


async def test_hardly_any_train_task_is_taken_for_a_leak(bench: HelpdeskBenchmark) -> None:
    """The stories of a family resemble each other across the splits; that alone gives nothing away."""
    openings = await read_openings(bench, bench.tasks())
    held = HeldOut(openings)
    found = [o.task.id for o in openings if o.task.split == "train" and held.leak(o.text, o.task.group)]
    assert len(found) <= 2, found


def test_the_same_name_is_the_same_task_in_every_process() -> None:
    name = "refund_in_window-02~5.1"
    code = f"from benchmarks.helpdesk.variations import neighbour; print(repr(neighbour({name!r})))"
    seeds = ("1", "2")
    said = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in seeds
    ]
    assert said == [repr(neighbour(name))] * 2


@pytest.mark.parametrize("name", ["nonsense-00~0.1", "refund_in_window-08~0.1"])
def test_only_train_tasks_have_neighbours(bench: HelpdeskBenchmark, name: str) -> None:
    with pytest.raises(BenchmarkError, match="train tasks only"):
        bench.case(name)


def test_a_story_that_has_one_telling_has_no_neighbour(bench: HelpdeskBenchmark) -> None:
    question = next(task for task in bench.tasks() if task.slices == ("product_question",))
    assert bench.variations(question, n=3, seed=0) == ()
