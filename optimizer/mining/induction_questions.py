"""The two questions of taxonomy induction: which classes are missing, and which class each failure belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from optimizer.domain.candidate import Rung
from optimizer.domain.json import content_hash
from optimizer.domain.model import ModelReply, ModelTool
from optimizer.mining.diagnosis_prompt import KnownClass
from optimizer.models.asking import ANSWER_SHAPE, DATA_RULE, Question, UnusableAnswerError, answer_of, quoted
from optimizer.models.transcript import MIN_QUOTE_CHARACTERS

NO_CLASS = "none"
MAX_PROPOSED = 8
Line = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\n\"\\\x00-\x1f\x7f]+$")]
ClassId = Annotated[str, StringConstraints(max_length=80, pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A failure without a class that fits, as annotators read it."""

    failure_id: str
    text: str
    """Symptom, cause and quotation, redacted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Words of a failure that a class rests on."""

    failure_id: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedClass:
    """A class that may join the taxonomy."""

    id: str
    title: str
    severity: float
    rung: Rung
    expected: str
    evidence: tuple[Citation, ...]
    """At least one, verbatim."""


class _Cited(BaseModel):
    model_config = ANSWER_SHAPE

    failure: Annotated[int, Field(ge=1)]
    quote: Annotated[str, Field(min_length=MIN_QUOTE_CHARACTERS, max_length=600)]


class _Class(BaseModel):
    model_config = ANSWER_SHAPE

    id: ClassId
    title: Line
    severity: Annotated[float, Field(ge=0, le=1)]
    rung: Rung
    expected: Line
    evidence: Annotated[tuple[_Cited, ...], Field(min_length=1, max_length=10)]


class _Classes(BaseModel):
    model_config = ANSWER_SHAPE

    classes: Annotated[tuple[_Class, ...], Field(max_length=MAX_PROPOSED)]


class _Label(BaseModel):
    model_config = ANSWER_SHAPE

    failure: Annotated[int, Field(ge=1)]
    label: str


class _Labels(BaseModel):
    model_config = ANSWER_SHAPE

    labels: tuple[_Label, ...]


SUBMIT_CLASSES = ModelTool(
    name="submit_classes",
    description="Hand in the classes that are missing; none if none is.",
    parameters=_Classes.model_json_schema(),
)
SUBMIT_LABELS = ModelTool(
    name="submit_labels", description="Hand in one label for each failure.", parameters=_Labels.model_json_schema()
)
INDUCE = f"""\
You extend a taxonomy of failures of language model agents. You are shown the classes there are and failures that none
of them fits. Propose the few classes that are missing: root causes that recur and can be mended, not topics of the
conversation. Each needs words of at least one failure, quoted exactly, from that failure's text. The id is
`<group>.<name>` with one of the groups that are listed.

{DATA_RULE}"""
ANNOTATE = f"""\
You label failures of a language model agent with classes. For each failure choose the one class that names its root
cause, or "{NO_CLASS}" when no class does. Judge each failure by itself.

{DATA_RULE}"""


def induction_question(pool: Sequence[Unplaced], known: Sequence[KnownClass], groups: Sequence[str]) -> Question:
    """Ask for the classes that are missing."""
    mark = _mark(pool)
    listed = "\n".join(f"- {one.id}: {one.title}" for one in known)
    user = "\n\n".join(
        [
            f"# Groups\n\n{', '.join(groups)}",
            f"# Classes there are\n\n{quoted(mark, 'classes', listed, limit=16_000)}",
            "# Failures without one",
            *_numbered(pool, range(len(pool)), mark),
            "Hand in the missing classes with submit_classes.",
        ]
    )
    return Question(system=INDUCE, user=user, tool=SUBMIT_CLASSES)


def annotation_question(
    pool: Sequence[Unplaced], known: Sequence[KnownClass], proposed: Sequence[ProposedClass], *, annotator: int
) -> Question:
    """Ask one annotator, who sees classes and failures in an order of its own."""
    mark = _mark(pool)
    rng = Random(content_hash(mark, annotator))
    classes = [(one.id, one.title) for one in known] + [(one.id, one.title) for one in proposed]
    order = list(range(len(pool)))
    rng.shuffle(classes)
    rng.shuffle(order)
    listed = "\n".join(f"- {label}: {title}" for label, title in classes)
    user = "\n\n".join(
        [
            f"# Classes (annotator {annotator + 1})\n\n{quoted(mark, 'classes', listed, limit=20_000)}",
            "# Failures",
            *_numbered(pool, order, mark),
            "Label every failure, by its number, with submit_labels.",
        ]
    )
    return Question(system=ANNOTATE, user=user, tool=SUBMIT_LABELS)


def read_classes(
    reply: ModelReply, *, pool: Sequence[Unplaced], known: Sequence[KnownClass], groups: Sequence[str]
) -> tuple[ProposedClass, ...]:
    """Take the proposed classes from a reply, each with its quotations checked.

    Raises:
        UnusableAnswerError: another shape, an id that is taken or of no group, or a quotation that is not there.
    """
    taken = {one.id for one in known}
    proposed = []
    for one in answer_of(reply, SUBMIT_CLASSES, _Classes).classes:
        if one.id in taken:
            raise UnusableAnswerError("label", f"there is a class {one.id} already")
        if one.id.partition(".")[0] not in groups:
            raise UnusableAnswerError("label", f"{one.id} is of no group; the groups are {', '.join(groups)}")
        taken.add(one.id)
        proposed.append(_proposed(one, pool))
    return tuple(proposed)


def read_annotations(
    reply: ModelReply, *, pool: Sequence[Unplaced], known: Sequence[KnownClass], proposed: Sequence[ProposedClass]
) -> tuple[str, ...]:
    """Take one label per failure from a reply, in the order of the pool.

    Raises:
        UnusableAnswerError: another shape, a failure without a label or with two, or a label that is no class.
    """
    given = answer_of(reply, SUBMIT_LABELS, _Labels).labels
    if sorted(one.failure for one in given) != list(range(1, len(pool) + 1)):
        raise UnusableAnswerError("shape", f"each of the {len(pool)} failures needs exactly one label")
    allowed = {one.id for one in known} | {one.id for one in proposed} | {NO_CLASS}
    for one in given:
        if one.label not in allowed:
            raise UnusableAnswerError("label", f"there is no class {one.label!r}; use one of the list, or {NO_CLASS!r}")
    return tuple(one.label for one in sorted(given, key=lambda one: one.failure))


def _proposed(one: _Class, pool: Sequence[Unplaced]) -> ProposedClass:
    for cited in one.evidence:
        if cited.failure > len(pool):
            raise UnusableAnswerError("uncited", f"{one.id}: there is no failure {cited.failure}")
        if _flat(cited.quote) not in _flat(pool[cited.failure - 1].text):
            raise UnusableAnswerError("misquoted", f"{one.id}: failure {cited.failure} does not say {cited.quote!r}")
    return ProposedClass(
        id=one.id,
        title=one.title,
        severity=one.severity,
        rung=one.rung,
        expected=one.expected,
        evidence=tuple(
            Citation(failure_id=pool[cited.failure - 1].failure_id, quote=cited.quote) for cited in one.evidence
        ),
    )


def _numbered(pool: Sequence[Unplaced], order: Sequence[int], mark: str) -> list[str]:
    return [f"Failure {index + 1}:\n{quoted(mark, 'failure', pool[index].text, limit=1500)}" for index in order]


def _mark(pool: Sequence[Unplaced]) -> str:
    return content_hash("induction", *(one.failure_id for one in pool), length=8)


def _flat(text: str) -> str:
    return " ".join(text.split())
