"""What models cost. An unknown price is None, which is not zero."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from optimizer.domain.trace import Usage

_MILLION = 1_000_000
_MAP_NAME = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrice:
    """USD per million tokens."""

    input: float
    output: float
    cached_input: float | None = None
    """Input served from the provider's cache; None: as other input."""
    cache_write: float | None = None
    """Input written to the provider's cache, where that costs extra; None: as other input."""

    def usd(self, usage: Usage, *, n_cache_write_tokens: int = 0) -> float:
        """What a usage costs; the cache's reads and writes are parts of its input tokens."""
        cached_input = self.input if self.cached_input is None else self.cached_input
        cache_write = self.input if self.cache_write is None else self.cache_write
        n_plain = usage.input_tokens - usage.cached_tokens - n_cache_write_tokens
        total = (
            n_plain * self.input
            + usage.cached_tokens * cached_input
            + n_cache_write_tokens * cache_write
            + usage.output_tokens * self.output
        )
        return total / _MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBook:
    """Prices by model name: the settings' own first, then the map that the installed litellm carries."""

    overrides: Mapping[str, ModelPrice] = field(default_factory=dict)

    def price(self, model: str) -> ModelPrice | None:
        """The price of a model, also under `provider/model`; None when nobody knows it."""
        for name in (model, model.rpartition("/")[2]):
            found = self.overrides.get(name) or _listed_prices().get(name)
            if found is not None:
                return found
        return None


class _Listed(BaseModel):
    """The few fields of litellm's price map that are read; per single token."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input_cost_per_token: float | None = None
    output_cost_per_token: float | None = None
    cache_read_input_token_cost: float | None = None
    cache_creation_input_token_cost: float | None = None

    def price(self) -> ModelPrice | None:
        if self.input_cost_per_token is None or self.output_cost_per_token is None:
            return None
        read, write = self.cache_read_input_token_cost, self.cache_creation_input_token_cost
        return ModelPrice(
            input=self.input_cost_per_token * _MILLION,
            output=self.output_cost_per_token * _MILLION,
            cached_input=None if read is None else read * _MILLION,
            cache_write=None if write is None else write * _MILLION,
        )


@cache
def _listed_prices() -> Mapping[str, ModelPrice]:
    """Litellm's bundled map, read as a file: importing litellm takes seconds and may look for a newer map online."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / _MAP_NAME
    if not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))
    entries.pop("sample_spec", None)
    listed = TypeAdapter(dict[str, _Listed]).validate_python(entries)
    return {name: price for name, entry in listed.items() if (price := entry.price()) is not None}
