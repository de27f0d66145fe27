"""What lies between two versions of the regression suite, with the reasons that the cases themselves give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from optimizer.domain.dataset import DatasetVersion, Pedigree
from optimizer.domain.evalcase import EvalCase

_COMPARED = ("check", "layer", "weight", "slices", "prefix", "synthetic_of", "state", "task_id", "cluster_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChange:
    """One case that differs between the versions."""

    case_id: str
    task_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetChanges:
    """What leads from one version to another."""

    older: str
    newer: str
    added: tuple[CaseChange, ...]
    removed: tuple[CaseChange, ...]
    changed: tuple[CaseChange, ...]
    readings: tuple[str, ...]
    """Readings of the data that differ: `taxonomy: 3f2a... -> 77c2...`."""
    n_same: int

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same cases, read the same way."""
        return not (self.added or self.removed or self.changed or self.readings)


def changes(
    older: DatasetVersion, newer: DatasetVersion, *, then: Mapping[str, EvalCase], now: Mapping[str, EvalCase]
) -> DatasetChanges:
    """Compare two versions, related or not; `then` and `now` hold cases as they stood when each was made.

    Cases that a version does not list may be among them: they tell why a case left.
    """
    before = {entry.case_id: entry for entry in older.entries}
    after = {entry.case_id: entry for entry in newer.entries}
    both = [entry for entry in newer.entries if entry.case_id in before]
    differing = [
        CaseChange(case_id=e.case_id, task_id=e.task_id, reason=_difference(then.get(e.case_id), now.get(e.case_id)))
        for e in both
        if e != before[e.case_id] or _state(then.get(e.case_id)) != _state(now.get(e.case_id))
    ]
    return DatasetChanges(
        older=older.id,
        newer=newer.id,
        added=tuple(
            CaseChange(case_id=e.case_id, task_id=e.task_id, reason=_standing(now.get(e.case_id)))
            for e in newer.entries
            if e.case_id not in before
        ),
        removed=tuple(
            CaseChange(case_id=e.case_id, task_id=e.task_id, reason=_standing(now.get(e.case_id)))
            for e in older.entries
            if e.case_id not in after
        ),
        changed=tuple(differing),
        readings=tuple(_readings(older.pedigree, newer.pedigree)),
        n_same=len(both) - len(differing),
    )


def _standing(case: EvalCase | None) -> str:
    return "no such case at that point" if case is None else f"{case.state}: {case.note}" if case.note else case.state


def _state(case: EvalCase | None) -> str | None:
    return None if case is None else case.state


def _difference(then: EvalCase | None, now: EvalCase | None) -> str:
    if then is None or now is None:
        return "its content differs"
    parts = [
        f"{name} {_brief(getattr(then, name))} -> {_brief(getattr(now, name))}"
        for name in _COMPARED
        if getattr(then, name) != getattr(now, name)
    ]
    return "; ".join(parts) or "its content differs"


def _brief(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or "none"
    return "none" if value is None else str(value)


def _readings(older: Pedigree, newer: Pedigree) -> Iterator[str]:
    for each in fields(Pedigree):
        before, after = getattr(older, each.name), getattr(newer, each.name)
        if before != after:
            yield f"{each.name}: {before or 'none'} -> {after or 'none'}"
