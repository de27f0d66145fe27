"""Splits that leak, repeat or lack tasks are found."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.task import SPLITS, Split, Task
from optimizer.evals.splits import check_splits


def task(task_id: str, split: Split, group: str) -> Task:
    """One task."""
    return Task(id=task_id, split=split, group=group)


SOUND = (
    task("a1", "train", "ann"),
    task("a2", "train", "ann"),
    task("b1", "val", "bob"),
    task("c1", "test", "cat"),
    task("d1", "test", "dan"),
)


def test_sound_splits_are_counted() -> None:
    report = check_splits(SOUND)
    assert report.is_sound
    assert report.problems == ()
    assert [(c.split, c.n_tasks, c.n_groups) for c in report.counts] == [("train", 2, 1), ("val", 1, 1), ("test", 2, 2)]


def test_a_group_in_two_splits_is_a_leak() -> None:
    report = check_splits([*SOUND, task("a3", "test", "ann")])
    (leak,) = report.straddling
    assert (leak.group, leak.splits, leak.tasks) == ("ann", ("train", "test"), ("a1", "a2", "a3"))
    assert report.problems == ("1 group(s) lie in more than one split: ann (train, test)",)


def test_an_id_that_is_used_twice_is_found() -> None:
    report = check_splits([*SOUND, task("b1", "val", "bob")])
    assert report.duplicate_ids == ("b1",)
    assert not report.is_sound
    assert report.counts[1].n_tasks == 1


def test_empty_splits_are_named() -> None:
    report = check_splits([task("a", "train", "g")])
    assert report.empty_splits == ("val", "test")
    assert report.problems == ("no tasks in val and test",)


def test_no_tasks_at_all_is_a_report_too() -> None:
    assert check_splits([]).empty_splits == SPLITS


def test_many_leaks_are_listed_shortly() -> None:
    tasks = [task(f"{group}-{split}", split, f"g{group}") for group in range(9) for split in SPLITS]
    (sentence,) = check_splits(tasks).problems
    assert sentence.endswith("g4 (train, val, test) and 4 more")


def test_moving_a_task_changes_the_manifest() -> None:
    base = check_splits(SOUND).manifest_hash
    moved = [task("a1", "train", "ann"), *SOUND[2:], task("a2", "val", "ann")]
    regrouped = [*SOUND[1:], task("a1", "train", "eve")]
    assert len({base, check_splits(moved).manifest_hash, check_splits(regrouped).manifest_hash}) == 3


def test_slices_are_no_part_of_the_manifest() -> None:
    named = [Task(id=t.id, split=t.split, group=t.group, slices=("hard",)) for t in SOUND]
    assert check_splits(named).manifest_hash == check_splits(SOUND).manifest_hash


_TASKS = st.lists(
    st.builds(task, st.text(max_size=3), st.sampled_from(SPLITS), st.sampled_from(["g", "h", "i"])), max_size=12
)


@given(_TASKS, st.randoms())
def test_the_order_of_tasks_does_not_matter(tasks: list[Task], dice: object) -> None:
    shuffled: Sequence[Task] = sorted(tasks, key=lambda _: dice.random())  # type: ignore[attr-defined]
    assert check_splits(shuffled) == check_splits(tasks)


@given(_TASKS)
def test_a_report_is_sound_exactly_when_nothing_is_wrong(tasks: list[Task]) -> None:
    report = check_splits(tasks)
    splits_of = {group: {t.split for t in tasks if t.group == group} for group in ("g", "h", "i")}
    leaks = {group for group, splits in splits_of.items() if len(splits) > 1}
    assert {each.group for each in report.straddling} == leaks
    has_all = {t.split for t in tasks} == set(SPLITS)
    assert report.is_sound == (not leaks and has_all and len({t.id for t in tasks}) == len(tasks))
