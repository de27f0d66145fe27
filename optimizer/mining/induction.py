"""New classes for failures that no known class fits: proposed, annotated independently, used only after agreement.

The protocol is that of AdaMAST (arXiv 2607.16387): classes are induced from quoted evidence, several annotators label
the same failures without seeing each other's answers, and the result counts when their agreement is at least 0.75
(Fleiss' kappa) and at least 0.70 of the failures find a class. Below that the classes stay proposed. Even then nothing
is applied: the outcome is the text of a taxonomy file that a person may take over.

One model that annotates k times in different orders is less independent than k models: its own errors repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from optimizer.domain.agreement import fleiss_kappa, majority
from optimizer.domain.json import content_hash
from optimizer.domain.model import LanguageModel
from optimizer.domain.trace import Usage
from optimizer.mining.diagnosis_prompt import KnownClass, known_classes
from optimizer.mining.induction_questions import (
    NO_CLASS,
    ProposedClass,
    Unplaced,
    annotation_question,
    induction_question,
    read_annotations,
    read_classes,
)
from optimizer.mining.taxonomy import parse_taxonomy
from optimizer.mining.taxonomy_text import extended
from optimizer.models.asking import Refused, put

MAX_POOL = 40
"""Failures that are shown at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InductionRules:
    """When proposed classes are agreed upon."""

    n_annotators: int = 4
    min_kappa: float = 0.75
    min_coverage: float = 0.70
    max_output_tokens: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Induction:
    """What came of an attempt to extend the taxonomy: an item for review, never applied by itself."""

    id: str
    """Content hash of the failures and the classes."""
    state: Literal["agreed", "proposed", "empty"]
    """`agreed`: a taxonomy text is offered; `proposed`: annotators do not agree enough; `empty`: nothing usable."""
    classes: tuple[ProposedClass, ...]
    n_failures: int
    n_annotators: int
    """Annotators whose answers could be used."""
    kappa: float | None
    """Fleiss' kappa; None where it is not defined."""
    coverage: float
    """Share of the failures for which a majority of the annotators names one and the same class."""
    taxonomy_text: str | None
    """The next version of the file; None unless agreed."""
    reason: str
    """The numbers in words."""
    refused: tuple[Refused, ...]
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The taxonomy that is to be extended."""

    text: str
    """The file."""
    classes: tuple[KnownClass, ...]
    groups: tuple[str, ...]


def base_of(text: str) -> Base:
    """What there is to extend, from the text of a taxonomy file. Raises ConfigError."""
    taxonomy = parse_taxonomy(text, "the taxonomy")
    return Base(text=text, classes=known_classes(taxonomy), groups=tuple(taxonomy.groups))


async def induce(
    proposer: LanguageModel,
    annotators: Sequence[LanguageModel],
    pool: Sequence[Unplaced],
    base: Base,
    rules: InductionRules,
) -> Induction:
    """Propose classes for failures that have none, and measure whether annotators agree on them.

    `annotators` are taken in turn until there are `rules.n_annotators`. Raises ModelUnavailableError.
    """
    shown = tuple(pool[:MAX_POOL])
    asked = await put(
        proposer,
        induction_question(shown, base.classes, base.groups),
        partial(read_classes, pool=shown, known=base.classes, groups=base.groups),
        max_output_tokens=rules.max_output_tokens,
    )
    outcome = _outcome(shown, asked.answer or (), asked.refused, asked.usage)
    if not asked.answer:
        return outcome
    return await _annotated(outcome, annotators, shown, base, rules)


async def _annotated(
    outcome: Induction,
    annotators: Sequence[LanguageModel],
    pool: tuple[Unplaced, ...],
    base: Base,
    rules: InductionRules,
) -> Induction:
    labels: list[tuple[str, ...]] = []
    for number in range(rules.n_annotators):
        question = annotation_question(pool, base.classes, outcome.classes, annotator=number)
        given = await put(
            annotators[number % len(annotators)],
            question,
            partial(read_annotations, pool=pool, known=base.classes, proposed=outcome.classes),
            max_output_tokens=rules.max_output_tokens,
        )
        outcome = replace(outcome, refused=outcome.refused + given.refused, usage=outcome.usage + given.usage)
        if given.answer is not None:
            labels.append(given.answer)
    return _judged(outcome, labels, base, rules)


def _judged(outcome: Induction, labels: Sequence[tuple[str, ...]], base: Base, rules: InductionRules) -> Induction:
    """Compare the annotators; labels[annotator][failure]."""
    ratings = tuple(zip(*labels, strict=True))
    kappa = fleiss_kappa(ratings)
    placed = [label for label in map(majority, ratings) if label not in {None, NO_CLASS}]
    coverage = len(placed) / outcome.n_failures
    used = tuple(one for one in outcome.classes if one.id in placed)
    is_agreed = (
        len(labels) == rules.n_annotators
        and kappa is not None
        and kappa >= rules.min_kappa
        and coverage >= rules.min_coverage
        and bool(used)
    )
    shown = "undefined" if kappa is None else f"{kappa:.2f}"
    return replace(
        outcome,
        state="agreed" if is_agreed else "proposed",
        n_annotators=len(labels),
        kappa=kappa,
        coverage=coverage,
        taxonomy_text=extended(base.text, used) if is_agreed else None,
        reason=f"kappa {shown} (needed: {rules.min_kappa:.2f}), coverage {coverage:.2f} (needed:"
        f" {rules.min_coverage:.2f}), {len(labels)} of {rules.n_annotators} annotators,"
        f" {len(used)} of {len(outcome.classes)} classes found use",
    )


def _outcome(
    pool: tuple[Unplaced, ...], classes: tuple[ProposedClass, ...], refused: tuple[Refused, ...], usage: Usage
) -> Induction:
    return Induction(
        id=content_hash([one.failure_id for one in pool], [one.id for one in classes]),
        state="proposed" if classes else "empty",
        classes=classes,
        n_failures=len(pool),
        n_annotators=0,
        kappa=None,
        coverage=0.0,
        taxonomy_text=None,
        reason="no usable class was proposed",
        refused=refused,
        usage=usage,
    )
