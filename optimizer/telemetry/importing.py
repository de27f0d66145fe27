"""From a file or a folder of traces to runs. Each record's format is recognised; a bad record is a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from optimizer.domain.json import Json
from optimizer.telemetry.files import records, trace_files
from optimizer.telemetry.imported import ImportedRun, Problem, Record
from optimizer.telemetry.limits import UnreadableError
from optimizer.telemetry.read_hone import is_hone_trace, read_hone_trace
from optimizer.telemetry.read_messages import is_item_log, is_message_log, read_item_log, read_message_log
from optimizer.telemetry.read_otlp import OtlpFile, is_otlp
from optimizer.telemetry.read_tau import is_tau, is_tau2, read_tau, read_tau2

Recognise: TypeAlias = Callable[[Json], bool]
Read: TypeAlias = Callable[[Record], Iterator[ImportedRun]]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format."""

    recognise: Recognise
    read: Read


READERS: tuple[Reader, ...] = (
    Reader(is_hone_trace, read_hone_trace),
    Reader(is_tau, read_tau),
    Reader(is_tau2, read_tau2),
    Reader(is_message_log, read_message_log),
    Reader(is_item_log, read_item_log),
)
"""The particular ones before the general ones."""


def import_runs(path: Path) -> Iterator[ImportedRun | Problem]:
    """All runs of a file, or of the .json, .jsonl and .ndjson files below a folder, one at a time.

    Raises:
        ConfigError: there is no such file or folder.
    """
    root = path if path.is_dir() else path.parent
    for file in trace_files(path):
        yield from import_file(file, str(file.relative_to(root)))


def import_file(file: Path, name: str) -> Iterator[ImportedRun | Problem]:
    """All runs of one file; `name` is what problems and runs call it."""
    spans = OtlpFile()
    for record in records(file, name):
        if isinstance(record, Problem):
            yield record
        elif is_otlp(record.value):
            yield from spans.add(record)
        else:
            yield from runs_of(record)
    yield from spans.runs()


def runs_of(record: Record) -> Iterator[ImportedRun | Problem]:
    """The runs of one record."""
    reader = next((reader for reader in READERS if reader.recognise(record.value)), None)
    if reader is None:
        yield Problem(origin=record.origin, message=f"no format that is known: {_looks(record.value)}")
        return
    try:
        yield from reader.read(record)
    except UnreadableError as error:
        yield Problem(origin=record.origin, message=str(error))


def _looks(value: Json) -> str:
    if isinstance(value, dict):
        keys = ", ".join(sorted(value)[:6])
        return f"an object with {keys[:100] or 'no keys'}"
    kinds = {list: "a list that is no conversation", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
