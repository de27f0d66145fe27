"""Failed checks of a benchmark, traced back to the step that made them fail.

Which class a check points to is the taxonomy's; its detail may name tools (`unexpected write: X`, `missing write: X`,
`wrong argument: X.field`), and where it names none the conversation shows the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from optimizer.domain.json import canonical_json
from optimizer.domain.task import Check
from optimizer.mining.detectors.talk import NUMBER
from optimizer.mining.detectors.view import HANDOVER, Attempt, Finding, Turn, View, quote
from optimizer.mining.detectors.wording import GIVES_UP, PROPOSES, REFUSES, is_question, is_refusal, own_words

VERIFIES = re.compile(r"verif|authenticat|identif", re.IGNORECASE)
"""Tools that establish who somebody is."""
FAILED_RESULT = re.compile(r":\s*false\b|\"(?:no|failed|denied|mismatch)\"|not (?:match|verified)", re.IGNORECASE)
WRITE = re.compile(r"(?P<how>unexpected write|missing write|wrong argument): (?P<tool>\w+)(?:\.(?P<field>\w+))?")
AMOUNT = re.compile(r"amount|price|sum|total|quantity|credit", re.IGNORECASE)

STATE, IDENTITY, CONFIRMATION = "planning.missing_step", "policy.identity_not_verified", "policy.no_confirmation"
MISSED, OVER = "policy.missed_escalation", "policy.over_escalation"
FORBIDDEN, YIELDED, REFUSED = "policy.forbidden_action", "policy.yielded_to_pressure", "policy.over_refusal"
UNSAID, UNFOUNDED = "communication.missing_information", "communication.unverified_claim"
PLACED = {STATE, IDENTITY, CONFIRMATION, MISSED, OVER, UNSAID, UNFOUNDED}
"""Classes whose checks have a detector of their own."""


def wrong_write(view: View) -> Iterator[Finding]:
    """Something was written that should not have been, or with wrong arguments."""
    for check in view.checks_of(STATE):
        for match in WRITE.finditer(check.detail):
            attempt = _done(view, match["tool"])
            if attempt is None or match["how"] == "missing write":
                continue
            if match["how"] == "unexpected write" and HANDOVER.search(attempt.name):
                continue  # over_escalation speaks of it
            label = _label_of_write(view, attempt, match["field"])
            span = attempt.span if label == "memory.forgotten_constraint" else _offered(view, attempt)
            what = f"{match['how']}: {match['field']}" if match["field"] else match["how"]
            yield _at(view, span, label, check, tool=attempt.name, what=what)


def missing_write(view: View) -> Iterator[Finding]:
    """What should have been done was not: refused, or left out."""
    for check in view.checks_of(STATE):
        if re.search(r"missing|left open|refused that can", check.detail) and not view.checks_of(MISSED):
            is_open = not re.search(r"missing|refused that can", check.detail)
            refusal = None if is_open else _refusal(view)
            place = _end(view) if is_open else _closing(view)
            label, span = (REFUSED, refusal.span) if refusal else (STATE, place)
            match = WRITE.search(check.detail)
            what = "refused what can be done" if refusal else "left out"
            yield _at(view, span, label, check, tool=match["tool"] if match else "", what=what)


def unverified_identity(view: View) -> Iterator[Finding]:
    """An account was opened before its owner was known; after a failed proof it is giving in."""
    for check in view.checks_of(IDENTITY):
        named = {name for name in _names(check) if not VERIFIES.search(name)}
        attempt = next((one for one in view.attempts if one.name in named), None)
        if attempt is None:
            yield _at(view, None, IDENTITY, check, what="opened before identity was proved")
            continue
        proofs = [one for one in view.attempts if one.span < attempt.span and VERIFIES.search(one.name)]
        has_failed = any(not one.is_error and FAILED_RESULT.search(one.result) for one in proofs)
        label = YIELDED if has_failed else IDENTITY
        span = attempt.span if has_failed else _asked_for(view, attempt)
        yield _at(view, span, label, check, tool=attempt.name, what="opened before identity was proved")


def unconfirmed_change(view: View) -> Iterator[Finding]:
    """A change without a yes."""
    for check in view.checks_of(CONFIRMATION):
        attempt = next((one for one in view.attempts if one.name in _names(check) and not one.is_error), None)
        span = None if attempt is None else attempt.span
        yield _at(
            view, span, CONFIRMATION, check, tool=attempt.name if attempt else "", what="no yes before the change"
        )


def missed_escalation(view: View) -> Iterator[Finding]:
    """Not handed over: handled alone, refused, or left out."""
    for check in view.checks_of(MISSED):
        changes = [one for one in view.attempts if one.is_change]
        if changes:
            yield _at(view, _offered(view, changes[0]), MISSED, check, tool=changes[0].name, what="handled alone")
            continue
        refusal = _refusal(view, last=True)
        label, span = (REFUSED, refusal.span) if refusal else (MISSED, _closing(view))
        yield _at(view, span, label, check, what="refused what can be done" if refusal else "left out")


def over_escalation(view: View) -> Iterator[Finding]:
    """Handed over without need."""
    for check in view.checks_of(OVER):
        attempt = next((one for one in view.attempts if HANDOVER.search(one.name) and not one.is_error), None)
        yield _at(view, attempt.span if attempt else None, OVER, check, what="handed over without need")


def unsaid(view: View) -> Iterator[Finding]:
    """Something that had to be said was not, in the turn that reported or refused."""
    for check in view.checks_of(UNSAID):
        yield _at(view, _closing(view), UNSAID, check, what="not said")


def ungrounded(view: View) -> Iterator[Finding]:
    """A fact was stated without having been looked up; or refused, or left out."""
    for check in view.checks_of(UNFOUNDED):
        refusal = _refusal(view)
        if refusal:
            yield _at(view, refusal.span, REFUSED, check, what="refused what can be done")
        elif any("left open" in one.detail for one in view.checks_of(STATE)):
            yield _at(view, _closing(view), STATE, check, what="left out")
        else:
            stated = (turn.span for turn in view.turns if NUMBER.search(turn.words) and not is_question(turn.words))
            yield _at(view, next(stated, _closing(view)), UNFOUNDED, check, what="stated without looking it up")


def broken_rule(view: View) -> Iterator[Finding]:
    """Every other failed check, at the first call it names."""
    for check in view.failed:
        label = view.taxonomy.label_of_check(check.name)
        if label in PLACED:
            continue
        attempt = next((one for one in view.attempts if one.name in _names(check)), None)
        span = _offered(view, attempt) if attempt else None
        yield _at(view, span, label, check, tool=attempt.name if attempt else "", what=check.detail)


def _label_of_write(view: View, attempt: Attempt, field: str | None) -> str:
    if view.checks_of(MISSED):
        return MISSED
    if field is not None and not AMOUNT.search(field):
        return "memory.forgotten_constraint"
    return YIELDED if _was_pushed(view, attempt, field) else FORBIDDEN


def _was_pushed(view: View, attempt: Attempt, field: str | None) -> bool:
    """Whether the agent had refused it, or had offered another figure than the one the user then named."""
    before = view.turns_before(_offered(view, attempt))
    if field is None:
        return any(REFUSES.search(turn.words) for turn in before)
    value = (attempt.arguments or {}).get(field)
    figure = f"{value:g}" if isinstance(value, int | float) else str(value)
    return any(figure in turn.reply for turn in before)


def _done(view: View, tool: str) -> Attempt | None:
    """The last successful call of a tool: what stands in the end."""
    return next((one for one in reversed(view.attempts) if one.name == tool and not one.is_error), None)


def _offered(view: View, attempt: Attempt) -> int:
    """The turn that proposed a call, where the turn right before it did; else the call."""
    before = view.turns_before(attempt.span)
    if not before or not PROPOSES.search(before[-1].words):
        return attempt.span
    others = [one for one in view.attempts if before[-1].span < one.span < attempt.span and not one.is_error]
    return attempt.span if others else before[-1].span


def _asked_for(view: View, attempt: Attempt) -> int:
    """The question right before a call that only asked for what the call needs; else the call."""
    before = view.turns_before(attempt.span)
    if not before or any(before[-1].span < one.span < attempt.span for one in view.attempts):
        return attempt.span
    given = [str(value) for value in (attempt.arguments or {}).values()]
    is_needed = any(value and value in before[-1].reply for value in given)
    return before[-1].span if is_needed else attempt.span


def _refusal(view: View, *, last: bool = False) -> Turn | None:
    """The refusal that ended a wish: the first (or the beginning of the last run) with no change made after it."""
    changes = [one.span for one in view.attempts if one.is_change]
    since = max(changes, default=-1)
    refusals = [
        turn
        for turn in view.turns_after(since)
        if is_refusal(own_words(turn.words)) and not GIVES_UP.search(turn.words)
    ]
    if not refusals:
        return None
    return refusals[-1] if last else refusals[0]


def _closing(view: View) -> int | None:
    """Where it ended: the first words after the last change; else the refusal; else what came after the calls."""
    changes = [one.span for one in view.attempts if one.is_change]
    reports = view.turns_after(max(changes)) if changes else ()
    if reports:
        return reports[0].span
    refusal = next((turn for turn in view.turns if is_refusal(own_words(turn.words))), None)
    if refusal:
        return refusal.span
    last_call = max((one.span for one in view.attempts), default=-1)
    after = view.turns_after(last_call) if view.attempts else view.turns[-1:]
    return after[0].span if after else _end(view)


def _end(view: View) -> int | None:
    """The last thing the agent did."""
    return max((*(one.span for one in view.attempts), *(one.span for one in view.turns)), default=None)


def _names(check: Check) -> frozenset[str]:
    """Words of a detail that could name a tool."""
    return frozenset(re.findall(r"[A-Za-z_][\w.-]{3,}", check.detail))


def _at(view: View, span: int | None, label: str, check: Check, *, tool: str = "", what: str = "") -> Finding:
    return Finding(
        label=label,
        span=span,
        symptom=f"{check.name}: {check.detail}",
        evidence=_words_at(view, span),
        check=check.name,
        tool=tool,
        what=what,
    )


def _words_at(view: View, span: int | None) -> str:
    """Words of the span, verbatim."""
    if span is None:
        return ""
    one = view.spans[span]
    return quote(one.input if isinstance(one.input, str) else canonical_json(one.input))
