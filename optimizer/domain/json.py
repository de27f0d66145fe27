"""JSON as a type, one canonical spelling of it, and the hash of that spelling."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, Sequence["Json"], Mapping[str, "Json"], None]
JsonObject: TypeAlias = Mapping[str, Json]


def canonical_json(value: Json) -> str:
    """Spell a value in exactly one way: sorted keys, no blanks, UTF-8 kept.

    Raises:
        ValueError: for NaN and infinities, which JSON cannot say.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(*parts: Json, length: int = 16) -> str:
    """Hex digest (blake2b) of the canonical spelling of `parts`; `length` hex digits, 8 to 64."""
    digest = hashlib.blake2b(digest_size=32)
    for part in parts:
        digest.update(canonical_json(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\x00")
    return digest.hexdigest()[:length]
