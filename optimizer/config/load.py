"""Read `campaign.toml` once, complain about all of it at once, and trust it from then on."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError

from optimizer.config.problems import in_words, infinity_problem, location, secret_problem
from optimizer.config.settings import Settings
from optimizer.config.unfit import Loc, Toml, infinities_in, secrets_in
from optimizer.domain.errors import ConfigError
from optimizer.domain.json import JsonObject, content_hash

FILE = "campaign.toml"
_MAX_BYTES = 2**20


def load(path: Path) -> Settings:
    """Settings of a file, or of the `campaign.toml` in a folder.

    Raises:
        ConfigError: one line for every problem the file has, each with file, key, value and what is expected.
    """
    file = path / FILE if path.is_dir() else path
    return parse(_read(file), source=str(file))


def parse(text: str, *, source: str = FILE) -> Settings:
    """Settings of a text in TOML.

    Raises:
        ConfigError: as `load`.
    """
    try:
        tree: Toml = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and an integer of more digits than Python converts
        raise ConfigError(f"{source}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: not usable: values are nested too deeply") from error
    secrets, infinities = secrets_in(tree), infinities_in(tree)
    problems = [*map(secret_problem, secrets), *map(infinity_problem, infinities)]
    settings = None
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as errors:
        said = (*secrets, *infinities)
        problems += [in_words(error) for error in errors.errors() if not _overlaps(location(error), said)]
    if problems or settings is None:
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems))
    return settings


def to_json(settings: Settings) -> JsonObject:
    """Every setting, defaults included, as JSON: what the ledger keeps."""
    tree: JsonObject = settings.model_dump(mode="json")
    return tree


def from_json(tree: JsonObject) -> Settings:
    """Settings that the ledger kept.

    Raises:
        ConfigError: when another version of hone wrote them.
    """
    try:
        return Settings.model_validate(tree)
    except ValidationError as errors:
        lines = (f"settings of the ledger: {in_words(error)}" for error in errors.errors())
        raise ConfigError("\n".join(lines)) from errors


def settings_hash(settings: Settings) -> str:
    """Identity of a campaign's settings: all but the budget and the pace, which may change before a resume."""
    pace = {"max_concurrent", "requests_per_minute", "tokens_per_minute"}
    tree = settings.model_dump(mode="json", exclude={"budget": True, "loop": {"concurrency"}, "model": pace})
    return content_hash(tree)


def _overlaps(loc: Loc, said: tuple[Loc, ...]) -> bool:
    """True when something at, above or below this place has been complained about (and must not be shown)."""
    return any(loc[: len(other)] == other[: len(loc)] for other in said if loc)


def _read(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{file} does not exist. `hone init my-harness` makes a harness with one.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{file}: {len(raw):,} bytes is too long for settings, at most {_MAX_BYTES:,}")
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{file}: not UTF-8 at line {line}: byte 0x{raw[error.start]:02x}. Save it as UTF-8."
        ) from error
