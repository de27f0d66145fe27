"""Whether a text shares anything with what val and test tasks show: the matched words, for a person to judge.

Three things count as a leak: an identifier (an address, an order number) that belongs to one held-out task; a run of
words shared with one that holds a word no other task has; and nearly the whole of its opening. Runs that many groups
have in common are boilerplate: plain n-gram matching flags mostly those.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from optimizer.domain.task import Task
from optimizer.evals.words import Words, is_identifier, words_of

RUN_WORDS = 8
"""Shortest run of shared words that may be a leak."""
LEAST_WORDS = 4
"""An opening shorter than a run is compared as a whole, down to this many words."""
BOILERPLATE_GROUPS = 3
"""A run that as many groups other than the text's own have is boilerplate."""
WHOLE = 0.9
"""Share of a held-out opening that is a leak even when every word of it is common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What one task shows before the first step."""

    task: Task
    text: str
    """The task's own words: the first message, or the instructions of a task without a user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Words start..end of a text, which a held-out opening has too."""

    start: int
    end: int
    held: int


class HeldOut:
    """What val and test tasks show, indexed. Lives on the trusted side and answers with words of the asker's text."""

    def __init__(self, openings: Iterable[Opened]) -> None:
        """Index the openings of all splits; those of train tell what is common."""
        self._openings = [(opened.task, words_of(opened.text)) for opened in openings]
        self._groups_of_word: defaultdict[str, set[str]] = defaultdict(set)
        self._groups_of_gram: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
        self._held: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        self._held_groups = {task.group for task, _ in self._openings if task.split != "train"}
        self._sizes = sorted({_size(words) for task, words in self._openings if task.split != "train"} - {0})
        for number, (task, words) in enumerate(self._openings):
            self._index(number, task, words)

    def leak(self, text: str, group: str) -> str:
        """The longest stretch of `text` that gives val or test away, verbatim; '' when nothing does.

        `group` is the text's own, which gives nothing away to itself.
        """
        words = words_of(text)
        found = [*self._identifiers(words, group), *self._telling_runs(words, group)]
        return max(found, key=len, default="")

    def _index(self, number: int, task: Task, words: Words) -> None:
        for word in words.folded:
            self._groups_of_word[word].add(task.group)
        for size in self._sizes:
            for gram in dict.fromkeys(words.grams(size)):
                self._groups_of_gram[gram].add(task.group)
                if task.split != "train" and size == _size(words):
                    self._held[gram].append(number)

    def _identifiers(self, words: Words, group: str) -> Iterator[str]:
        for place, word in enumerate(words.folded):
            owners = self._groups_of_word.get(word, set()) - {group}
            if len(owners) == 1 and owners <= self._held_groups and is_identifier(word):
                yield words.quote(place, place + 1)

    def _telling_runs(self, words: Words, group: str) -> Iterator[str]:
        for run in self._runs(words, group):
            task, held = self._openings[run.held]
            known = {task.group, group}
            is_rare = any(self._groups_of_word[word] <= known for word in words.folded[run.start : run.end])
            if is_rare or run.end - run.start >= WHOLE * len(held):
                yield words.quote(run.start, run.end)

    def _runs(self, words: Words, group: str) -> Iterator[_Run]:
        """Longest stretches that the text shares with each held-out opening, boilerplate left out."""
        for size in self._sizes:
            open_runs: dict[int, _Run] = {}
            for start, gram in enumerate(words.grams(size)):
                for held in self._owners(gram, group):
                    last = open_runs.get(held)
                    if last is not None and last.end == start + size - 1:
                        open_runs[held] = _Run(start=last.start, end=start + size, held=held)
                        continue
                    if last is not None:
                        yield last
                    open_runs[held] = _Run(start=start, end=start + size, held=held)
            yield from open_runs.values()

    def _owners(self, gram: tuple[str, ...], group: str) -> list[int]:
        owners = self._held.get(gram, [])
        if not owners or len(self._groups_of_gram[gram] - {group}) >= BOILERPLATE_GROUPS:
            return []
        return [held for held in owners if self._openings[held][0].group != group]


def _size(words: Words) -> int:
    """Length of the runs that an opening is compared by; 0 when it is too short to mean anything."""
    return min(RUN_WORDS, len(words)) if len(words) >= LEAST_WORDS else 0
