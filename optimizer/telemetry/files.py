"""From a file or folder to JSON records with their lines: JSON Lines, JSON arrays, single objects."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO

from optimizer.domain.errors import ConfigError
from optimizer.domain.json import Json
from optimizer.telemetry.imported import Origin, Problem, Record
from optimizer.telemetry.limits import (
    DECODER,
    MAX_DEPTH,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_RECORD_BYTES,
    UnreadableError,
    parsed,
    within_limits,
)

LINES = frozenset({".jsonl", ".ndjson"})
SUFFIXES = LINES | {".json"}
_BLANK = re.compile(r"[\s,]*")


def trace_files(path: Path) -> list[Path]:
    """The file itself, or all .json, .jsonl and .ndjson files below a folder; no link to a folder is followed.

    Raises:
        ConfigError: there is no such file or folder, or far too many files.
    """
    if not path.exists():
        raise ConfigError(f"there is no file or folder {path}. Name the traces to be mined.")
    if not path.is_dir():
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders.sort()
        found += [Path(folder, name) for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES]
        if len(found) > MAX_FILES:
            raise ConfigError(f"more than {MAX_FILES:,} trace files below {path}. Name a smaller folder.")
    return found


def records(path: Path, name: str) -> Iterator[Record | Problem]:
    """All records of one file; what cannot be read comes as a problem and the rest of the file is still read."""
    top = Origin(file=name, line=1)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        yield Problem(origin=top, message=f"cannot be opened: {error.strerror}")
        return
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            yield Problem(origin=top, message="not a regular file")
        elif path.suffix.lower() in LINES:
            yield from _lines(file, name)
        elif status.st_size > MAX_FILE_BYTES:
            yield Problem(origin=top, message=f"larger than {MAX_FILE_BYTES:,} bytes; split it, or use JSON Lines")
        else:
            yield from _document(file.read(), name)


def _lines(file: BinaryIO, name: str) -> Iterator[Record | Problem]:
    line = 0
    while raw := file.readline(MAX_RECORD_BYTES + 1):
        line += 1
        origin = Origin(file=name, line=line)
        if len(raw) > MAX_RECORD_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(MAX_RECORD_BYTES)
            yield Problem(origin=origin, message=f"a line of more than {MAX_RECORD_BYTES:,} bytes")
        elif raw.strip():
            yield _record(raw, origin)


def _record(raw: bytes, origin: Origin) -> Record | Problem:
    try:
        return Record(value=parsed(raw.decode("utf-8-sig").strip()), sha=_sha(raw.strip()), origin=origin)
    except UnicodeDecodeError as error:
        return Problem(origin=origin, message=f"not UTF-8: {error.reason} at byte {error.start}")
    except UnreadableError as error:
        return Problem(origin=origin, message=str(error))


def _document(raw: bytes, name: str) -> Iterator[Record | Problem]:
    """A .json file: an array of records, one record, or JSON Lines under the wrong name."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        yield Problem(origin=Origin(file=name, line=line), message=f"not UTF-8: {error.reason} at byte {error.start}")
        return
    start = len(text) - len(text.lstrip())
    if text[start : start + 1] != "[":
        yield from _values(text, name)
    elif _is_one_record(text, start):
        yield _record(raw, Origin(file=name, line=1 + text.count("\n", 0, start)))
    else:
        end = len(text.rstrip())
        yield from _values(text[: end - 1] if text[end - 1] == "]" else text, name, start + 1)


def _is_one_record(text: str, start: int) -> bool:
    """Whether an array is itself a run: a list of messages, of items or of spans."""
    first = _BLANK.match(text, start + 1)
    if first is None or first.end() >= len(text):
        return False
    if text[first.end()] != "{":
        return True
    try:
        value, _ = DECODER.raw_decode(text, first.end())
    except (ValueError, RecursionError):
        return False
    return "role" in value or ("type" in value and not {"messages", "input", "traj"} & value.keys())


def _values(text: str, name: str, at: int = 0) -> Iterator[Record | Problem]:
    """JSON values one after the other, with blanks and commas between them."""
    line, counted = 1, 0
    while True:
        blank = _BLANK.match(text, at)
        start = blank.end() if blank else at
        if start >= len(text):
            return
        line, counted = line + text.count("\n", counted, start), start
        origin = Origin(file=name, line=line)
        try:
            value, at = _next(text, start)
        except UnreadableError as error:
            yield Problem(origin=origin, message=f"{error}; the rest of the file is not read")
            return
        spelled = text[start:at]
        try:
            yield Record(value=within_limits(value, spelled), sha=_sha(spelled.encode()), origin=origin)
        except UnreadableError as error:
            yield Problem(origin=origin, message=str(error))


def _next(text: str, start: int) -> tuple[Json, int]:
    try:
        value, end = DECODER.raw_decode(text, start)
    except RecursionError:
        raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise UnreadableError(f"not JSON: {error}") from error
    return value, end


def _sha(raw: bytes) -> str:
    return blake2b(raw, digest_size=8).hexdigest()
