"""The list of all settings, generated from the models: for `hone init`, the docs and the test that compares them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from optimizer.config.settings import Settings
from optimizer.domain.json import canonical_json

REQUIRED = "required"
_NAMES = {"str": "text", "int": "integer", "float": "number", "bool": "true or false", "Mapping": "table"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key of `campaign.toml`."""

    key: str
    """Dotted, as in `loop.batch_size`."""
    type: str
    """In words: `integer`, `list of text`, `"sim" | "openai"`."""
    default: str
    """As TOML spells it; `required`, or empty where leaving it out means something of its own."""
    meaning: str


def describe() -> tuple[Setting, ...]:
    """Every key there is, in the order of the file."""
    return tuple(_settings(Settings, ""))


def section_of(annotation: object) -> type[BaseModel] | None:
    """The model behind a field's type, if it is a section, an optional one or a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := section_of(part)) is not None), None)


def _settings(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        if section is not None:
            yield from _settings(section, f"{prefix}{name}.")
        else:
            yield Setting(
                key=prefix + name,
                type=type_in_words(field.annotation),
                default=_default(field),
                meaning=(field.description or "").replace("\n", " "),
            )


def type_in_words(annotation: object) -> str:
    """A type as a person who writes TOML would name it."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(parts[0])
    if origin is Literal:
        return " | ".join(f'"{part}"' for part in parts)
    if origin in {Union, UnionType}:
        return " | ".join(type_in_words(part) for part in parts if part is not type(None))
    if origin is tuple:
        return f"list of {type_in_words(parts[0])}"
    name = getattr(origin or annotation, "__name__", str(annotation))
    return _NAMES.get(name, name)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True)
    if value is None:
        return ""
    return canonical_json(list(value) if isinstance(value, tuple) else value)


HEADING = """# Settings

Every key of `campaign.toml`. Unknown keys are refused with the nearest valid one; secrets never belong in the file.

| key | type | default | meaning |
|---|---|---|---|
"""


def as_markdown() -> str:
    """The whole page `docs/settings.md`; `make docs` writes it."""
    return HEADING + "".join(
        f"| `{each.key}` | {_cell(each.type)} | {_cell(each.default)} | {_cell(each.meaning)} |\n"
        for each in describe()
    )


def _cell(text: str) -> str:
    return text.replace(" | ", " or ").replace("|", "\\|")


if __name__ == "__main__":
    print(as_markdown(), end="")
