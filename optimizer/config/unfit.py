"""Values that no setting may hold whatever its type: keys and passwords, NaN and infinities."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import TypeAlias, Union

Loc: TypeAlias = tuple[int | str, ...]
Toml: TypeAlias = Union[bool, int, float, str, datetime, date, time, list["Toml"], dict[str, "Toml"]]

_SECRET = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf|ghp|gho|github_pat|glpat|r8|nvapi|pplx)[-_][A-Za-z0-9_-]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}"
    r"|\bAKIA[A-Z0-9]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{20,}\."
    r"|\bBearer\s+\S{16,}"
    r"|://[^/\s:@]+:[^/\s@]+@"
)
"""Spellings of keys that providers hand out, JSON web tokens, and passwords in addresses."""
_SECRET_KEYS = frozenset({"api_key", "apikey", "key", "token", "secret", "password", "api_token", "auth_token"})


def secrets_in(tree: Toml) -> tuple[Loc, ...]:
    """Places whose name or value says that a secret was written down."""
    return tuple(loc for loc, value in _leaves(tree, ()) if isinstance(value, str) and _is_secret(loc, value))


def infinities_in(tree: Toml) -> tuple[Loc, ...]:
    """Places that hold `nan` or `inf`, which TOML can say and JSON cannot."""
    return tuple(loc for loc, value in _leaves(tree, ()) if isinstance(value, float) and not math.isfinite(value))


def _is_secret(loc: Loc, value: str) -> bool:
    is_free = loc[:2] == ("benchmark", "options")  # its keys are the benchmark's own and may be called anything
    return bool(_SECRET.search(value)) or (not is_free and str(loc[-1]).casefold() in _SECRET_KEYS)


def _leaves(tree: Toml, loc: Loc) -> Iterator[tuple[Loc, Toml]]:
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from _leaves(part, (*loc, key))
    elif isinstance(tree, list):
        for index, part in enumerate(tree):
            yield from _leaves(part, (*loc, index))
    else:
        yield loc, tree
