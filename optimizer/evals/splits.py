"""Whether the splits of a benchmark can be trusted: nothing repeated, nothing empty, no group on both sides."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from optimizer.domain.json import content_hash
from optimizer.domain.task import SPLITS, Split, Task

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCount:
    """How large one split is."""

    split: Split
    n_tasks: int
    """Distinct ids."""
    n_groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StraddlingGroup:
    """A group with tasks in more than one split: what is learned on one side is known on the other."""

    group: str
    splits: tuple[Split, ...]
    tasks: tuple[str, ...]
    """Ids, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """What `check_splits` found."""

    counts: tuple[SplitCount, ...]
    """One per split, in the order train, val, test."""
    straddling: tuple[StraddlingGroup, ...]
    duplicate_ids: tuple[str, ...]
    """Ids that more than one task has, sorted."""
    empty_splits: tuple[Split, ...]
    manifest_hash: str
    """Hash of the sorted (id, split, group): changes when a task is added, removed or moved."""

    @property
    def is_sound(self) -> bool:
        """True when there is nothing to complain about."""
        return not (self.straddling or self.duplicate_ids or self.empty_splits)

    @property
    def problems(self) -> tuple[str, ...]:
        """One sentence per kind of problem, for `hone doctor`."""
        sentences = (
            self.straddling and f"{len(self.straddling)} group(s) lie in more than one split: {self._groups()}",
            self.duplicate_ids and f"{len(self.duplicate_ids)} task id(s) are used twice: {_some(self.duplicate_ids)}",
            self.empty_splits and f"no tasks in {' and '.join(self.empty_splits)}",
        )
        return tuple(sentence for sentence in sentences if sentence)

    def _groups(self) -> str:
        return _some(tuple(f"{each.group} ({', '.join(each.splits)})" for each in self.straddling))


def check_splits(tasks: Iterable[Task]) -> SplitReport:
    """Examine the tasks of a benchmark; their order does not matter."""
    ordered = sorted(tasks, key=lambda task: (task.id, task.split, task.group))
    by_group: defaultdict[str, list[Task]] = defaultdict(list)
    for task in ordered:
        by_group[task.group].append(task)
    counts = tuple(_count(split, ordered) for split in SPLITS)
    n_uses = Counter(task.id for task in ordered)
    return SplitReport(
        counts=counts,
        straddling=tuple(
            _straddling(group, by_group[group]) for group in sorted(by_group) if _n_splits(by_group[group]) > 1
        ),
        duplicate_ids=tuple(task_id for task_id, n in n_uses.items() if n > 1),
        empty_splits=tuple(count.split for count in counts if count.n_tasks == 0),
        manifest_hash=content_hash([[task.id, task.split, task.group] for task in ordered]),
    )


def _count(split: Split, tasks: Iterable[Task]) -> SplitCount:
    inside = [task for task in tasks if task.split == split]
    return SplitCount(
        split=split, n_tasks=len({task.id for task in inside}), n_groups=len({task.group for task in inside})
    )


def _n_splits(tasks: Iterable[Task]) -> int:
    return len({task.split for task in tasks})


def _straddling(group: str, tasks: Iterable[Task]) -> StraddlingGroup:
    splits = {task.split for task in tasks}
    return StraddlingGroup(
        group=group,
        splits=tuple(split for split in SPLITS if split in splits),
        tasks=tuple(sorted({task.id for task in tasks})),
    )


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
