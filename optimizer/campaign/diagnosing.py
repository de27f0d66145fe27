"""The one place where a campaign pays models to look at failures: diagnoses, names of clusters, new classes.

Without a model nobody makes a Diagnostician, and the detectors alone carry the loop. With one, a few failures per batch
are looked at; everything that is asked, answered and refused is in the ledger, so a resumed campaign asks nothing twice
and takes the same turns. A model that cannot be reached ends the looking for this batch, not the campaign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from optimizer.campaign.paying import Account, PaidModel
from optimizer.domain.errors import ModelUnavailableError
from optimizer.domain.failure import Failure
from optimizer.domain.model import LanguageModel
from optimizer.domain.trace import Trace
from optimizer.ledger.answers import DiagnosisRecord, Purpose
from optimizer.mining.diagnosis_model import diagnose_by_model
from optimizer.mining.diagnosis_prompt import UNKNOWN, KnownClass, Patient
from optimizer.mining.diagnosis_reply import Diagnosis
from optimizer.mining.induction import Base, Induction, InductionRules, induce
from optimizer.mining.induction_questions import Unplaced
from optimizer.mining.naming import name_by_model
from optimizer.mining.sampling import ClusterView, due, sample
from optimizer.mining.superseding import LabelConflict, ReviewMode, Weighed, weigh

Redact = Callable[[Patient], Patient]
"""Takes what could name a person out of a failure and its trace, before a model or a reviewer sees either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisRules:
    """How much a model is asked, and who has the last word."""

    per_batch: int = 6
    """Failures looked at per batch at most."""
    names_clusters: bool = True
    induce_from: int = 12
    """Failures that no class fits from which new classes are asked for, again when they double; 0: never."""
    induction: InductionRules = InductionRules()
    review: ReviewMode = "auto"
    max_output_tokens: int = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of looking at one failure."""

    before: Failure
    """The detectors' record."""
    after: Failure | None
    """The record that supersedes it; None when the detectors' stands."""
    alternative: Failure | None
    """The record that supersedes it once a reviewer follows the model; None when there is no such record."""
    conflict: LabelConflict | None
    """For review; None when both agree, or when there was no usable answer."""
    record: DiagnosisRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A better name for a cluster."""

    cluster_id: int
    name: str
    by: str


class Diagnostician:
    """Looks at failures through a model. Deterministic given what the ledger holds."""

    def __init__(
        self,
        model: LanguageModel,
        account: Account,
        *,
        classes: Sequence[KnownClass],
        redact: Redact,
        rules: DiagnosisRules | None = None,
    ) -> None:
        self.by = f"model/{model.name}"
        self._model = model
        self._account = account
        self._classes = tuple(classes)
        self._redact = redact
        self._rules = rules or DiagnosisRules()
        self._seen: set[str] = set()
        self._looked: dict[int, int] = {}
        self._named: dict[int, int] = {}
        self._unplaced: list[Unplaced] = []
        self._n_induced = 0

    async def examine(
        self, batch: int, clusters: Iterable[ClusterView], trace_of: Callable[[Failure], Trace]
    ) -> tuple[Examined, ...]:
        """Look at a few failures of clusters that are new or have doubled.

        Raises:
            BudgetExhaustedError: the next look is not affordable.
        """
        wanted = due(clusters, self._looked)
        chosen = sample(wanted, limit=self._rules.per_batch, known=self._seen)
        examined = []
        for failure in chosen:
            self._seen.add(failure.id)
            found = await self._look(batch, failure, trace_of(failure))
            examined.append(found)
            if found.record.outcome == "unavailable":
                break
        looked_at = {one.before.id for one in examined}
        for cluster in wanted:
            if looked_at & {failure.id for failure in (*cluster.medoids, *cluster.boundary)}:
                self._looked[cluster.id] = cluster.n_failures
        return tuple(examined)

    async def names(self, clusters: Iterable[ClusterView], trace_of: Callable[[Failure], Trace]) -> tuple[Named, ...]:
        """Names for clusters of two failures or more that are new or have doubled since they were named last."""
        if not self._rules.names_clusters:
            return ()
        made = []
        for cluster in due((one for one in clusters if one.n_failures > 1), self._named):
            self._named[cluster.id] = cluster.n_failures
            shown = [self._redact(Patient(failure=one, trace=trace_of(one))).failure for one in cluster.medoids]
            try:
                given = await name_by_model(self._paid("name", str(cluster.id)), cluster.label, cluster.name, shown)
            except ModelUnavailableError:
                break
            if given.answer is not None:
                made.append(Named(cluster_id=cluster.id, name=given.answer, by=self.by))
        return tuple(made)

    async def induced(self, base: Base) -> Induction | None:
        """Classes for the failures none fits, once there are enough of them: an item for review, never applied here."""
        n = len(self._unplaced)
        if not self._rules.induce_from or n < max(self._rules.induce_from, 2 * self._n_induced):
            return None
        self._n_induced = n
        paid = self._paid("induction", str(n))
        try:
            return await induce(paid, (paid,), self._unplaced, base, self._rules.induction)
        except ModelUnavailableError:
            return None

    async def _look(self, batch: int, failure: Failure, trace: Trace) -> Examined:
        record = DiagnosisRecord(failure_id=failure.id, batch=batch, model=self._model.name, outcome="unavailable")
        patient = self._redact(Patient(failure=failure, trace=trace))
        paid = self._paid("diagnosis", failure.id)
        try:
            given = await diagnose_by_model(
                paid, patient, self._classes, max_output_tokens=self._rules.max_output_tokens
            )
        except ModelUnavailableError as error:
            return self._kept(failure, replace(record, rule=str(error)[:300]))
        refused = tuple((one.code, one.reason) for one in given.refused)
        record = replace(record, outcome="refused", refused=refused, usage=given.usage)
        if given.answer is None:
            return self._kept(failure, record)
        weighed = weigh(patient.failure, given.answer, self.by, self._classes, self._rules.review)
        self._collect(patient.failure, given.answer)
        return self._kept(failure, _told(record, given.answer, weighed), weighed)

    def _kept(self, failure: Failure, record: DiagnosisRecord, weighed: Weighed | None = None) -> Examined:
        self._account.answers.record_diagnosis(record)
        if weighed is None:
            return Examined(before=failure, after=None, alternative=None, conflict=None, record=record)
        return Examined(
            before=failure,
            after=weighed.failure,
            alternative=weighed.alternative,
            conflict=weighed.conflict,
            record=record,
        )

    def _collect(self, failure: Failure, diagnosis: Diagnosis) -> None:
        if diagnosis.label == UNKNOWN:
            text = f"seen: {failure.symptom}\ncause: {diagnosis.cause}\nquoted: {diagnosis.evidence}"
            self._unplaced.append(Unplaced(failure_id=failure.id, text=text))

    def _paid(self, purpose: Purpose, subject: str) -> PaidModel:
        return PaidModel(self._model, self._account, purpose=purpose, subject=subject)


def _told(record: DiagnosisRecord, diagnosis: Diagnosis, weighed: Weighed) -> DiagnosisRecord:
    conflict = weighed.conflict
    return replace(
        record,
        outcome="agrees" if weighed.agrees else "conflict",
        label=diagnosis.label,
        span=diagnosis.span,
        evidence=diagnosis.evidence,
        cause=diagnosis.cause,
        expected=diagnosis.expected,
        intervention=diagnosis.intervention,
        rung=diagnosis.rung,
        superseded_by=None if weighed.failure is None else weighed.failure.id,
        winner=None if conflict is None else conflict.winner,
        rule="" if conflict is None else conflict.rule,
    )
