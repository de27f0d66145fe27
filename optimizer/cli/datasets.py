"""Versions of the regression suite for a terminal and as a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path

from optimizer.cli.jsonable import jsonable
from optimizer.cli.render import one_line
from optimizer.domain.dataset import DatasetVersion, Pedigree
from optimizer.domain.errors import ConfigError, LedgerError
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.json import Json, canonical_json
from optimizer.evals.dataset_diff import CaseChange, DatasetChanges, changes
from optimizer.ledger.datasets import DatasetCase, DatasetRow
from optimizer.ledger.reader import LedgerReader

EMPTY = DatasetRow(n=0, batch=0, step=0, version=DatasetVersion(id="empty", parent="", entries=(), pedigree=Pedigree()))


def chosen(rows: Sequence[DatasetRow], asked: str) -> DatasetRow:
    """The version of a number, a hash or its beginning, or `latest`.

    Raises:
        LedgerError: there is none, or there are several.
    """
    if not rows:
        raise LedgerError("this campaign has no dataset version yet: one is made when a case first joins the suite.")
    text = asked.strip().lower()
    if text == "latest":
        return rows[-1]
    numbered = [row for row in rows if text == str(row.n)]
    found = numbered or [row for row in rows if len(text) >= 4 and row.version.id.startswith(text)]
    if len(found) != 1:
        several = ", ".join(f"{row.n} ({row.version.id[:16]})" for row in found[:12])
        raise LedgerError(
            f"{asked!r} begins several versions: {several}"
            if found
            else f"there is no version {asked!r}: a number from 1 to {len(rows)}, four or more digits of a hash, or"
            " `latest`; `hone dataset` lists them."
        )
    return found[0]


def compared(reader: LedgerReader, older: str, newer: str) -> DatasetChanges:
    """What lies between two versions. Raises LedgerError like `chosen`."""
    rows = reader.dataset_rows()
    one, other = (EMPTY if asked.strip().lower() == "empty" else chosen(rows, asked) for asked in (older, newer))
    return changes(one.version, other.version, then=_standing(reader, one, other), now=_standing(reader, other, one))


def _standing(reader: LedgerReader, at: DatasetRow, other: DatasetRow) -> dict[str, EvalCase]:
    """Cases of both versions as they stood at one of them."""
    entries = {entry.case_id: entry for entry in (*at.version.entries, *other.version.entries)}
    both = replace(at, version=replace(at.version, entries=tuple(entries.values())))
    return {each.entry.case_id: each.case for each in reader.dataset_cases(both) if each.case is not None}


def list_lines(rows: Sequence[DatasetRow]) -> Iterator[str]:
    """One line a version, oldest first."""
    if not rows:
        yield "no dataset version yet: one is made when a case first joins the suite"
        return
    yield "    n  version           batch  cases  after             splits    taxonomy  redaction"
    for row in rows:
        version, readings = row.version, row.version.pedigree
        made = f"{row.batch:>5}  {len(version.entries):>5}  {version.parent[:16] or '-':<16}"
        read = f"{readings.splits[:8] or '-':<8}  {readings.taxonomy[:8] or '-':<8}  {readings.redaction or '-'}"
        yield f"{row.n:>5}  {version.id[:16]}  {made}  {read}"


def show_lines(dataset: DatasetRow, cases: Sequence[DatasetCase]) -> Iterator[str]:
    """One version and its cases."""
    version, readings = dataset.version, dataset.version.pedigree
    yield f"dataset {dataset.n}  {version.id}"
    yield f"  made in     batch {dataset.batch}, step {dataset.step}, after {version.parent or 'nothing'}"
    read = ", ".join(f"{each.name} {getattr(readings, each.name) or '-'}" for each in fields(Pedigree))
    yield f"  read with   {read}"
    yield f"  {len(cases)} cases"
    for each in cases:
        case = each.case
        state = "unknown" if case is None else f"{case.state:<11} {case.layer:<13} x{case.weight:g}"
        yield f"    {each.entry.case_id:<16} {state}  {each.entry.task_id}  {one_line(case.note if case else '', 60)}"


def diff_lines(found: DatasetChanges) -> Iterator[str]:
    """What lies between two versions."""
    yield f"{found.older[:16]} -> {found.newer[:16]}: {_counts(found)}"
    for reading in found.readings:
        yield f"  read differently  {reading}"
    for mark, listed in (("+", found.added), ("-", found.removed), ("~", found.changed)):
        yield from (_change_line(mark, change) for change in listed)


def _counts(found: DatasetChanges) -> str:
    counts = f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed"
    return f"{counts}, {found.n_same} the same"


def _change_line(mark: str, change: CaseChange) -> str:
    return f"  {mark} {change.case_id:<16} {change.task_id:<22} {one_line(change.reason, 90)}"


def write_export(reader: LedgerReader, dataset: DatasetRow, output: Path, *, is_forced: bool) -> tuple[int, int]:
    """Write a version as JSON lines; how many cases were written and left out.

    Raises:
        ConfigError: the file is there already, or cannot be written.
    """
    cases = reader.dataset_cases(dataset)
    train = [each for each in cases if each.split == "train" and each.case is not None]
    lines = "".join(f"{canonical_json(_exported(dataset, each))}\n" for each in train)
    try:
        with output.open("w" if is_forced else "x", encoding="utf-8", errors="replace") as file:
            file.write(lines)
    except FileExistsError as error:
        raise ConfigError(f"{output} is there already: name another file, or add --force") from error
    except OSError as error:
        raise ConfigError(f"{output} cannot be written: {error.strerror or error}") from error
    return len(train), len(cases) - len(train)


def _exported(dataset: DatasetRow, each: DatasetCase) -> Json:
    """One case with its origin. Evidence is a quotation from a trace: it goes only where redaction was done."""
    case, failure = each.case, each.failure
    assert case is not None
    is_redacted = bool(dataset.version.pedigree.redaction)
    origin: dict[str, Json] = {
        "cluster": case.cluster_id,
        "failure": case.failure_id,
        "rollout": case.rollout_id,
        "trace": each.trace_sha,
    }
    if failure is not None:
        told = ("label", "signal", "symptom", "cause", "expected", "severity", "signature", "span")
        origin |= {name: jsonable(getattr(failure, name)) for name in told}
        origin["evidence"] = failure.evidence if is_redacted else None
    spelled = jsonable(asdict(case))
    assert isinstance(spelled, dict)
    told_already = {"cluster_id", "failure_id", "rollout_id"}
    content: dict[str, Json] = {name: value for name, value in spelled.items() if name not in told_already}
    pedigree = jsonable(dataset.version.pedigree)
    return {
        **content,
        "hash": each.entry.case_hash,
        "split": each.split,
        "origin": origin,
        "dataset": dataset.version.id,
        "pedigree": pedigree,
    }
