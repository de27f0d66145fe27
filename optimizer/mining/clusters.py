"""The clusters of a campaign and their lives: `open -> targeted -> resolved -> reopened`, or `dormant` for a while.

A cluster keeps its id for ever. One that is merged into another keeps its id and its history, too: it gets a parent,
sleeps, and its failing tasks and all failures to come are the parent's. Everything here follows from the order of the
calls alone, so whoever repeats the calls has the same book again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Literal

from optimizer.domain.failure import Cluster, Failure, Signal
from optimizer.mining.cluster_entry import Entry, MergeProposal, founded
from optimizer.mining.grouping import Grouping, Place, SplitRules
from optimizer.mining.taxonomy import name_of

PRECEDENCE = ("detectors", "model", "person")
"""Whose name for a cluster yields to whose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRules:
    """When a cluster is given up for a while, splits, merges and fades."""

    fruitless_limit: int
    """Attempts without an accepted candidate before it is set aside."""
    dormant_batches: int
    """For how many batches."""
    half_life_batches: float = 8.0
    """Batches after which a failure weighs half."""
    signal_weights: Mapping[Signal, float] = field(default_factory=dict)
    """How much a signal is believed, 0.0 to 1.0; 1.0 where nothing is said."""
    merge_at: float = 0.6
    """Cosine of two clusters of a class at which they are presumed one."""
    review: Literal["auto", "human"] = "auto"
    """Whether such a merge is applied at once or waits for a person."""
    split: SplitRules = SplitRules()


