"""From failures to clusters with stable ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from optimizer.domain.failure import Cluster, Failure
from optimizer.mining.taxonomy import name_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRules:
    """When a cluster is given up for a while."""

    fruitless_limit: int
    """Attempts without an accepted candidate before it is set aside."""
    dormant_batches: int
    """For how many batches."""


class ClusterBook:
    """All clusters of a campaign. Every change yields the clusters that changed, for the ledger."""

    def __init__(self, rules: ClusterRules) -> None:
        self._rules = rules
        self._clusters: dict[int, Cluster] = {}
        self._by_label: dict[str, int] = {}
        self.recent: dict[int, tuple[Failure, ...]] = {}
        """Latest failures of each cluster, newest first, at most 8."""

    def __iter__(self) -> Iterator[Cluster]:
        """Clusters in the order of their ids."""
        return iter(self._clusters.values())

    def __len__(self) -> int:
        """How many clusters there are."""
        return len(self._clusters)

    def get(self, cluster_id: int) -> Cluster:
        """One cluster as it stands."""
        return self._clusters[cluster_id]

    def of(self, label: str) -> int:
        """Id of the cluster that failures of a class belong to."""
        return self._by_label[label]

    def absorb(self, batch: int, outcomes: Mapping[str, Failure | None]) -> tuple[Cluster, ...]:
        """Take in a batch: per mined task its failure, or None where it passed.

        A task belongs to the cluster of its latest failure only; one that passes belongs to none.
        """
        before = dict(self._clusters)
        for cluster in list(self._clusters.values()):
            self._put(cluster, failing_tasks=tuple(t for t in cluster.failing_tasks if t not in outcomes))
        for failure in outcomes.values():
            if failure is not None:
                self._assign(batch, failure)
        self._wake(batch)
        return self._changed(before)

    def targeted(self, cluster_id: int) -> tuple[Cluster, ...]:
        """A candidate is about to be made for it."""
        cluster = self._clusters[cluster_id]
        self._put(cluster, state="targeted", n_attempts=cluster.n_attempts + 1)
        return (self._clusters[cluster_id],)

    def attempted(self, cluster_id: int, batch: int, *, is_accepted: bool) -> tuple[Cluster, ...]:
        """The candidate was judged: fruitless attempts add up until the cluster is set aside for a while."""
        cluster = self._clusters[cluster_id]
        n_fruitless = 0 if is_accepted else cluster.n_fruitless + 1
        if n_fruitless >= self._rules.fruitless_limit:
            return self.set_aside(cluster_id, batch)
        self._put(cluster, state="open", n_fruitless=n_fruitless)
        return (self._clusters[cluster_id],)

    def set_aside(self, cluster_id: int, batch: int) -> tuple[Cluster, ...]:
        """Leave it alone for some batches."""
        until = batch + self._rules.dormant_batches
        self._put(self._clusters[cluster_id], state="dormant", n_fruitless=0, dormant_until_batch=until)
        return (self._clusters[cluster_id],)

    def resolved(self, cluster_id: int, passing: frozenset[str]) -> tuple[Cluster, ...]:
        """These of its tasks pass reliably now; with none left the cluster is resolved."""
        cluster = self._clusters[cluster_id]
        left = tuple(task for task in cluster.failing_tasks if task not in passing)
        self._put(cluster, failing_tasks=left, state="open" if left else "resolved")
        return (self._clusters[cluster_id],)

    def targets(self, n: int) -> tuple[Cluster, ...]:
        """The n clusters most worth an attempt: awake, with failing tasks, highest priority first."""
        awake = [c for c in self._clusters.values() if c.state not in {"dormant", "resolved"} and c.failing_tasks]
        recurring = [c for c in awake if len(c.failing_tasks) > 1] or awake
        return tuple(sorted(recurring, key=lambda c: (-c.priority, c.id))[:n])

    def _assign(self, batch: int, failure: Failure) -> None:
        cluster_id = self._by_label.setdefault(failure.label, len(self._by_label) + 1)
        old = self._clusters.get(cluster_id)
        if old is None:
            old = _founded(cluster_id, failure, batch)
        n = old.n_failures
        self._put(
            old,
            n_failures=n + 1,
            severity=(old.severity * n + failure.severity) / (n + 1),
            failing_tasks=(failure.task_id, *old.failing_tasks),
            last_seen_batch=batch,
            state="reopened" if old.state == "resolved" else old.state,
        )
        self.recent[cluster_id] = (failure, *self.recent.get(cluster_id, ()))[:8]

    def _wake(self, batch: int) -> None:
        for cluster in list(self._clusters.values()):
            if cluster.dormant_until_batch is not None and batch >= cluster.dormant_until_batch:
                self._put(cluster, state="open", dormant_until_batch=None)

    def _put(self, cluster: Cluster, **changes: object) -> None:
        self._clusters[cluster.id] = replace(cluster, **changes)  # type: ignore[arg-type]

    def _changed(self, before: Mapping[int, Cluster]) -> tuple[Cluster, ...]:
        return tuple(cluster for cluster in self._clusters.values() if before.get(cluster.id) != cluster)


def _founded(cluster_id: int, failure: Failure, batch: int) -> Cluster:
    return Cluster(
        id=cluster_id,
        label=failure.label,
        signature=failure.signature,
        name=name_of(failure.label),
        state="open",
        n_failures=0,
        n_attempts=0,
        n_fruitless=0,
        failing_tasks=(),
        severity=failure.severity,
        last_seen_batch=batch,
    )
