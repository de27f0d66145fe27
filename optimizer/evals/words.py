"""Text as words, with the place of each, so that what matched can be shown verbatim."""

from __future__ import annotations

import re
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:[.@_'\u2019:/-]+[^\W_]+)*")
"""Runs of letters and digits; what is joined inside (an address, an order number, a name of a file) is one word."""
_IDENTIFIER_CHARS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A text, cut into words."""

    text: str
    folded: tuple[str, ...]
    """Words in one spelling: case folded."""
    places: tuple[tuple[int, int], ...]
    """Where each stands in `text`: start and end."""

    def __len__(self) -> int:
        """How many words there are."""
        return len(self.folded)

    def quote(self, start: int, end: int) -> str:
        """Words start..end (exclusive) as they stand in the text."""
        return self.text[self.places[start][0] : self.places[end - 1][1]]

    def grams(self, n: int) -> list[tuple[str, ...]]:
        """All runs of n words, in order."""
        return [self.folded[i : i + n] for i in range(len(self.folded) - n + 1)]


def words_of(text: str) -> Words:
    """Cut a text."""
    found = list(_WORD.finditer(text))
    return Words(
        text=text,
        folded=tuple(match[0].casefold() for match in found),
        places=tuple(match.span() for match in found),
    )


def is_identifier(word: str) -> bool:
    """Whether a word looks like a number, address or name that belongs to one record: `bv-204417`, `a@b.example`."""
    has_letter = any(char.isalpha() for char in word)
    return len(word) >= _IDENTIFIER_CHARS and has_letter and ("@" in word or any(char.isdigit() for char in word))


def shingles(words: Words, n: int = 3) -> frozenset[tuple[str, ...]]:
    """The set of all runs of n words; a shorter text is one shingle."""
    return frozenset(words.grams(n) or [words.folded])
