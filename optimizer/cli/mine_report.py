"""What `hone mine` shows and writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from optimizer.cli.jsonable import jsonable
from optimizer.cli.mined import CandidateCase, Mined, SeenFailure
from optimizer.cli.mining_adapter import Group
from optimizer.cli.render import one_line
from optimizer.domain.errors import ConfigError
from optimizer.domain.json import Json, JsonObject
from optimizer.telemetry.redact import REDACTION_VERSION, Redactor

FILES = ("failures.jsonl", "clusters.json", "cases.jsonl")
EXAMPLES_SHOWN = 3
PROBLEMS_SHOWN = 10


def report_lines(mined: Mined, top: int) -> Iterator[str]:
    """The ranked report for a terminal."""
    counts = mined.counts
    formats = ", ".join(f"{n} {name}" for name, n in mined.formats)
    yield f"{counts.runs:,} runs from {counts.files:,} files ({formats or 'none'})"
    yield (
        f"  {counts.passed:,} passed, {counts.failed:,} failed, {counts.unknown:,} not judged "
        f"({counts.looks_failed:,} of these look failed)"
    )
    if counts.duplicates:
        yield f"  {counts.duplicates:,} more were read twice and count once"
    yield f"  {len(mined.seen):,} failures in {len(mined.groups):,} clusters, {len(mined.cases):,} candidate cases"
    for rank, group in enumerate(mined.groups[:top], start=1):
        yield ""
        yield from _group_lines(rank, group, mined)
    if len(mined.groups) > top:
        yield ""
        yield f"  {len(mined.groups) - top:,} more clusters; --top shows more, --json and -o hold them all"
    yield from _problem_lines(mined)


def _group_lines(rank: int, group: Group, mined: Mined) -> Iterator[str]:
    cluster = group.cluster
    share = cluster.n_failures / max(1, len(mined.seen))
    kind = "one-off" if cluster.is_one_off else f"{cluster.n_failures:,} failures ({share:.0%})"
    yield f"#{rank}  {cluster.name}  [{cluster.label}]"
    yield f"    {kind}, severity {cluster.severity:.2f}"
    for failure in group.failures[:EXAMPLES_SHOWN]:
        yield from _example_lines(mined.seen[failure.id])


def _example_lines(seen: SeenFailure) -> Iterator[str]:
    failure = seen.failure
    where = "not in the trace" if failure.span is None else f"span {failure.span} of {seen.n_spans}"
    yield f"    - {seen.origin}  task {one_line(failure.task_id, 30)}  first decisive step: {where}"
    yield f"      {one_line(failure.symptom, 100)}"
    if failure.evidence:
        yield f"      | {one_line(failure.evidence, 100)}"


def _problem_lines(mined: Mined) -> Iterator[str]:
    if not mined.counts.problems:
        return
    yield ""
    yield f"{mined.counts.problems:,} records could not be read:"
    for problem in mined.problems[:PROBLEMS_SHOWN]:
        yield f"  {one_line(str(problem), 116)}"
    if mined.counts.problems > PROBLEMS_SHOWN:
        yield f"  and {mined.counts.problems - PROBLEMS_SHOWN:,} more"


def report_json(mined: Mined, redactor: Redactor | None) -> JsonObject:
    """The same, for a machine."""
    return {
        "counts": jsonable(mined.counts),
        "formats": dict(mined.formats),
        "redaction": _redaction(redactor),
        "clusters": clusters_json(mined),
        "cases": [jsonable(case.case) for case in mined.cases],
        "problems": [{"file": p.origin.file, "line": p.origin.line, "message": p.message} for p in mined.problems],
    }


def clusters_json(mined: Mined) -> list[Json]:
    """Clusters in their rank, each with a few failures."""
    return [
        {
            "rank": rank,
            "id": group.cluster.id,
            "label": group.cluster.label,
            "name": group.cluster.name,
            "n_failures": group.cluster.n_failures,
            "severity": group.cluster.severity,
            "is_one_off": group.cluster.is_one_off,
            "examples": [_failure_json(mined.seen[one.id], group) for one in group.failures[:EXAMPLES_SHOWN]],
        }
        for rank, group in enumerate(mined.groups, start=1)
    ]


def _failure_json(seen: SeenFailure, group: Group) -> JsonObject:
    origin = {"file": seen.origin.file, "line": seen.origin.line, "format": seen.format, "outcome": seen.outcome}
    failure = jsonable(seen.failure)
    assert isinstance(failure, dict)
    return {**origin, "cluster": group.cluster.id, "n_spans": seen.n_spans, **failure}


def _redaction(redactor: Redactor | None) -> JsonObject:
    if redactor is None:
        return {"version": None, "replaced": {}}
    return {"version": REDACTION_VERSION, "replaced": jsonable(redactor.counts)}


def check_free(folder: Path) -> None:
    """Refuse to overwrite an earlier result.

    Raises:
        ConfigError: one of the files is there already.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file. Name a folder with -o.")
    taken = next((name for name in FILES if (folder / name).exists()), None)
    if taken is not None:
        raise ConfigError(f"{folder} already holds {taken}. Name another folder with -o, or remove it.")


def write_files(folder: Path, mined: Mined, redactor: Redactor | None) -> None:
    """failures.jsonl, clusters.json and cases.jsonl, none of them open to others.

    Raises:
        ConfigError: the folder cannot be written.
    """
    failures = (_failure_json(mined.seen[one.id], group) for group in mined.groups for one in group.failures)
    clusters: JsonObject = {
        "counts": jsonable(mined.counts),
        "redaction": _redaction(redactor),
        "clusters": clusters_json(mined),
    }
    version = None if redactor is None else REDACTION_VERSION
    texts = (_lines(failures), _spelled(clusters) + "\n", _lines(_case_json(case, version) for case in mined.cases))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in zip(FILES, texts, strict=True):
            (folder / name).touch(mode=0o600, exist_ok=False)
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"cannot write {error.filename}: {error.strerror}. Name a writable folder with -o."
        ) from error


def _case_json(case: CandidateCase, version: str | None) -> JsonObject:
    spelled = jsonable(case)
    assert isinstance(spelled, dict)
    return {**spelled, "redaction_version": version}


def _lines(values: Iterator[JsonObject]) -> str:
    return "".join(f"{_spelled(value)}\n" for value in values)


def _spelled(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
