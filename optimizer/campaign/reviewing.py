"""The desk where the loop leaves questions for a person, and goes on.

Where nobody is waited for, the default applies at once and is recorded as such. Else the question waits and the loop
goes by the cautious choice; an answer takes effect at the step at which the loop reads it. Nothing is overwritten: an
answer that supersedes another is one more row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizer.campaign.journal import Journal
from optimizer.domain.review import AUTOMATIC, ReviewAnswer, ReviewItem, ReviewKind
from optimizer.ledger.control import ReviewPayload


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A person's answer that the loop has not acted on yet."""

    item: ReviewItem
    answer: str
    before: str
    """What the loop went by until now."""
    by: str

    @property
    def is_change(self) -> bool:
        """Whether it differs from what the loop went by."""
        return self.answer != self.before


class ReviewDesk:
    """All questions of a campaign and the answers in force."""

    def __init__(
        self, journal: Journal, *, mode: Literal["auto", "human"], always_ask: frozenset[ReviewKind] = frozenset()
    ) -> None:
        self._journal = journal
        self._mode = mode
        self._always_ask = always_ask
        self._items: dict[str, ReviewItem] = {}
        self._answers: dict[str, list[ReviewAnswer]] = {}
        self._rulings: list[Ruling] = []

    def ask(self, item: ReviewItem) -> str:
        """The answer to go by now; a question that is new is recorded. Asking again costs and records nothing."""
        if item.id not in self._items:
            self._items[item.id] = item
            self._answers[item.id] = []
            is_waiting = self._is_waiting(item.kind)
            self._journal.asked(item, is_waiting=is_waiting)
            if not is_waiting:
                self._record(ReviewAnswer(item_id=item.id, answer=item.default, by=AUTOMATIC))
        return self._in_force(item)

    def take(self, payload: ReviewPayload, who: str) -> str:
        """A person's answer; what became of it, as a sentence."""
        item = self._items.get(payload.item)
        if item is None:
            return f"answer of {who} is set aside: no question {payload.item} has come up in this campaign"
        if payload.answer not in item.options:
            return f"answer of {who} is set aside: {payload.answer!r} is none of {', '.join(item.options)} ({item.id})"
        before = self._in_force(item)
        self._record(ReviewAnswer(item_id=item.id, answer=payload.answer, by=f"person/{who}", note=payload.note))
        self._rulings.append(Ruling(item=item, answer=payload.answer, before=before, by=who))
        return f"{who} answers {payload.answer}: {item.question}"

    def rulings(self) -> tuple[Ruling, ...]:
        """Answers of people since the last call, in their order; for questions that the loop does not ask again."""
        rulings, self._rulings = tuple(self._rulings), []
        return rulings

    def _is_waiting(self, kind: ReviewKind) -> bool:
        return self._mode == "human" or kind in self._always_ask

    def _in_force(self, item: ReviewItem) -> str:
        answers = self._answers[item.id]
        return answers[-1].answer if answers else item.cautious

    def _record(self, answer: ReviewAnswer) -> None:
        answers = self._answers[answer.item_id]
        answers.append(answer)
        self._journal.answered(answer, len(answers) - 1)
