"""What phase A asks people, as items for the review queue. The words of an item decide whether it is a new one."""

from __future__ import annotations

from dataclasses import asdict

from optimizer.domain.failure import Failure
from optimizer.domain.json import Json
from optimizer.domain.review import ReviewItem
from optimizer.mining.cluster_entry import MergeProposal
from optimizer.mining.clusters import ClusterBook
from optimizer.mining.induction import Induction
from optimizer.mining.superseding import LabelConflict


def merge_question(proposal: MergeProposal, book: ClusterBook) -> ReviewItem:
    """Whether two clusters are one. Their names may change and are no part of the question."""
    child, into = book.get(proposal.child), book.get(proposal.into)
    return ReviewItem(
        kind="cluster_merge",
        subject=f"k{child.id}",
        question=f"Is cluster {child.id} the same as cluster {into.id} ({into.label})?",
        options=("yes", "no"),
        default="yes",
        cautious="no",
        payload={
            "similarity": proposal.similarity,
            "child": _cluster(child.name, child.n_failures, book.medoids(child.id)),
            "into": _cluster(into.name, into.n_failures, book.medoids(into.id)),
        },
    )


def label_question(conflict: LabelConflict) -> ReviewItem:
    """Which class a failure has, where a model and the detectors differ."""
    return ReviewItem(
        kind="label",
        subject=conflict.failure_id,
        question=f"Is this failure {conflict.detected} (detectors) or {conflict.diagnosed} ({conflict.by})?",
        options=(conflict.detected, conflict.diagnosed),
        default=conflict.diagnosed if conflict.by_rule == "model" else conflict.detected,
        cautious=conflict.detected,
        payload={name: value for name, value in asdict(conflict).items() if name not in {"failure_id", "winner"}},
    )


def taxonomy_question(induction: Induction) -> ReviewItem:
    """Whether proposed classes are to be taken over. The loop never does: a person edits the file and starts anew."""
    names = ", ".join(one.id for one in induction.classes)
    return ReviewItem(
        kind="taxonomy",
        subject=induction.id,
        question=f"Should the next taxonomy have the classes {names}?",
        options=("yes", "no"),
        default="no",
        cautious="no",
        payload={"state": induction.state, "reason": induction.reason, "taxonomy": induction.taxonomy_text},
    )


def _cluster(name: str, n_failures: int, medoids: tuple[Failure, ...]) -> Json:
    shown: list[Json] = [{"symptom": one.symptom, "evidence": one.evidence} for one in medoids]
    return {"name": name, "failures": n_failures, "such as": shown}
