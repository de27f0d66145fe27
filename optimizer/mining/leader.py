"""Online leader clustering of signature lines inside a class: each line joins the nearest group or leads a new one.

One line at a time, in order, nothing ever re-assigned: so ids stay, and a stream cut into batches groups exactly as the
same stream in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optimizer.mining.embedding import DIM, SCALE, Space, Vector, scaled

FULL = SCALE * SCALE
"""Similarity of a line to itself."""


@dataclass(slots=True)
class _Groups:
    """The groups of one class."""

    by_line: dict[str, int] = field(default_factory=dict)
    sums: list[NDArray[np.int64]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    centroids: NDArray[np.float32] = field(default_factory=lambda: np.zeros((8, DIM), dtype=np.float32))


class Leader:
    """Groups of similar lines per class. Groups of a class are numbered 0, 1, ... in the order they were founded."""

    def __init__(self, space: Space, *, radius: float) -> None:
        """`radius`: least cosine similarity to a group's centroid at which a line joins it."""
        self.space_id = space.id
        self._space = space
        self._least = round(radius * FULL)
        self._classes: dict[str, _Groups] = {}

    def place(self, label: str, masked: str) -> int:
        """Group of a line; equal lines of a class share theirs."""
        groups = self._classes.setdefault(label, _Groups())
        known = groups.by_line.get(masked)
        if known is None:
            known = groups.by_line[masked] = self._nearest(groups, self._space.embed(masked))
        return known

    def similarity(self, label: str, group: int, other: int) -> float:
        """Cosine of two groups' centroids."""
        centroids = self._classes[label].centroids
        return float(centroids[group] @ centroids[other]) / FULL

    def typical(self, lines: Iterable[str]) -> tuple[float, ...]:
        """Cosine of each line with the centroid of all."""
        vectors = np.array([self._space.embed(line) for line in lines], dtype=np.float32)
        centre = scaled(vectors.astype(np.int64).sum(axis=0)).astype(np.float32)
        return tuple(float(score) / FULL for score in vectors @ centre)

    def _nearest(self, groups: _Groups, vector: Vector) -> int:
        n = len(groups.counts)
        if n:
            scores = groups.centroids[:n] @ vector
            best = int(scores.argmax())
            if scores[best] >= self._least:
                _join(groups, best, vector)
                return best
        _found(groups, vector)
        return n


def _found(groups: _Groups, vector: Vector) -> None:
    n = len(groups.counts)
    if n == len(groups.centroids):
        groups.centroids = np.concatenate([groups.centroids, np.zeros_like(groups.centroids)])
    groups.centroids[n] = vector
    groups.sums.append(vector.astype(np.int64))
    groups.counts.append(1)


def _join(groups: _Groups, index: int, vector: Vector) -> None:
    groups.sums[index] += vector.astype(np.int64)
    groups.counts[index] += 1
    groups.centroids[index] = scaled(groups.sums[index])
