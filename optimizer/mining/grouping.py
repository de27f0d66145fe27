"""Which failures of a class are presumed to share a root cause: coarse first, finer only on strong evidence.

The class itself is the first cluster: ten failures a batch say little, and most classes are one failure mode. A group
of similar signature lines gets a cluster of its own once it has enough failures of enough tasks, holds a fair share of
its class, and its lines say enough to be told apart by. What came before stays where it was: ids never
change and members never move.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

from optimizer.domain.failure import Failure
from optimizer.mining.masking import mask
from optimizer.mining.words import content_words

N_LEARNT = 6000
"""Failures of the first batch from which word weights are learnt."""
NOBODY = -1
MAX_COUNTED = 400
"""Lines per group and class whose words are counted for naming."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRules:
    """How much evidence a cluster of its own needs."""

    n_class: int = 20
    """Failures of the class before any of its groups stands apart."""
    n_bulk: int = 500
    """Failures of a class in the very batch it first appears in, from which even its largest group stands apart."""
    n_group: int = 6
    """Failures of the group."""
    n_tasks: int = 3
    """Different tasks among them."""
    share: float = 0.004
    """Least share of the group in its class, 0.0 to 1.0."""
    n_words: int = 4
    """Different content words of the group's first line; shorter lines are no evidence."""
    radius: float = 0.4
    """Least cosine similarity to a group's centroid at which a line joins the group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a failure belongs."""

    label: str
    group: int
    """Of similar lines within the class."""
    is_apart: bool
    """Whether the group stands apart; otherwise its failures belong to the class as a whole."""


class Placer(Protocol):
    """Groups lines of a class, and knows how close they are."""

    space_id: str

    def place(self, label: str, masked: str) -> int:
        """Number of the group the line belongs to, 0, 1, ... per class."""
        ...

    def similarity(self, label: str, group: int, other: int) -> float:
        """Cosine of two groups of a class, -1.0 to 1.0."""
        ...

    def typical(self, lines: Iterable[str]) -> tuple[float, ...]:
        """Cosine of each line with the centroid of all."""
        ...


@dataclass(slots=True)
class _Group:
    n_words: int
    n: int = 0
    tasks: set[str] = field(default_factory=set)
    """At most as many as the rules ask for."""
    words: Counter[str] = field(default_factory=Counter)
    is_apart: bool = False


@dataclass(slots=True)
class _Class:
    first_line: str
    n: int = 0
    words: Counter[str] = field(default_factory=Counter)
    groups: dict[int, _Group] = field(default_factory=dict)
    home: int | None = None
    """The largest group when there was enough to split the class: it never stands apart, or `NOBODY` is that. None
    until then."""
    lines: set[str] = field(default_factory=set)
    """At most two: whether there is anything to tell apart."""


class Grouping:
    """Places failures batch by batch; equal batches, equal places. Numpy is imported at the first two unlike lines."""

    def __init__(self, rules: SplitRules) -> None:
        self._rules = rules
        self._classes: dict[str, _Class] = {}
        self._first_lines: tuple[str, ...] = ()

    def learn(self, failures: Iterable[Failure]) -> None:
        """The first batch: with enough unlike lines the space is fitted to them, once and for all."""
        lines = (line_of(failure) for failure in failures)
        self._first_lines = tuple(itertools.islice(lines, N_LEARNT))

    @property
    def space_id(self) -> str:
        """Of the embedding space that lines are compared in."""
        return self._placer.space_id

    def places(self, failures: Sequence[Failure]) -> list[Place]:
        """Where the failures of a batch belong, by the evidence of all of them and all before."""
        known = set(self._classes)
        counted = [self._counted(failure) for failure in failures]
        for label in dict.fromkeys(place.label for place in counted):
            self._split(self._classes[label], is_new=label not in known)
        return [replace(each, is_apart=self._classes[each.label].groups[each.group].is_apart) for each in counted]

    def _counted(self, failure: Failure) -> Place:
        line = line_of(failure)
        seen = self._classes.setdefault(failure.label, _Class(first_line=line))
        number = self._number(seen, failure.label, line)
        group = seen.groups.setdefault(number, _Group(n_words=len(set(content_words(line)))))
        seen.n += 1
        group.n += 1
        if len(group.tasks) < self._rules.n_tasks:
            group.tasks.add(failure.task_id)
        _count(seen.words, seen.n, line)
        _count(group.words, group.n, line)
        return Place(label=failure.label, group=number, is_apart=False)

    def _split(self, seen: _Class, *, is_new: bool) -> None:
        """See which groups stand apart by now. One that does so once does so for ever."""
        if seen.n < self._rules.n_class:
            return
        largest = max(seen.groups, key=lambda number: (seen.groups[number].n, -number))
        if seen.home is None:
            seen.home = NOBODY if is_new and seen.n >= self._rules.n_bulk else largest
        n_words = seen.groups[largest if seen.home == NOBODY else seen.home].n_words
        for number, group in seen.groups.items():
            if number != seen.home and not group.is_apart:
                group.is_apart = self._is_distinct(seen, group, n_words)

    def similarity(self, one: Place, other: Place) -> float:
        """Cosine of the groups of two places; 0.0 across classes, where closeness of words proves nothing."""
        return self._placer.similarity(one.label, one.group, other.group) if one.label == other.label else 0.0

    def typical_words(self, place: Place, n: int = 4) -> tuple[str, ...]:
        """Words more common in the group than in its class, in the order in which its lines have them."""
        seen = self._classes[place.label]
        group = seen.groups[place.group]
        n_group, n_class = min(group.n, MAX_COUNTED), min(seen.n, MAX_COUNTED)
        excess = {word: count / n_group - seen.words[word] / n_class for word, count in group.words.items()}
        order = list(group.words)
        telling = sorted(order, key=lambda word: (-round(excess[word], 6), order.index(word)))[:n]
        return tuple(sorted(telling, key=order.index))

    def typicality(self, failures: Iterable[Failure]) -> tuple[float, ...]:
        """How close each of some failures is to their common centre, -1.0 to 1.0."""
        lines = [line_of(failure) for failure in failures]
        return self._placer.typical(lines) if len(set(lines)) > 1 else (1.0,) * len(lines)

    def _number(self, seen: _Class, label: str, line: str) -> int:
        if len(seen.lines) < 2:
            seen.lines.add(line)
        if len(seen.lines) < 2:
            return 0
        self._placer.place(label, seen.first_line)
        return self._placer.place(label, line)

    def _is_distinct(self, seen: _Class, group: _Group, n_words: int) -> bool:
        rules = self._rules
        is_large = group.n >= max(rules.n_group, rules.share * seen.n)
        is_told_apart = min(group.n_words, n_words) >= rules.n_words
        return is_large and is_told_apart and len(group.tasks) >= rules.n_tasks

    @cached_property
    def _placer(self) -> Placer:
        from optimizer.mining.embedding import Space, fitted
        from optimizer.mining.leader import Leader

        return Leader(Space(fitted(self._first_lines)), radius=self._rules.radius)


def line_of(failure: Failure) -> str:
    """What failures of a class are compared by: the masked signature without the class."""
    return mask(failure.signature.removeprefix(failure.label))


def _count(words: Counter[str], n: int, line: str) -> None:
    if n <= MAX_COUNTED:
        words.update(dict.fromkeys(content_words(line), 1))
