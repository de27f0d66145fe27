"""How far raters agree beyond chance, and how sure a share is. Pure arithmetic.

Cohen (1960) for two raters, Fleiss (1971) for many, Wilson (1927) for intervals of shares.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

Z95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share with its 95 % interval."""

    n_hits: int
    n: int
    """0 leaves value and interval open."""

    def __post_init__(self) -> None:
        """A share lies between none and all."""
        if not 0 <= self.n_hits <= self.n:
            raise ValueError(f"{self.n_hits} of {self.n} is no share")

    @property
    def value(self) -> float | None:
        """0.0 to 1.0; None of nothing."""
        return self.n_hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval; (0.0, 1.0) of nothing."""
        if not self.n:
            return (0.0, 1.0)
        centre = (self.n_hits + Z95**2 / 2) / (self.n + Z95**2)
        half = Z95 / (self.n + Z95**2) * sqrt(self.n_hits * (self.n - self.n_hits) / self.n + Z95**2 / 4)
        low = 0.0 if self.n_hits == 0 else max(0.0, centre - half)
        high = 1.0 if self.n_hits == self.n else min(1.0, centre + half)
        return (low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """How often what is true (rows) was called what (columns)."""

    labels: tuple[str, ...]
    """Sorted; rows and columns."""
    counts: tuple[tuple[int, ...], ...]

    @property
    def n(self) -> int:
        """All pairs."""
        return sum(map(sum, self.counts))

    @property
    def observed(self) -> float:
        """Share of pairs that agree; 0.0 of nothing."""
        agreed = sum(row[index] for index, row in enumerate(self.counts))
        return agreed / self.n if self.n else 0.0

    @property
    def expected(self) -> float:
        """Share that would agree by chance, given how often each side uses each label."""
        columns = [sum(row[index] for row in self.counts) for index in range(len(self.labels))]
        pairs = zip(map(sum, self.counts), columns, strict=True)
        return sum(row * column for row, column in pairs) / self.n**2 if self.n else 0.0

    def count(self, truth: str, said: str) -> int:
        """Pairs of that kind; 0 for labels nobody used."""
        if truth not in self.labels or said not in self.labels:
            return 0
        return self.counts[self.labels.index(truth)][self.labels.index(said)]


def confusion(pairs: Iterable[tuple[str, str]]) -> Confusion:
    """Count pairs of (true, said)."""
    counted = Counter(pairs)
    labels = tuple(sorted({label for pair in counted for label in pair}))
    return Confusion(labels=labels, counts=tuple(tuple(counted[row, said] for said in labels) for row in labels))


def cohen_kappa(table: Confusion) -> float | None:
    """Agreement of two raters beyond chance, -1.0 to 1.0.

    None where it is not defined: nothing was rated, or both sides only ever use one and the same label.
    """
    expected = table.expected
    if not table.n or expected >= 1.0:
        return None
    return (table.observed - expected) / (1 - expected)


def kappa_error(table: Confusion) -> float | None:
    """Standard error of Cohen's kappa; None where kappa is.

    The simple form (Cohen 1960) with two agreements and two disagreements added, so that a small sample without a
    single disagreement is not taken for certainty.
    """
    if cohen_kappa(table) is None:
        return None
    n = table.n + 4
    observed = (table.observed * table.n + 2) / n
    return sqrt(observed * (1 - observed) / (n * (1 - table.expected) ** 2))


def fleiss_kappa(ratings: Sequence[Sequence[str]]) -> float | None:
    """Agreement of k raters beyond chance; per item the labels that its k raters gave.

    None where it is not defined: no items, fewer than two raters, or one label for everything.

    Raises:
        ValueError: items with different numbers of raters.
    """
    if len({len(item) for item in ratings}) > 1:
        raise ValueError("every item needs a label from each rater")
    k = len(ratings[0]) if ratings else 0
    if k < 2:
        return None
    per_item = [Counter(item) for item in ratings]
    agreed = [(sum(count**2 for count in item.values()) - k) / (k * (k - 1)) for item in per_item]
    totals = sum(per_item, Counter[str]())
    expected = sum((count / (k * len(ratings))) ** 2 for count in totals.values())
    if len(totals) == 1:
        return None
    return (sum(agreed) / len(agreed) - expected) / (1 - expected)


def majority(labels: Sequence[str]) -> str | None:
    """The label that more than half of the raters gave; None when there is none."""
    label, count = Counter(labels).most_common(1)[0] if labels else ("", 0)
    return label if 2 * count > len(labels) else None