class ClusterBook:
    """All clusters of a campaign. Every change yields the clusters that changed, for the ledger."""

    def __init__(self, rules: ClusterRules, *, title_of: Callable[[str], str] = name_of) -> None:
        """`title_of` gives the human name of a class."""
        self._rules = rules
        self._title_of = title_of
        self._grouping = Grouping(rules.split)
        self._entries: dict[int, Entry] = {}
        self._by_place: dict[tuple[str, int | None], int] = {}
        self._by_failure: dict[str, int] = {}
        self._by_task: dict[str, int] = {}
        self._latest: dict[str, str] = {}
        """Failure that put a task where it is."""
        self._touched: dict[int, Cluster | None] = {}
        """How the clusters stood that the current call has changed."""
        self._declined: set[MergeProposal] = set()
        self._batch = 0
        self.pending: tuple[MergeProposal, ...] = ()
        """Merges that wait for a person."""

    def __iter__(self) -> Iterator[Cluster]:
        """Clusters in the order of their ids."""
        return (entry.frozen() for entry in self._entries.values())

    def __len__(self) -> int:
        """How many clusters there are."""
        return len(self._entries)

    @property
    def space_id(self) -> str:
        """Embedding space that signatures were compared in."""
        return self._grouping.space_id

    def get(self, cluster_id: int) -> Cluster:
        """One cluster as it stands."""
        return self._entries[cluster_id].frozen()

    def of(self, failure: Failure) -> int:
        """Id of the cluster that an absorbed failure was put in; its merges, if any, are a matter of `root`."""
        return self._by_failure[failure.id]

    def root(self, cluster_id: int) -> int:
        """Id of the cluster it was merged into in the end; its own while it stands alone."""
        parent = self._entries[cluster_id].parent
        return cluster_id if parent is None else self.root(parent)

    def family(self, cluster_id: int) -> tuple[int, ...]:
        """Ids of a cluster and of all that were merged into it, in order."""
        root = self.root(cluster_id)
        return tuple(each for each in self._entries if self.root(each) == root)

    # What happens to failures.

    def absorb(
        self, batch: int, outcomes: Mapping[str, Failure | None], *, commit: str | None = None
    ) -> tuple[Cluster, ...]:
        """Take in a batch: per mined task its failure, or None where it passed. `commit` is the trunk that was run.

        A task belongs to the cluster of its latest failure only; one that passes belongs to none.
        """
        failures = [failure for failure in outcomes.values() if failure is not None]
        self._batch = batch
        if not self._by_failure:
            self._grouping.learn(failures)
        for task in outcomes:
            if (held := self._by_task.pop(task, None)) is not None:
                del self._open(held).failing[task]
        for failure, place in zip(failures, self._grouping.places(failures), strict=True):
            self._assign(failure, place, batch, commit)
        self._wake(batch)
        self._merge_close(commit)
        return self._changed()

    def targeted(self, cluster_id: int) -> tuple[Cluster, ...]:
        """A candidate is about to be made for it."""
        entry = self._open(self.root(cluster_id))
        entry.move("targeted")
        entry.n_attempts += 1
        return self._changed()

    def attempted(self, cluster_id: int, batch: int, *, is_accepted: bool) -> tuple[Cluster, ...]:
        """The candidate was judged: fruitless attempts add up until the cluster is set aside for a while."""
        entry = self._open(self.root(cluster_id))
        entry.n_fruitless = 0 if is_accepted else entry.n_fruitless + 1
        if entry.n_fruitless >= self._rules.fruitless_limit:
            return self.set_aside(cluster_id, batch)
        entry.move("open")
        return self._changed()

    def set_aside(self, cluster_id: int, batch: int) -> tuple[Cluster, ...]:
        """Leave it alone for some batches."""
        entry = self._open(self.root(cluster_id))
        entry.move("dormant")
        entry.n_fruitless = 0
        entry.dormant_until = batch + self._rules.dormant_batches
        return self._changed()

    def resolved(
        self, cluster_id: int, passing: frozenset[str], *, candidate: int | None = None
    ) -> tuple[Cluster, ...]:
        """These of its tasks pass reliably now that `candidate` is accepted; with none left it is resolved."""
        entry = self._open(self.root(cluster_id))
        for task in [task for task in entry.failing if task in passing]:
            del entry.failing[task]
            del self._by_task[task]
            entry.n_resolved += entry.unresolved.pop(task, 0)
        if entry.failing:
            entry.move("open")
        else:
            entry.move("resolved")
            entry.resolved_by = candidate
        return self._changed()

    # What to work on.

    def targets(self, n: int) -> tuple[Cluster, ...]:
        """The n clusters most worth an attempt: awake, with failing tasks, highest rank first.

        What was seen on one task alone waits until nothing recurs, and what was seen only once waits longest.
        """
        awake = [
            entry
            for entry in self._entries.values()
            if entry.parent is None and entry.failing and entry.state not in {"dormant", "resolved"}
        ]
        several = [entry for entry in awake if len(entry.failing) > 1]
        recurring = several or [entry for entry in awake if entry.n_failures > 1] or awake
        ranked = sorted(recurring, key=lambda entry: (-self.rank(entry.id), entry.id))
        return tuple(entry.frozen() for entry in ranked[:n])

    def rank(self, cluster_id: int) -> float:
        """Unresolved recurrence x severity as far as its signals are believed, halved every half-life unseen."""
        entry = self._entries[self.root(cluster_id)]
        age = max(0, self._batch - entry.last_seen)
        return len(entry.failing) * entry.mean_harm * math.pow(0.5, age / self._rules.half_life_batches)

    @property
    def recent(self) -> Mapping[int, tuple[Failure, ...]]:
        """Latest failures of each cluster, newest first, at most 8."""
        return {entry.id: tuple(entry.recent) for entry in self._entries.values()}

    def medoids(self, cluster_id: int, n: int = 3) -> tuple[Failure, ...]:
        """The most typical of a sample of its failures, most typical first; unlike lines before like ones."""
        return _unlike_first(self._by_typicality(cluster_id))[:n]

    def boundary(self, cluster_id: int, n: int = 3) -> tuple[Failure, ...]:
        """The least typical of a sample of its failures, least typical first; unlike lines before like ones."""
        return _unlike_first(self._by_typicality(cluster_id)[::-1])[:n]

    def representatives(self, cluster_id: int, n: int = 8) -> tuple[Failure, ...]:
        """In turn one that is typical, one recent and one at the boundary, none twice: for diagnosis and proposers."""
        ranked = self._by_typicality(cluster_id)
        newest = self._entries[self.root(cluster_id)].recent
        turns = zip_longest(_unlike_first(ranked), newest, _unlike_first(ranked[::-1]))
        chosen = {each.id: each for turn in turns for each in turn if each is not None}
        return tuple(chosen.values())[:n]

    # What people and models decide.

    def replace(self, old: Failure, new: Failure, *, batch: int, commit: str | None = None) -> tuple[Cluster, ...]:
        """Let a record supersede another of one failure, seen in `batch`: it counts once, where the new one belongs.

        Where the old one did not decide about its task any more, since the task was run again, neither does the new.
        """
        home = self.root(self._by_failure.pop(old.id))
        entry = self._open(home)
        if new.label == old.label:
            entry.swap(old, new)
            self._by_failure[new.id] = home
            if self._latest.get(old.task_id) == old.id:
                self._latest[old.task_id] = new.id
        else:
            self._move(old, new, entry, batch, commit)
        return self._changed()

    def rename(self, cluster_id: int, name: str, by: str) -> tuple[Cluster, ...]:
        """Give it a better name; `by` is `model/<name>` or `person`. A person's name is kept from models."""
        entry = self._open(cluster_id)
        if PRECEDENCE.index(by.partition("/")[0]) >= PRECEDENCE.index(entry.named_by.partition("/")[0]):
            entry.name, entry.named_by = name, by
        return self._changed()

    def merge(self, child: int, into: int, *, commit: str | None = None) -> tuple[Cluster, ...]:
        """Make `into` the parent of `child`.

        Raises:
            ValueError: one of them is the other's ancestor already, or `child` has a parent.
        """
        if self.root(child) == self.root(into) or self._entries[child].parent is not None:
            raise ValueError(f"cluster {child} cannot be merged into {into}: it has a parent, or they are one family")
        self._merge(child, self.root(into), commit)
        return self._changed()

    def part(self, child: int) -> tuple[Cluster, ...]:
        """Undo a merge: failures to come are the child's own again; what the parent has got stays there.

        Raises:
            ValueError: it has no parent.
        """
        entry = self._open(child)
        if entry.parent is None:
            raise ValueError(f"cluster {child} has no parent to part from")
        self._declined.add(MergeProposal(child=child, into=entry.parent, similarity=0.0))
        entry.parent = None
        entry.move("open")
        return self._changed()

    def decline(self, proposal: MergeProposal) -> None:
        """Never propose this merge again."""
        self._declined.add(proposal)
        self.pending = tuple(each for each in self.pending if each != proposal)

    # Inner workings.

    def _assign(
        self, failure: Failure, place: Place, batch: int, commit: str | None, *, is_decisive: bool = True
    ) -> None:
        key = (place.label, place.group if place.is_apart else None)
        if key not in self._by_place:
            self._found(key, place, failure)
        cluster_id = self.root(self._by_place[key])
        entry = self._open(cluster_id)
        entry.add(failure, batch, self._believed(failure), is_decisive=is_decisive)
        self._by_failure[failure.id] = cluster_id
        if not is_decisive:
            return
        if entry.state == "resolved":
            entry.move("reopened")
            entry.reopened_since = commit
        self._by_task[failure.task_id] = cluster_id
        self._latest[failure.task_id] = failure.id

    def _move(self, old: Failure, new: Failure, entry: Entry, batch: int, commit: str | None) -> None:
        """Take a failure out of its cluster and put it where its new class belongs."""
        is_decisive = self._by_task.get(old.task_id) == entry.id and self._latest.get(old.task_id) == old.id
        entry.drop(old, batch, self._believed(old), is_decisive=is_decisive)
        (place,) = self._grouping.places([new])
        self._assign(new, place, batch, commit, is_decisive=is_decisive)

    def _believed(self, failure: Failure) -> float:
        return self._rules.signal_weights.get(failure.signal, 1.0)

    def _found(self, key: tuple[str, int | None], place: Place, failure: Failure) -> None:
        cluster_id = self._by_place[key] = len(self._entries) + 1
        title = self._title_of(place.label)
        words = self._grouping.typical_words(place) if place.is_apart else ()
        self._touched[cluster_id] = None
        self._entries[cluster_id] = founded(
            cluster_id,
            failure,
            place,
            name=f"{title}: {' '.join(words)}" if words else title,
            half_life=self._rules.half_life_batches,
        )

    def _wake(self, batch: int) -> None:
        for entry in self._entries.values():
            if entry.dormant_until is not None and batch >= entry.dormant_until:
                self._open(entry.id).move("open")
                entry.dormant_until = None

    def _merge_close(self, commit: str | None) -> None:
        """Propose, or apply, merges of clusters that this call has touched."""
        for entry in [self._entries[each] for each in self._touched]:
            proposal = self._closest(entry)
            if proposal is None:
                continue
            if self._rules.review == "auto":
                self._merge(proposal.child, proposal.into, commit)
            elif proposal not in self.pending:
                self.pending = (*self.pending, proposal)

    def _closest(self, entry: Entry) -> MergeProposal | None:
        """The merge of a cluster that stands apart with the closest older one of its class."""
        if entry.parent is not None or not entry.place.is_apart:
            return None
        best: MergeProposal | None = None
        for other in self._siblings(entry):
            similarity = self._grouping.similarity(entry.place, other.place)
            proposal = MergeProposal(child=entry.id, into=other.id, similarity=round(similarity, 3))
            is_close = similarity >= self._rules.merge_at and (best is None or similarity > best.similarity)
            if is_close and proposal not in self._declined:
                best = proposal
        return best

    def _siblings(self, entry: Entry) -> Sequence[Entry]:
        return [
            other
            for other in self._entries.values()
            if other.id < entry.id and other.label == entry.label and other.parent is None and other.place.is_apart
        ]

    def _merge(self, child_id: int, into: int, commit: str | None) -> None:
        child, root = self._open(child_id), self._open(into)
        for task in child.failing:
            self._by_task[task] = into
        root.take_over(child)
        if root.state == "resolved" and root.failing:
            root.move("reopened")
            root.reopened_since = commit
        child.move("dormant")
        child.dormant_until = None
        child.parent = into
        self.pending = tuple(each for each in self.pending if child_id not in {each.child, each.into})

    def _by_typicality(self, cluster_id: int) -> tuple[Failure, ...]:
        sample = self._entries[self.root(cluster_id)].sampled()
        scores = self._grouping.typicality(sample)
        order = sorted(zip(scores, sample, strict=True), key=lambda item: (-item[0], item[1].id))
        return tuple(failure for _, failure in order)

    def _open(self, cluster_id: int) -> Entry:
        """An entry that is about to change."""
        entry = self._entries[cluster_id]
        if cluster_id not in self._touched:
            self._touched[cluster_id] = entry.frozen()
        return entry

    def _changed(self) -> tuple[Cluster, ...]:
        now = [(before, self._entries[each].frozen()) for each, before in sorted(self._touched.items())]
        self._touched = {}
        return tuple(after for before, after in now if before != after)


def _unlike_first(failures: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """The first of each signature before all others, otherwise in the order given."""
    first = {failure.signature: failure for failure in reversed(failures)}
    return tuple(sorted(failures, key=lambda failure: first[failure.signature] is not failure))
