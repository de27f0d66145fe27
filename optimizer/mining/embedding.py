"""Masked signature lines as vectors, without a model, without downloads and exactly the same everywhere.

A word's vector is a sum of signs that hashes of the word and of its character trigrams give: a random projection that
needs no table. A line is the weighted sum of its words, scaled to length `SCALE`, less the frozen mean, scaled again
and rounded to whole numbers. All sums are of whole numbers below 2^24, which 32-bit floats hold exactly, so neither the
order of summation nor the BLAS in use changes a bit of any similarity.

Importing this module imports numpy; only what groups failures by signature does so.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optimizer.domain.json import content_hash
from optimizer.mining.masking import MASK_VERSION
from optimizer.mining.words import is_light, words_of

Vector = NDArray[np.float32]
"""Whole numbers, length close to `SCALE`."""
Whole = NDArray[np.int64]

DIM = 256
SCALE = 2048
"""SCALE squared is below 2^24: a dot product of two such vectors is exact in 32-bit floats."""
ALGORITHM = f"signs-{DIM}-{SCALE}-1"
FIT_AT_LEAST = 500
"""Distinct lines below which nothing is learnt about words: their weights stay those of `PRIOR`."""
FIT_AT_MOST = 4000
MAX_CACHE = 100_000
UNIT = 16
"""Weight of a word of which nothing is known."""
LIGHT = 3
"""Weight of placeholders and of words that carry no meaning alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """What a space knows about words. Frozen: vectors of two lexicons are never compared."""

    weights: Mapping[str, int] = field(default_factory=dict)
    """Words that were seen when it was fitted."""
    mean: tuple[int, ...] = (0,) * DIM
    """Of the lines it was fitted on; zero without a fit."""

    @property
    def space_id(self) -> str:
        """Equal for spaces whose vectors may be compared."""
        known = content_hash(sorted(self.weights.items()), self.mean, length=12)
        return f"{ALGORITHM}/mask-{MASK_VERSION}/{known}"


PRIOR = Lexicon()


class Space:
    """Embeds masked lines."""

    def __init__(self, lexicon: Lexicon = PRIOR) -> None:
        self.lexicon = lexicon
        self.id = lexicon.space_id
        self._mean = np.array(lexicon.mean, dtype=np.int64)
        self._words: dict[str, Whole] = {}

    def embed(self, masked: str) -> Vector:
        """The line's vector; zero for a line without words."""
        return scaled(scaled(self._sum(words_of(masked))) - self._mean).astype(np.float32)

    def _sum(self, words: Sequence[str]) -> Whole:
        if not words:
            return np.zeros(DIM, dtype=np.int64)
        total: Whole = np.add.reduce([self._word(word) for word in words])
        return total

    def _word(self, word: str) -> Whole:
        known = self._words.get(word)
        if known is None:
            if len(self._words) >= MAX_CACHE:
                self._words.clear()
            known = self._words[word] = _word_signs(word) * self._weight(word)
        return known

    def _weight(self, word: str) -> int:
        return LIGHT if is_light(word) else self.lexicon.weights.get(word, UNIT)


def fitted(lines: Iterable[str]) -> Lexicon:
    """Learn word weights and the mean from the first distinct masked lines; `PRIOR` when they are too few."""
    sample = list(dict.fromkeys(lines))[:FIT_AT_MOST]
    if len(sample) < FIT_AT_LEAST:
        return PRIOR
    counts = Counter(word for line in sample for word in set(words_of(line)))
    weights = {word: _rarity(len(sample), n) for word, n in counts.items() if n > 2}
    lexicon = Lexicon(weights=weights)
    space = Space(lexicon)
    total = np.add.reduce([space.embed(line).astype(np.int64) for line in sample])
    mean = np.rint(total / len(sample)).astype(np.int64)
    return Lexicon(weights=weights, mean=tuple(int(x) for x in mean))


def _rarity(n_lines: int, n_with: int) -> int:
    """Inverse document frequency in whole numbers, about `UNIT` for a word in one line of fifty."""
    return max(1, round(UNIT / 4 * math.log(n_lines / n_with)))


def _word_signs(word: str) -> Whole:
    """Half of it is the word itself, half are its trigrams, so that inflections and typing errors stay close."""
    own = _signs("w" + word) * 8
    if word[0] == "<" or len(word) < 4:
        return own
    padded = f"^{word}$"
    trigrams = [padded[i : i + 3] for i in range(len(padded) - 2)]
    parts: Whole = np.add.reduce([_signs("t" + trigram) for trigram in trigrams])
    return own + _rounded(parts, 8 / math.sqrt(len(trigrams)))


def _signs(feature: str) -> Whole:
    digest = hashlib.blake2b(feature.encode(), digest_size=DIM // 8).digest()
    bits = np.unpackbits(np.frombuffer(digest, dtype=np.uint8)).astype(np.int64)
    return bits * 2 - 1


def scaled(vector: Whole) -> Whole:
    """Length `SCALE`, whole numbers; the zero vector stays zero."""
    length = math.sqrt(int(vector @ vector))
    return _rounded(vector, SCALE / length) if length else vector


def _rounded(vector: Whole, factor: float) -> Whole:
    whole: Whole = np.rint(vector * factor).astype(np.int64)
    return whole
