"""Nothing leaks between the splits, and nothing changes between runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import combinations

import pytest

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark, load
from benchmarks.helpdesk.case import Case
from benchmarks.helpdesk.plan import Ask
from benchmarks.helpdesk.tasks import FAMILIES
from optimizer.domain.errors import BenchmarkError
from optimizer.domain.task import SPLITS


def _cases(bench: HelpdeskBenchmark) -> list[Case]:
    return [bench.case(task.id) for task in bench.tasks()]


def _digest(bench: HelpdeskBenchmark) -> str:
    return repr(_cases(bench))


EXTRACTS: dict[str, Callable[[Case], Iterable[str]]] = {
    "groups": lambda case: [case.task.group],
    "customer ids": lambda case: [customer.id for customer in case.seed.customers],
    "names": lambda case: [customer.name for customer in case.seed.customers],
    "emails": lambda case: [customer.email for customer in case.seed.customers],
    "order numbers": lambda case: [order.id for order in case.seed.orders],
    "first messages": lambda case: [case.script.first_message],
    "first messages without the name": lambda case: [
        re.sub(r"^(Hi|Hello|Good morning).*?(here\.|!|is .*?\.) |(Thanks|Best), .*$", "", case.script.first_message)
        if case.task.slices == ("product_question",)
        else case.script.first_message
    ],
    "wishes of product questions": lambda case: [
        request.wish for request in case.script.requests if case.task.slices == ("product_question",)
    ],
    "secrets asked for": lambda case: [
        step.value for step in case.plan.steps if isinstance(step, Ask) and step.fact in {"email", "order_id"}
    ],
}


@pytest.mark.parametrize("what", EXTRACTS)
def test_splits_share_no(bench: HelpdeskBenchmark, what: str) -> None:
    seen = {
        split: {text for case in _cases(bench) if case.task.split == split for text in EXTRACTS[what](case)}
        for split in SPLITS
    }
    for first, second in combinations(SPLITS, 2):
        assert not seen[first] & seen[second]


def test_every_family_is_in_every_split(bench: HelpdeskBenchmark) -> None:
    counts = Counter((task.slices[0], task.split) for task in bench.tasks())
    assert all(counts[family, split] >= 3 for family in FAMILIES for split in SPLITS)


def test_there_are_224_tasks_in_18_families_split_96_64_64(bench: HelpdeskBenchmark) -> None:
    assert len(FAMILIES) == 18
    assert Counter(task.split for task in bench.tasks()) == {"train": 96, "val": 64, "test": 64}
    assert len({task.id for task in bench.tasks()}) == 224


def test_every_task_has_two_to_six_traps_that_lie_within_the_plan(bench: HelpdeskBenchmark) -> None:
    for case in _cases(bench):
        assert 2 <= len(case.plan.traps) <= 6, case.task.id
        assert all(0 <= trap.at <= trap.until < len(case.plan.steps) for trap in case.plan.traps), case.task.id
        assert all(trap.instead for trap in case.plan.traps)


def test_a_task_shows_the_harness_nothing_of_its_id_or_split(bench: HelpdeskBenchmark) -> None:
    for case in _cases(bench):
        assert case.task.id not in case.script.first_message
        assert case.task.group not in case.script.first_message


def test_gold_values_never_occur_in_a_check_detail(bench: HelpdeskBenchmark) -> None:
    for case in _cases(bench):
        names = [cue.name for cue in case.gold.must_say] + [fact.name for fact in case.gold.grounded]
        assert not any(re.search(r"\d", name) for name in names), names


def test_loading_twice_gives_equal_tasks_and_version(bench: HelpdeskBenchmark) -> None:
    again = load()
    assert _digest(again) == _digest(bench)
    assert again.version == bench.version


def test_another_process_with_another_hash_seed_builds_the_same_tasks(bench: HelpdeskBenchmark) -> None:
    code = (
        "import hashlib, json; from benchmarks.helpdesk.tasks import cases;"
        "print(json.dumps(hashlib.sha256(repr(list(cases())).encode()).hexdigest()))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    ]
    assert json.loads(runs[0]) == json.loads(runs[1])


def test_an_unknown_task_is_refused_by_name(bench: HelpdeskBenchmark) -> None:
    with pytest.raises(BenchmarkError, match="no task 'nonsense'"):
        bench.case("nonsense")
