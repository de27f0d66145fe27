"""One cluster as the book keeps it: its counts, its sample of failures, and which states may follow which."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from optimizer.domain.failure import Cluster, ClusterState, Failure
from optimizer.domain.json import content_hash
from optimizer.mining.grouping import Place

N_RECENT = 8
N_SAMPLE = 32

NEXT: dict[ClusterState, frozenset[ClusterState]] = {
    "open": frozenset({"targeted", "resolved", "dormant"}),
    "targeted": frozenset({"open", "resolved", "dormant"}),
    "resolved": frozenset({"reopened", "dormant"}),
    "reopened": frozenset({"targeted", "open", "resolved", "dormant"}),
    "dormant": frozenset({"open"}),
}
"""Which states may follow which; any may follow itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeProposal:
    """Two clusters that look like one. Equal for equal clusters, however close they have come."""

    child: int
    into: int
    similarity: float = field(compare=False)
    """Cosine of their centroids."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One cluster, in the making."""

    id: int
    place: Place
    signature: str
    name: str
    half_life: float
    """Batches."""
    named_by: str = "detectors"
    state: ClusterState = "open"
    n_failures: int = 0
    n_attempts: int = 0
    n_fruitless: int = 0
    failing: dict[str, None] = field(default_factory=dict)
    """Tasks, most recent last."""
    unresolved: dict[str, int] = field(default_factory=dict)
    """Failures of each task that no accepted edit has solved yet."""
    severity_sum: float = 0.0
    harm_sum: float = 0.0
    """Severity x signal weight over its failures."""
    weight: float = 0.0
    last_seen: int = 0
    dormant_until: int | None = None
    parent: int | None = None
    n_resolved: int = 0
    resolved_by: int | None = None
    reopened_since: str | None = None
    recent: deque[Failure] = field(default_factory=lambda: deque(maxlen=N_RECENT))
    sample: dict[str, Failure] = field(default_factory=dict)
    """Those whose ids have the lowest hashes: an even sample that depends on no order."""

    @property
    def label(self) -> str:
        """Taxonomy class."""
        return self.place.label

    @property
    def mean_harm(self) -> float:
        """Severity as far as its signals are believed, 0.0 to 1.0."""
        return self.harm_sum / self.n_failures if self.n_failures else 0.0

    def move(self, state: ClusterState) -> None:
        """Change the state.

        Raises:
            ValueError: the one may not follow the other.
        """
        if state != self.state and state not in NEXT[self.state]:
            raise ValueError(f"cluster {self.id} is {self.state} and cannot become {state}")
        self.state = state

    def add(self, failure: Failure, batch: int, signal_weight: float, *, is_decisive: bool = True) -> None:
        """Take in a failure of a batch. Only a decisive one says how its task stands."""
        harm = failure.severity * signal_weight
        latest = max(batch, self.last_seen)
        self.weight = self._weight_at(latest) + self._faded(harm, latest - batch)
        self.last_seen = latest
        self.n_failures += 1
        self.severity_sum += failure.severity
        self.harm_sum += harm
        if is_decisive:
            self.failing[failure.task_id] = None
        self.unresolved[failure.task_id] = self.unresolved.get(failure.task_id, 0) + 1
        self.recent.appendleft(failure)
        self._sample(failure)

    def drop(self, failure: Failure, batch: int, signal_weight: float, *, is_decisive: bool) -> None:
        """Give a failure of a batch away, as if it had never been here."""
        harm = failure.severity * signal_weight
        self.weight = max(0.0, self.weight - self._faded(harm, self.last_seen - batch))
        self.n_failures -= 1
        self.severity_sum -= failure.severity
        self.harm_sum -= harm
        if is_decisive:
            self.failing.pop(failure.task_id, None)
        if failure.task_id not in self.unresolved:
            self.n_resolved = max(0, self.n_resolved - 1)
        elif self.unresolved[failure.task_id] > 1:
            self.unresolved[failure.task_id] -= 1
        else:
            del self.unresolved[failure.task_id]
        self._forget(failure)

    def swap(self, old: Failure, new: Failure) -> None:
        """Another record of a failure of this class: it weighs the same and takes the place of the old one."""
        self.recent = deque((new if one.id == old.id else one for one in self.recent), maxlen=N_RECENT)
        if self.sample.pop(content_hash(old.id), None) is not None:
            self._sample(new)

    def take_over(self, child: Entry) -> None:
        """What a cluster that is merged into this one has: its counts stay with it, and count here, too."""
        batch = max(self.last_seen, child.last_seen)
        self.weight, child.weight = self._weight_at(batch) + child._weight_at(batch), 0.0
        self.last_seen = batch
        self.failing = child.failing | self.failing
        child.failing = {}
        for task, n in child.unresolved.items():
            self.unresolved[task] = self.unresolved.get(task, 0) + n
        child.unresolved = {}
        self.n_failures += child.n_failures
        self.severity_sum += child.severity_sum
        self.harm_sum += child.harm_sum
        self.n_resolved += child.n_resolved
        for failure in child.sample.values():
            self._sample(failure)
        self.recent.extend(tuple(child.recent)[: N_RECENT - len(self.recent)])

    def sampled(self) -> list[Failure]:
        """The sample and the latest, each once, in an order that depends on no other."""
        known = {failure.id: failure for failure in (*self.sample.values(), *self.recent)}
        return [known[each] for each in sorted(known)]

    def frozen(self) -> Cluster:
        """The cluster as it stands."""
        return Cluster(
            id=self.id,
            label=self.label,
            signature=self.signature,
            name=self.name,
            state=self.state,
            n_failures=self.n_failures,
            n_attempts=self.n_attempts,
            n_fruitless=self.n_fruitless,
            failing_tasks=tuple(reversed(self.failing)),
            severity=self.severity_sum / self.n_failures if self.n_failures else 0.0,
            last_seen_batch=self.last_seen,
            dormant_until_batch=self.dormant_until,
            parent=self.parent,
            weight=round(self.weight, 9),
            n_resolved=self.n_resolved,
            resolved_by=self.resolved_by,
            reopened_since=self.reopened_since,
        )

    def _sample(self, failure: Failure) -> None:
        self.sample[content_hash(failure.id)] = failure
        if len(self.sample) > N_SAMPLE:
            del self.sample[max(self.sample)]

    def _forget(self, failure: Failure) -> None:
        self.recent = deque((one for one in self.recent if one.id != failure.id), maxlen=N_RECENT)
        self.sample.pop(content_hash(failure.id), None)

    def _weight_at(self, batch: int) -> float:
        return self._faded(self.weight, batch - self.last_seen)

    def _faded(self, weight: float, n_batches: int) -> float:
        return weight * math.pow(0.5, max(0, n_batches) / self.half_life)


def founded(cluster_id: int, failure: Failure, place: Place, *, name: str, half_life: float) -> Entry:
    """A cluster without failures yet."""
    return Entry(id=cluster_id, place=place, signature=failure.signature, name=name, half_life=half_life)
