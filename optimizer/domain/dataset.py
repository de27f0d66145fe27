"""A version of the regression suite: what exactly was in it, and under which readings of the data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pedigree:
    """What a case means depends on these; a version with another pedigree is another dataset."""

    splits: str = ""
    """Hash of the split manifest."""
    taxonomy: str = ""
    """Hash of the taxonomy by which failures were labelled."""
    redaction: str = ""
    """Version of the redaction the cases went through; '' when nothing was redacted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetEntry:
    """One case of a version."""

    case_id: str
    case_hash: str
    """Hash of what the case checks; counts of runs and notes are no part of it."""
    task_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """An immutable version of the regression suite."""

    id: str
    """Hash of everything below, the parent included, so that no version occurs twice."""
    parent: str
    """The version before; '' for the first."""
    entries: tuple[DatasetEntry, ...]
    """In the order of the case ids."""
    pedigree: Pedigree
