"""What the loop tells the ledger, and whoever watches.

Every row has a deterministic key, so a resumed campaign writes the same rows again and the ledger keeps the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from optimizer.domain.budget import Spend
from optimizer.domain.candidate import Candidate, Decision
from optimizer.domain.dataset import DatasetVersion
from optimizer.domain.errors import LedgerError
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.review import ReviewAnswer, ReviewItem
from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Trace
from optimizer.gate.guard import TrunkRecord
from optimizer.ledger.control import Mail
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.records import TaskResult, TrunkEstimate

EventKind = Literal[
    "baseline", "batch", "proposed", "accepted", "rejected", "inconclusive", "promoted", "review", "control", "ended"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of the story."""

    seq: int
    kind: EventKind
    candidate: int | None
    text: str


class Journal:
    """Writes the campaign down, in the order of the loop."""

    def __init__(self, ledger: Ledger, watch: Callable[[Event], None]) -> None:
        self._ledger = ledger
        self._watch = watch
        self._seq = 0
        self._batch = 0
        self._n_trunks = 0
        self._n_reads = 0

    def trace(self, rollout: Rollout) -> Trace:
        """The trace of a recorded rollout."""
        if rollout.trace_sha is None:
            raise LedgerError(f"rollout {rollout.job.id} has no trace in the ledger; it was not recorded by hone")
        return self._ledger.trace(rollout.trace_sha)

    def baseline(self, record: TrunkRecord, commit: str, spent: Spend) -> None:
        """The harness as it was found."""
        self._trunk(record, commit, None)
        self._spend(spent)
        self._say("baseline", f"internal val estimate {record.estimate:.3f} on {len(record.cells)} tasks")

    def trunk(self, record: TrunkRecord, commit: str, candidate: int | None) -> None:
        """The pooled estimate has moved; `candidate` is the one that became the trunk."""
        self._trunk(record, commit, candidate)

    def batch(self, n: int, head: str, rollouts: Sequence[Rollout], failures: Sequence[Failure], spent: Spend) -> None:
        """A batch was mined."""
        self._batch = n
        self._spend(spent)
        self._ledger.record_batch(n, head, tuple(r.job.task.id for r in rollouts), tuple(r.job.id for r in rollouts))
        for failure in failures:
            self._ledger.record_failure(failure, n)
        labels = sorted({failure.label for failure in failures})
        self._say("batch", f"batch {n}: {len(failures)} of {len(rollouts)} failed ({', '.join(labels) or 'none'})")

    def failure(self, failure: Failure, batch: int) -> None:
        """A record that supersedes another of the same run, seen in that batch."""
        self._ledger.record_failure(failure, batch)

    def spent(self, spent: Spend) -> None:
        """All that is spent up to here."""
        self._spend(spent)

    def member(self, cluster_id: int, failure: Failure) -> None:
        """Which cluster a failure belongs to."""
        self._ledger.record_cluster_member(cluster_id, failure.id)

    def clusters(self, clusters: Iterable[Cluster]) -> None:
        """Clusters as they stand after a change."""
        for cluster in clusters:
            self._ledger.record_cluster(cluster, self._batch, self._next())

    def cases(self, cases: Iterable[EvalCase]) -> None:
        """Eval cases as they stand after a change."""
        for case in cases:
            self._ledger.record_case(case, self._batch, self._next())

    def dataset(self, version: DatasetVersion) -> None:
        """The regression suite has changed; this is what it is now."""
        self._ledger.record_dataset(version, self._batch, self._next())

    def mail(self) -> Mail:
        """Wishes that reached the campaign since the last step, recorded as taken at this one."""
        self._n_reads += 1
        return self._ledger.control.take(self._n_reads, self._batch, self._seq)

    def wished(self, text: str) -> None:
        """What became of a wish."""
        self._say("control", text)

    def asked(self, item: ReviewItem, *, is_waiting: bool) -> None:
        """A question came up for the first time."""
        self._ledger.reviews.open_item(item, self._batch, self._next(), is_waiting=is_waiting)
        if is_waiting:
            self._say("review", f"{item.question} Until `hone review {item.id}` says otherwise: {item.cautious}")

    def answered(self, answer: ReviewAnswer, ordinal: int) -> None:
        """A question has answer number `ordinal`, which is in force from now on."""
        self._ledger.reviews.answer(answer, ordinal, self._batch, self._next())

    def proposed(self, candidate: Candidate, cluster: Cluster) -> None:
        """A candidate is about to be measured."""
        self._say("proposed", f"{candidate.proposal.title} (for cluster {cluster.id}: {cluster.name})", candidate.n)

    def judged(self, candidate: Candidate, decision: Decision, rollouts: Sequence[Rollout], spent: Spend) -> None:
        """A candidate was measured and decided about."""
        self._ledger.record_decision(decision, results_of(candidate, rollouts))
        self._spend(spent)
        kind: dict[str, EventKind] = {"accept": "accepted", "reject": "rejected", "inconclusive": "inconclusive"}
        self._say(kind[decision.verdict], f"{candidate.proposal.title} - {decision.reason}", candidate.n)

    def refused(self, decision: Decision, spent: Spend) -> None:
        """An edit was refused before it cost a rollout."""
        self._ledger.record_decision(decision, ())
        self._spend(spent)
        self._say("rejected", decision.reason, decision.candidate)

    def promoted(self, cluster: Cluster, cases: Sequence[EvalCase]) -> None:
        """Cases of a cluster were judged for the regression suite."""
        self.cases(cases)
        active = sum(case.state == "active" for case in cases)
        self._say("promoted", f"{active} of {len(cases)} cases of cluster {cluster.id} joined the regression suite")

    def ended(self, code: str, text: str) -> None:
        """The campaign stopped as planned. With a larger budget it goes on from here, so nothing else is written."""
        seq = self._next()
        self._ledger.record_end(seq, code, text)
        self._watch(Event(seq=seq, kind="ended", candidate=None, text=f"{code}: {text}"))

    def _trunk(self, record: TrunkRecord, commit: str, candidate: int | None) -> None:
        runs = sum(cell.runs for cell in record.cells.values())
        self._ledger.record_trunk(
            TrunkEstimate(
                seq=self._n_trunks,
                batch=self._batch,
                commit=commit,
                candidate=candidate,
                value=record.estimate,
                low=None,
                high=None,
                n_tasks=len(record.cells),
                n_rollouts=round(runs),
            )
        )
        self._n_trunks += 1

    def _spend(self, spent: Spend) -> None:
        self._ledger.record_spend(self._next(), spent)

    def _say(self, kind: EventKind, text: str, candidate: int | None = None) -> None:
        seq = self._next()
        self._ledger.record_event(seq, kind, candidate, text)
        self._watch(Event(seq=seq, kind=kind, candidate=candidate, text=text))

    def _next(self) -> int:
        self._seq += 1
        return self._seq


def results_of(candidate: Candidate, rollouts: Sequence[Rollout]) -> tuple[TaskResult, ...]:
    """The candidate's measured runs, each beside the trunk's run of the same luck where there is one."""
    trunk = {r.job.luck: r.is_pass for r in rollouts if r.job.tree != candidate.tree and r.is_measured}
    distinct = {r.job.id: r for r in rollouts if r.job.tree == candidate.tree and r.is_measured}
    return tuple(
        TaskResult(
            split=r.job.task.split,
            task_id=r.job.task.id,
            purpose=r.job.purpose,
            trial=r.job.trial,
            is_passed=r.is_pass,
            base_passed=trunk.get(r.job.luck),
            rollout_id=r.job.id,
        )
        for r in distinct.values()
    )
