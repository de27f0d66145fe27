"""Questions that a person may decide, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from optimizer.domain.json import Json, content_hash

ReviewKind = Literal["cluster_merge", "label", "case", "taxonomy", "judge_conflict"]
AUTOMATIC = "auto"
"""Who answers where nobody is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewItem:
    """One question about one subject. Asked again it is the same item, so nobody is asked twice."""

    kind: ReviewKind
    subject: str
    """Id of what it is about: `k12`, a failure's or a case's id, a taxonomy label."""
    question: str
    """One line."""
    options: tuple[str, ...]
    """Answers there are, at least two."""
    default: str
    """Option that applies at once where nobody is waited for."""
    cautious: str
    """Option that the loop goes on with while a person has not answered."""
    payload: Mapping[str, Json] = field(default_factory=dict)
    """What a person wants to see before answering."""

    def __post_init__(self) -> None:
        """Default and cautious choice are options."""
        if len(set(self.options)) < 2 or not {self.default, self.cautious} <= set(self.options):
            message = f"options {self.options} need two members, {self.default!r} and {self.cautious!r} among them"
            raise ValueError(message)

    @property
    def id(self) -> str:
        """12 hex digits of kind, subject and question."""
        return content_hash(self.kind, self.subject, self.question, length=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewAnswer:
    """An answer to an item; a later one supersedes it and neither is ever removed."""

    item_id: str
    answer: str
    by: str
    """`auto`, or `person/<name>`."""
    note: str = ""

    @property
    def is_automatic(self) -> bool:
        """Whether the default was applied and nobody was waited for."""
        return self.by == AUTOMATIC
