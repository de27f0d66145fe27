"""Which failures a model looks at: typical ones of new clusters, then of grown ones, then those at the boundary.

A cluster is looked at when it is new, and again each time it has doubled, so that a model's calls grow with the number
of ways to fail and not with the number of failures.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest

from optimizer.domain.failure import Failure
from optimizer.mining.clusters import ClusterBook


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """A cluster as the sampler sees it."""

    id: int
    label: str
    name: str
    n_failures: int
    """As it stands."""
    medoids: tuple[Failure, ...]
    """Most typical first."""
    boundary: tuple[Failure, ...] = ()
    """Least typical first."""


def views_of(book: ClusterBook) -> tuple[ClusterView, ...]:
    """All clusters that stand alone, as they are now."""
    return tuple(
        ClusterView(
            id=cluster.id,
            label=cluster.label,
            name=cluster.name,
            n_failures=cluster.n_failures,
            medoids=book.medoids(cluster.id),
            boundary=book.boundary(cluster.id),
        )
        for cluster in book
        if cluster.parent is None
    )


def due(clusters: Iterable[ClusterView], looked: Mapping[int, int]) -> list[ClusterView]:
    """New ones first, then those that have doubled; `looked` holds how many failures each had at the last look."""
    wanted = [one for one in clusters if one.n_failures >= max(1, 2 * looked.get(one.id, 0))]
    return sorted(wanted, key=lambda one: (one.id in looked, -one.n_failures, one.id))


def sample(clusters: Sequence[ClusterView], *, limit: int, known: Container[str] = ()) -> tuple[Failure, ...]:
    """At most `limit` failures of clusters that are due, in their order; `known` are ids a model has seen already."""
    fresh = {
        failure.id: failure
        for failure in _in_turn(clusters)
        if failure.id not in known and failure.diagnosed_by == "detectors"
    }
    return tuple(islice(fresh.values(), limit))


def _in_turn(clusters: Sequence[ClusterView]) -> Iterator[Failure]:
    """The first medoid of each, then the boundary of each, then what is left."""
    yield from (one.medoids[0] for one in clusters if one.medoids)
    yield from (one.boundary[0] for one in clusters if one.boundary)
    rounds = zip_longest(*(one.medoids[1:] + one.boundary[1:] for one in clusters))
    yield from (failure for turn in rounds for failure in turn if failure is not None)
