"""Words of masked lines, and which of them say anything."""

from __future__ import annotations

import re

MAX_WORDS = 60
WORD = re.compile(r"<[a-z_]+>|[a-z0-9_]+(?:'[a-z]+)?|[^\W\d_]+")
_FUNCTION_WORDS = (
    "a about after all also an and any are as at be been before both but by can could did do does for from had has have"
    " he her him his how i if in into is it its made me more my nor of off on once one only or other our out over s she"
    " should so some still such than that the their them then there these they this those to too up upon us was we were"
    " what when where which while who whom why will with would you your agent assistant customer user"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""They join words, or stand in any failure."""


def words_of(masked: str) -> list[str]:
    """The words of a masked line in their order, at most `MAX_WORDS`."""
    return WORD.findall(masked)[:MAX_WORDS]


def is_light(word: str) -> bool:
    """Whether a word carries no meaning alone: a placeholder or a function word."""
    return word[0] == "<" or word in FUNCTION_WORDS


def content_words(masked: str) -> list[str]:
    """Words that say something about the cause."""
    return [word for word in words_of(masked) if not is_light(word)]
