"""What can go wrong, in classes: a versioned file that a team may edit, and the value read from it.

The shipped file is `taxonomy.toml` beside this module. An unknown check keeps its name as `check.<name>`, so that no
failure is without a class.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from optimizer.domain.candidate import Rung
from optimizer.domain.errors import ConfigError
from optimizer.domain.json import content_hash

UNKNOWN_SEVERITY = 0.5
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\n]+$")]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureClass:
    """One class of failures."""

    id: str
    """`<group>.<name>`."""
    title: str
    severity: float
    """0.0 (cosmetic) to 1.0 (harm done)."""
    rung: Rung
    expected: str
    """What the agent should have done, one line."""
    maps_to: tuple[str, ...]
    """Nearest classes of public taxonomies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """All classes, and which one a failed check points to."""

    version: str
    sha: str
    """16 hex digits over the content; recorded with what was labelled by it."""
    groups: Mapping[str, str]
    """Group -> what it is about."""
    classes: Mapping[str, FailureClass]
    checks: Mapping[str, str]
    """Name of a benchmark's check -> class."""

    def label_of_check(self, check: str) -> str:
        """Class of a failed check; `check.<name>` for one the file does not know."""
        return self.checks.get(check, f"check.{check}")

    def severity_of(self, label: str) -> float:
        """Severity of a class, 0.0 to 1.0; 0.5 where nothing is known."""
        known = self.classes.get(label)
        return known.severity if known else UNKNOWN_SEVERITY

    def name_of(self, label: str) -> str:
        """Short human name of a class."""
        known = self.classes.get(label)
        return known.title if known else label.rpartition(".")[2].replace("_", " ")

    def rung_of(self, label: str) -> Rung:
        """Cheapest rung of the improvement ladder that may mend it."""
        known = self.classes.get(label)
        return known.rung if known else "prompt"

    def expected_of(self, label: str) -> str:
        """What the agent should have done; '' where nothing is known."""
        known = self.classes.get(label)
        return known.expected if known else ""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    id: Id
    title: Line
    severity: Annotated[float, Field(ge=0, le=1)]
    rung: Literal["prompt", "tool", "context", "control_flow", "fine_tune"]
    expected: Line
    maps_to: list[Line] = []


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Line
    groups: dict[str, Line]
    checks: dict[str, str] = {}
    classes: Annotated[list[_Row], Field(alias="class", min_length=1)]


@cache
def default_taxonomy() -> Taxonomy:
    """The taxonomy that is shipped."""
    return parse_taxonomy(shipped_text(), "the shipped taxonomy.toml")


def shipped_text() -> str:
    """The file of the taxonomy that is shipped."""
    return resources.files("optimizer.mining").joinpath("taxonomy.toml").read_text(encoding="utf-8")


def load_taxonomy(path: Path | None) -> Taxonomy:
    """A team's own file, or the shipped one.

    Raises:
        ConfigError: the file cannot be read, or says what no taxonomy can say; the message names file, key and remedy.
    """
    if path is None:
        return default_taxonomy()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: the taxonomy cannot be read ({error}). Correct [mining] taxonomy in campaign.toml, or leave the "
            "key out to use the shipped one."
        ) from error
    return parse_taxonomy(text, str(path))


def parse_taxonomy(text: str, source: str) -> Taxonomy:
    """Read a taxonomy from TOML. Raises ConfigError."""
    try:
        file = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is no valid TOML: {error}. Correct that line.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{source}: `{key}`: {first['msg']}. Correct or remove the key; the comments of the shipped taxonomy.toml "
            "say what each one means."
        ) from error
    _check_references(file, source)
    return Taxonomy(
        version=file.version,
        sha=content_hash(file.model_dump(by_alias=True)),
        groups=file.groups,
        classes={row.id: _class_of(row) for row in file.classes},
        checks=file.checks,
    )


def _check_references(file: _File, source: str) -> None:
    ids = [row.id for row in file.classes]
    for index, label in enumerate(ids):
        if label in ids[:index]:
            raise ConfigError(f"{source}: class `{label}` is there twice. Remove one of them.")
        if label.partition(".")[0] not in file.groups:
            raise ConfigError(
                f"{source}: class `{label}`: there is no group `{label.partition('.')[0]}`. Add it to [groups], or use "
                f"one of {', '.join(file.groups)}."
            )
    for check, label in file.checks.items():
        if label not in ids:
            raise ConfigError(f"{source}: checks.{check}: there is no class `{label}`. Add it, or correct the id.")


def _class_of(row: _Row) -> FailureClass:
    return FailureClass(
        id=row.id,
        title=row.title,
        severity=row.severity,
        rung=row.rung,
        expected=row.expected,
        maps_to=tuple(row.maps_to),
    )


def label_of_check(check: str) -> str:
    """Class of a failed check in the shipped taxonomy."""
    return default_taxonomy().label_of_check(check)


def severity_of(label: str) -> float:
    """Severity of a class of the shipped taxonomy."""
    return default_taxonomy().severity_of(label)


def name_of(label: str) -> str:
    """Short human name of a class of the shipped taxonomy."""
    return default_taxonomy().name_of(label)
