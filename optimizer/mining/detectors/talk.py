"""Mistakes in the conversation: giving up, asking twice, claiming what nothing supports, losing the user."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from optimizer.mining.detectors.view import HANDOVER, Finding, Turn, View, quote
from optimizer.mining.detectors.wording import (
    ABANDONS,
    CORRECTS,
    GIVES_UP,
    PROMISES,
    REFUSES,
    REPORTS,
    SAYS_NO,
    SAYS_YES,
    is_question,
    own_words,
    words_of,
)

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
VERB_STEM = 5
FEW_CALLS = 2
"""Successful calls up to which giving up is early, whatever else is known."""


def early_give_up(view: View) -> Iterator[Finding]:
    """Apologised and stopped, and nothing was achieved after it."""
    for turn in view.turns:
        if GIVES_UP.search(own_words(turn.words)):
            done = [attempt.span for attempt in view.attempts if not attempt.is_error]
            goes_on, has_tried = (
                any(span > turn.span for span in done),
                sum(span < turn.span for span in done) > FEW_CALLS,
            )
            yield _about(
                turn,
                "planning.early_give_up",
                "gave up although there was more to try",
                what="gave up without a reason",
                is_decisive=not goes_on and (view.is_unfinished or not has_tried),
            )


def superfluous_questions(view: View) -> Iterator[Finding]:
    """Asked the same thing three times."""
    asked: Counter[str] = Counter()
    for turn in view.turns:
        if not is_question(turn.words):
            continue
        question = turn.words.partition(":")[2].strip() or turn.words
        asked[question] += 1
        if asked[question] == 3:
            yield _about(
                turn,
                "communication.superfluous_questions",
                "asked the same thing three times",
                what="same question again",
                is_decisive=view.is_unfinished,
            )


def contradiction(view: View) -> Iterator[Finding]:
    """Says that it cannot do a thing and then that it has done it, or the other way round, with no call in between."""
    for earlier, later in zip(view.turns, view.turns[1:], strict=False):
        if any(earlier.span < attempt.span < later.span and not attempt.is_error for attempt in view.attempts):
            continue
        shared = (_refused(earlier.words) & _reported(later.words)) | (_reported(earlier.words) & _refused(later.words))
        if shared:
            yield _about(
                later,
                "communication.contradiction",
                "says the opposite of what it said before, with nothing done in between",
                what=f"both refused and reported: {min(shared)}",
                is_decisive=not view.is_judged,
            )


def false_report(view: View) -> Iterator[Finding]:
    """Reports a change although no tool that changes anything has worked."""
    for turn in view.turns:
        report = REPORTS.search(turn.words)
        changed = any(attempt.span < turn.span and attempt.is_change for attempt in view.attempts)
        if report and view.attempts and not changed and not is_question(turn.words):
            verb = report["verb"] or report["passive"]
            yield _about(
                turn,
                "communication.unverified_claim",
                f"reports as {verb} what no tool did",
                what=f"reported without a call: {verb.casefold()}",
                is_decisive=view.is_unfinished,
            )
            return


def unfounded_figure(view: View) -> Iterator[Finding]:
    """States a figure that stands in nothing it was told: no prompt, no user, no tool. The first one only."""
    told = [(-1, view.prompt), (-1, view.opening), *((turn.span, turn.reply) for turn in view.turns)]
    told = sorted([*told, *((attempt.span, attempt.result) for attempt in view.attempts)], key=lambda one: one[0])
    known: set[float] = set()
    for turn in view.turns:
        while told and told[0][0] < turn.span:
            known |= numbers_in(told.pop(0)[1])
        if is_question(turn.words):
            continue
        figure = next(
            (text for text in NUMBER.findall(turn.words) if _counts(text) and not numbers_in(text) <= known), ""
        )
        if figure:
            yield _about(
                turn,
                "communication.unverified_claim",
                f"states {figure.rstrip(',')}, which it was never told",
                what="figure from nowhere",
                is_decisive=not view.is_judged or bool(view.checks_of("communication.unverified_claim")),
            )
            return


def broken_promise(view: View) -> Iterator[Finding]:
    """Says that it will look and then does not."""
    for turn in view.turns:
        acts = any(attempt.span > turn.span for attempt in view.attempts)
        if PROMISES.search(turn.words) and not acts and not is_question(turn.words):
            yield _about(
                turn,
                "planning.missing_step",
                "announced a step that never came",
                what="announced, not done",
                is_decisive=view.is_unfinished and not view.is_judged,
            )
            return


def acted_against_no(view: View) -> Iterator[Finding]:
    """Changed something right after the user had said no."""
    for turn in view.turns:
        if not SAYS_NO.search(turn.reply) or not is_question(turn.words):
            continue
        following = [one.span for one in view.turns_after(turn.span)]
        end = following[0] if following else len(view.spans)
        for attempt in view.attempts:
            if turn.span < attempt.span < end and attempt.is_change and not HANDOVER.search(attempt.name):
                yield Finding(
                    label="policy.forbidden_action",
                    span=attempt.span,
                    symptom=f"called {attempt.name} after the user had said no",
                    evidence=quote(attempt.raw) or quote(attempt.result),
                    tool=attempt.name,
                    what="the user had said no",
                    is_decisive=not view.is_judged,
                )


def user_correction(view: View) -> Iterator[Finding]:
    """The user says that the agent got it wrong."""
    for turn in view.turns:
        if CORRECTS.search(turn.reply):
            yield _heard(turn, "communication.user_correction", "the user corrected the agent", view)


def user_asks_again(view: View) -> Iterator[Finding]:
    """The user has to say nearly the same thing again; saying yes again is no such thing."""
    said = [view.opening, *(turn.reply for turn in view.turns)]
    for n, turn in enumerate(view.turns, start=1):
        now = words_of(turn.reply)
        is_same = any(len(now & words_of(one)) >= 0.8 * len(now | words_of(one)) for one in said[:n] if one)
        if len(now) >= 4 and is_same and not SAYS_YES.search(turn.reply):
            yield _heard(turn, "communication.user_asks_again", "the user had to ask again", view)
            return


def abandonment(view: View) -> Iterator[Finding]:
    """The user gave up on the agent."""
    for turn in view.turns[-1:]:
        if ABANDONS.search(turn.reply):
            yield _heard(turn, "communication.abandoned", "the user gave up", view)


def numbers_in(text: str) -> frozenset[float]:
    """Every number a text names; a date counts as its parts."""
    return frozenset(float(found.replace(",", "").rstrip(".")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text))


def _counts(figure: str) -> bool:
    """Single digits are words more often than facts."""
    return len(figure.strip("0.,")) > 1 or "." in figure


def _refused(text: str) -> frozenset[str]:
    """Stems of the verbs behind a refusal."""
    found = (text[match.end() :] for match in REFUSES.finditer(text))
    return frozenset(word[:VERB_STEM].casefold() for rest in found for word in re.findall(r"[A-Za-z]{5,}", rest)[:1])


def _reported(text: str) -> frozenset[str]:
    return frozenset((m["verb"] or m["passive"])[:VERB_STEM].casefold() for m in REPORTS.finditer(text))


def _about(turn: Turn, label: str, symptom: str, *, what: str, is_decisive: bool) -> Finding:
    return Finding(
        label=label, span=turn.span, symptom=symptom, evidence=quote(turn.words), what=what, is_decisive=is_decisive
    )


def _heard(turn: Turn, label: str, symptom: str, view: View) -> Finding:
    """What only the user's reaction shows; where checks speak, they know better."""
    return Finding(
        label=label,
        span=turn.span,
        symptom=symptom,
        evidence=quote(turn.reply),
        what=symptom,
        is_decisive=not view.is_judged,
    )
