"""JSON from strangers: bounded in size, depth and count, and made of what our own JSON is made of."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping

from optimizer.domain.json import Json

MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_RECORD_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Objects, lists, texts and numbers of one record."""
MAX_FILES = 200_000
MAX_MESSAGES = 20_000
"""Messages or spans of one run."""
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
DECODER = json.JSONDecoder(parse_constant=str)
"""NaN and infinities, which JSON cannot say, become their names."""


class UnreadableError(ValueError):
    """A record that is refused; the message says why. It becomes a Problem at the importer's edge."""


def parsed(text: str) -> Json:
    """One JSON value.

    Raises:
        UnreadableError: not JSON, or beyond the limits.
    """
    try:
        value: Json = DECODER.decode(text)
    except RecursionError:
        raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise UnreadableError(f"not JSON: {error}") from error
    return within_limits(value, text)


def within_limits(value: Json, text: str) -> Json:
    """The value, when it is no deeper and no larger than an honest trace; half surrogate pairs become `?`."""
    _measure(value)
    return _mended(value) if _HALF_PAIR.search(text) else value


def _measure(value: Json) -> None:
    level: list[Json] = [value]
    n_values = 0
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        n_values += len(level)
        if n_values > MAX_VALUES:
            raise UnreadableError(f"more than {MAX_VALUES:,} values in one record")
        level = _below(level)
    raise UnreadableError(f"nested deeper than {MAX_DEPTH} levels")


def _below(level: list[Json]) -> list[Json]:
    below: list[Json] = []
    for value in level:
        if isinstance(value, dict):
            below.extend(value.values())
        elif isinstance(value, list):
            below.extend(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise UnreadableError("a number is beyond the range of a float")
    return below


def _mended(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(_mended(key)): _mended(part) for key, part in value.items()}
    return [_mended(part) for part in value] if isinstance(value, list) else value
