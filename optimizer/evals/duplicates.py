"""Near-duplicates of a growing set of texts: exact Jaccard similarity on word shingles, without comparing all pairs.

Two sets with a similarity of at least t share an element among the first |A| - ceil(t |A|) + 1 of either, in any fixed
order of elements (prefix filter: Chaudhuri et al., ICDE 2006; Bayardo et al., WWW 2007). The order is that of a hash.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from dataclasses import dataclass

from optimizer.evals.words import shingles, words_of

REPORT_FROM = 0.5
"""Similarity from which a neighbour is found at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """The most similar text that was added before."""

    key: str
    similarity: float
    """Jaccard, `REPORT_FROM` to 1.0."""


class NearIndex:
    """Texts by their shingles. Thousands of them take seconds."""

    def __init__(self) -> None:
        self._sets: dict[str, frozenset[int]] = {}
        self._by_prefix: defaultdict[int, list[str]] = defaultdict(list)
        self._exact: dict[frozenset[int], str] = {}

    def add(self, key: str, text: str) -> None:
        """Keep a text; a text without words is like no other."""
        hashes = _hashes(text)
        if not hashes or key in self._sets:
            return
        self._sets[key] = hashes
        self._exact.setdefault(hashes, key)
        for element in _prefix(hashes):
            self._by_prefix[element].append(key)

    def nearest(self, text: str) -> Neighbour | None:
        """The most similar text so far, the earliest of equals; None below `REPORT_FROM`."""
        hashes = _hashes(text)
        if hashes in self._exact:
            return Neighbour(key=self._exact[hashes], similarity=1.0)
        candidates = dict.fromkeys(key for element in _prefix(hashes) for key in self._by_prefix.get(element, ()))
        best = max(((_jaccard(hashes, self._sets[key]), key) for key in sorted(candidates)), default=(0.0, ""))
        return Neighbour(key=best[1], similarity=best[0]) if best[0] >= REPORT_FROM else None


def _hashes(text: str) -> frozenset[int]:
    return frozenset(
        int.from_bytes(hashlib.blake2b(" ".join(gram).encode("utf-8", "surrogatepass"), digest_size=8).digest())
        for gram in shingles(words_of(text))
        if gram
    )


def _prefix(hashes: frozenset[int]) -> list[int]:
    n = len(hashes)
    return sorted(hashes)[: n - math.ceil(REPORT_FROM * n) + 1] if n else []


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
