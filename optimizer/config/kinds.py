"""Kinds of values that `campaign.toml` is made of, and what every section has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints

Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$")]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
RelativePath = Annotated[str, StringConstraints(pattern=r"^[^/\\\x00-\x1f]([^\\\x00-\x1f]*[^/\\\x00-\x1f])?$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")]
Texts = Annotated[tuple[Text, ...], Strict(strict=False)]
Globs = Annotated[tuple[RelativePath, ...], Strict(strict=False)]
PositiveInt = Annotated[int, Field(ge=1, le=10**12)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e12)]
Price = Annotated[float, Field(ge=0, le=1e6)]
Weight = Annotated[float, Field(ge=0, le=1000)]


class Section(BaseModel):
    """A section of the file: unknown keys are refused, NaN is refused, types are not converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
