"""Phase A: a batch of runs becomes failures, failures become clusters, and what is doubtful becomes a question.

The detectors carry it alone. Where a model diagnoses, its word supersedes theirs by rule or by a person's ruling; no
record is overwritten and none counts twice. Everything that is kept of a failure is redacted first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optimizer.campaign.diagnosing import Diagnostician, Examined, Redact
from optimizer.campaign.journal import Journal
from optimizer.campaign.questions import label_question, merge_question, taxonomy_question
from optimizer.campaign.reviewing import ReviewDesk, Ruling
from optimizer.config.settings import Settings
from optimizer.domain.budget import Budget
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.rollout import Rollout
from optimizer.domain.trace import Trace
from optimizer.mining.cluster_entry import MergeProposal
from optimizer.mining.clusters import ClusterBook, ClusterRules
from optimizer.mining.diagnose import diagnose
from optimizer.mining.diagnosis_prompt import Patient
from optimizer.mining.induction import Base
from optimizer.mining.sampling import views_of
from optimizer.mining.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """Through what failures are seen."""

    taxonomy: Taxonomy
    base: Base
    """The text of the taxonomy, which new classes would extend."""
    redact: Redact
    diagnostician: Diagnostician | None = None
    """None: the detectors alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """What a batch came to."""

    found: tuple[Failure, ...]
    """One per failed run: the record in force."""
    cluster_of: Mapping[str, int]
    """Failure id -> cluster."""
    changed: tuple[Cluster, ...]
    """Clusters as they stood after a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    run: Rollout
    batch: int


def rules_of(settings: Settings) -> ClusterRules:
    """The person's settings as the rules of clusters. The book proposes merges; the desk decides."""
    weights = settings.mining.signal_weights
    return ClusterRules(
        fruitless_limit=settings.loop.fruitless_limit,
        dormant_batches=settings.loop.dormant_batches,
        half_life_batches=settings.mining.half_life_batches,
        signal_weights={
            "check_failed": weights.check_failed,
            "hard_error": weights.hard_error,
            "user_correction": weights.user_correction,
            "abandonment": weights.abandonment,
            "judge_fail": weights.judge_fail,
            "business_metric": weights.business_metric,
        },
        review="human",
    )


class Miner:
    """Keeps the failures and clusters of a campaign. Deterministic given the runs, the answers and the rulings."""

    def __init__(self, journal: Journal, desk: ReviewDesk, lens: Lens, settings: Settings, budget: Budget) -> None:
        self.book = ClusterBook(rules_of(settings), title_of=lens.taxonomy.name_of)
        self._journal = journal
        self._desk = desk
        self._lens = lens
        self._budget = budget
        self._seen: dict[str, _Seen] = {}
        """Failed runs, by rollout."""
        self._merged: dict[str, MergeProposal] = {}
        """Merges that were applied, by the id of their question."""
        self._disputed: dict[str, Examined] = {}
        """Failures whose class is disputed, by the id of the question."""
        self._in_force: dict[str, Failure] = {}
        """What superseded a detectors' record, by the id of that one."""
        self._changed: list[Cluster] = []

    async def mine(self, batch: int, commit: str, rollouts: Sequence[Rollout]) -> Mined:
        """Take in a batch of the trunk's runs, and every ruling since the last."""
        self._changed = []
        outcomes = {run.job.task.id: self._failure(run, batch) for run in rollouts if run.is_measured}
        found = [failure for failure in outcomes.values() if failure is not None]
        changed = self.book.absorb(batch, outcomes, commit=commit)
        self._journal.batch(batch, commit, rollouts, found, self._budget.spent)
        self._note(changed)
        for failure in found:
            self._journal.member(self.book.of(failure), failure)
        for ruling in self._desk.rulings():
            self._heed(ruling, commit)
        self._merge(commit)
        await self._look_closer(batch, commit)
        final = tuple(self._in_force.get(failure.id, failure) for failure in found)
        return Mined(
            found=final,
            cluster_of={failure.id: self.book.of(failure) for failure in final},
            changed=tuple(self._changed),
        )

    def _failure(self, run: Rollout, batch: int) -> Failure | None:
        if run.is_pass:
            return None
        self._seen[run.job.id] = _Seen(run=run, batch=batch)
        trace = self._journal.trace(run)
        return self._lens.redact(Patient(failure=diagnose(run, trace, self._lens.taxonomy), trace=trace)).failure

    def _trace_of(self, failure: Failure) -> Trace:
        return self._journal.trace(self._seen[failure.rollout_id].run)

    def _merge(self, commit: str) -> None:
        """Ask about each merge the book proposes; those that wait are asked again, which costs nothing."""
        for proposal in self.book.pending:
            item = merge_question(proposal, self.book)
            if self._desk.ask(item) == "yes" and proposal in self.book.pending:
                self._note(self.book.merge(proposal.child, proposal.into, commit=commit))
                self._merged[item.id] = proposal

    def _heed(self, ruling: Ruling, commit: str) -> None:
        """Let a person's ruling take effect on what the loop went by until now; what still waits is asked again."""
        if ruling.item.id in self._disputed:
            self._judge(self._disputed[ruling.item.id], ruling.answer, commit)
        elif ruling.item.id in self._merged and ruling.is_change:
            merged = self._merged[ruling.item.id]
            is_merged = self.book.get(merged.child).parent is not None
            if ruling.answer == "no" and is_merged:
                self._note(self.book.part(merged.child))
            elif ruling.answer == "yes" and not is_merged:
                self._note(self.book.merge(merged.child, merged.into, commit=commit))

    async def _look_closer(self, batch: int, commit: str) -> None:
        """Let a model look at a few failures, name clusters and propose classes, where there is one."""
        doctor = self._lens.diagnostician
        if doctor is None:
            return
        for examined in await doctor.examine(batch, views_of(self.book), self._trace_of):
            self._weigh(examined, commit)
        for named in await doctor.names(views_of(self.book), self._trace_of):
            self._note(self.book.rename(named.cluster_id, named.name, named.by))
        induction = await doctor.induced(self._lens.base)
        if induction is not None and induction.state != "empty":
            self._desk.ask(taxonomy_question(induction))
        self._journal.spent(self._budget.spent)

    def _weigh(self, examined: Examined, commit: str) -> None:
        if examined.conflict is None:
            if examined.after is not None:
                self._supersede(examined.before, examined.after, commit)
            return
        item = label_question(examined.conflict)
        self._disputed[item.id] = examined
        self._judge(examined, self._desk.ask(item), commit)

    def _judge(self, examined: Examined, answer: str, commit: str) -> None:
        """Go by one of the two classes: the detectors', or that of the record the model would have."""
        other = examined.alternative
        if other is not None:
            self._supersede(examined.before, other if answer == other.label else examined.before, commit)

    def _supersede(self, detected: Failure, record: Failure, commit: str) -> None:
        """Go by another record of a failure that the detectors found."""
        current = self._in_force.get(detected.id, detected)
        if current.id == record.id:
            return
        seen = self._seen[detected.rollout_id]
        self._in_force[detected.id] = record
        changed = self.book.replace(current, record, batch=seen.batch, commit=commit)
        self._journal.failure(record, seen.batch)
        self._note(changed)
        self._journal.member(self.book.of(record), record)

    def _note(self, changed: Iterable[Cluster]) -> None:
        kept = tuple(changed)
        self._changed += kept
        self._journal.clusters(kept)
