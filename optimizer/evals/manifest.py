"""Versions of the regression suite as hashed manifests, and what lies between two of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from optimizer.domain.dataset import DatasetEntry, DatasetVersion, Pedigree
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.json import content_hash

_NOT_CONTENT = frozenset({"n_runs", "n_passes", "note", "verification", "state"})
"""What changes with every run, or says what is known of a case: the case stays the same dataset entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDiff:
    """What leads from one version to another."""

    added: tuple[DatasetEntry, ...]
    removed: tuple[DatasetEntry, ...]
    changed: tuple[DatasetEntry, ...]
    """As they are in the later version."""
    pedigree: tuple[str, ...]
    """Names of readings that differ: `splits`, `taxonomy`, `redaction`."""

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same cases, read the same way."""
        return not (self.added or self.removed or self.changed or self.pedigree)


def case_hash(case: EvalCase) -> str:
    """Hash of what a case checks."""
    return content_hash({name: value for name, value in asdict(case).items() if name not in _NOT_CONTENT})


def manifest_of(cases: Iterable[EvalCase], *, parent: str = "", pedigree: Pedigree | None = None) -> DatasetVersion:
    """The version that these cases make; their order does not matter."""
    origin = pedigree or Pedigree()
    entries = tuple(
        DatasetEntry(case_id=case.id, case_hash=case_hash(case), task_id=case.task_id)
        for case in sorted(cases, key=lambda case: case.id)
    )
    content = [[entry.case_id, entry.case_hash, entry.task_id] for entry in entries]
    return DatasetVersion(
        id=content_hash(parent, content, asdict(origin), length=64), parent=parent, entries=entries, pedigree=origin
    )


def diff(older: DatasetVersion, newer: DatasetVersion) -> DatasetDiff:
    """What was added, removed and changed between two versions, related or not."""
    before = {entry.case_id: entry for entry in older.entries}
    after = {entry.case_id: entry for entry in newer.entries}
    return DatasetDiff(
        added=tuple(entry for entry in newer.entries if entry.case_id not in before),
        removed=tuple(entry for entry in older.entries if entry.case_id not in after),
        changed=tuple(e for e in newer.entries if e.case_id in before and before[e.case_id] != e),
        pedigree=tuple(
            each.name
            for each in fields(Pedigree)
            if getattr(older.pedigree, each.name) != getattr(newer.pedigree, each.name)
        ),
    )
