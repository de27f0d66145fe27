"""All calibrations of a harness folder, one JSON line each, only ever added to: `.hone/calibrations.jsonl`.

They belong to the folder and not to one campaign: a judge is calibrated once and used for many nights.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from optimizer.domain.agreement import Confusion
from optimizer.domain.errors import ConfigError
from optimizer.domain.trace import Usage
from optimizer.evals.calibration import CalibrationReport, Probe

FILE_NAME = "calibrations.jsonl"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Probe(_Model):
    n: int
    n_flipped_by_order: int
    n_flipped_by_padding: int


class _Line(_Model):
    version: Literal[1] = 1
    judge: str
    rubric: str
    identity: str
    at: AwareDatetime
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    usd: float | None
    input_tokens: int
    output_tokens: int
    n_calls: int
    probe: _Probe | None


def append(folder: Path, report: CalibrationReport) -> None:
    """Keep a calibration; it is on the disk when this returns.

    Raises:
        ConfigError: the folder cannot be written.
    """
    line = _line(report).model_dump_json() + "\n"
    try:
        with (folder / FILE_NAME).open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(f"{folder / FILE_NAME} cannot be written: {error.strerror}. Make it writable.") from error


def history(folder: Path) -> tuple[CalibrationReport, ...]:
    """All calibrations, oldest first; none where there is no file.

    Raises:
        ConfigError: the file cannot be read, or a line of it is damaged.
    """
    path = folder / FILE_NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Restore it, or move it away and calibrate anew.") from error
    return tuple(_report(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1) if line.strip())


def latest(reports: Iterable[CalibrationReport], judge: str, rubric: str) -> CalibrationReport | None:
    """The newest calibration of a judge on a rubric; None when there is none."""
    return max(
        (one for one in reports if (one.judge, one.rubric) == (judge, rubric)), key=lambda one: one.at, default=None
    )


def _line(report: CalibrationReport) -> _Line:
    probe = report.probe
    return _Line(
        judge=report.judge,
        rubric=report.rubric,
        identity=report.identity,
        at=report.at,
        labels=report.confusion.labels,
        counts=report.confusion.counts,
        usd=report.usage.usd,
        input_tokens=report.usage.input_tokens,
        output_tokens=report.usage.output_tokens,
        n_calls=report.usage.n_calls,
        probe=None
        if probe is None
        else _Probe(
            n=probe.n, n_flipped_by_order=probe.n_flipped_by_order, n_flipped_by_padding=probe.n_flipped_by_padding
        ),
    )


def _report(text: str, where: str) -> CalibrationReport:
    try:
        line = _Line.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"{where}: not a calibration ({error}). Remove that line, and calibrate anew.") from error
    table = Confusion(labels=line.labels, counts=line.counts)
    probe = line.probe
    return CalibrationReport(
        judge=line.judge,
        rubric=line.rubric,
        identity=line.identity,
        at=line.at,
        confusion=table,
        usage=Usage(
            usd=line.usd, input_tokens=line.input_tokens, output_tokens=line.output_tokens, n_calls=line.n_calls
        ),
        probe=None if probe is None else Probe(**probe.model_dump()),
    )
