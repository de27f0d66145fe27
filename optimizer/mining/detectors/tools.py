"""Mistakes with tools: names that do not exist, arguments that do not fit, errors that nobody answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match
from referencing.exceptions import Unresolvable

from optimizer.domain.json import JsonObject, canonical_json
from optimizer.mining.detectors.view import Attempt, Finding, View, quote
from optimizer.mining.detectors.wording import GIVES_UP, is_refusal

UNKNOWN_TOOL = re.compile(
    r"unknown (?:tool|function)|no (?:such )?(?:tool|function)\b|not a (?:known |valid )?(?:tool|function)|"
    r"(?:tool|function) [\w'\"`.-]+ (?:does not exist|not found|is not (?:available|defined))|does not exist as a tool",
    re.IGNORECASE,
)
BAD_ARGUMENTS = re.compile(
    r"invalid (?:argument|parameter|input)|missing \d* ?(?:required )?(?:argument|field|property|positional|parameter)|"
    r"is a required property|unexpected keyword argument|validation error|schema|not (?:a )?valid json|"
    r"not a json object",
    re.IGNORECASE,
)
TRANSIENT = re.compile(
    r"\b(?:busy|temporar\w+|try again|timed? ?out|unavailable|overloaded|rate limit|429|50[234])\b", re.IGNORECASE
)
DENIED = re.compile(
    r"\b(?:permission denied|forbidden|not (?:authori[sz]ed|permitted|allowed)|unauthori[sz]ed|access denied|"
    r"40[13])\b",
    re.IGNORECASE,
)
REPEATS = 3
"""Identical failing calls that make a loop."""
STORM = 5
"""Failing calls of one tool in a row, whatever their arguments, that make a storm."""


def hallucinated_tool(view: View) -> Iterator[Finding]:
    """A call of a tool that is not offered; one finding for identical calls."""
    seen: set[str] = set()
    for attempt in view.attempts:
        if is_unknown(attempt, view) and attempt.spelling not in seen:
            seen.add(attempt.spelling)
            meant = intended(attempt, view)
            yield Finding(
                label="tool_selection.hallucinated_tool",
                span=attempt.span,
                symptom=f"called {attempt.name}, which does not exist",
                evidence=_evidence(attempt),
                tool=meant or "",
                what="unknown tool",
                is_decisive=not view.succeeds_later(attempt, meant or attempt.name),
            )


def invalid_arguments(view: View) -> Iterator[Finding]:
    """A call whose arguments do not fit the schema the model was shown, or that the tool refused for them."""
    seen: set[str] = set()
    for attempt in view.attempts:
        problem = None if is_unknown(attempt, view) else misfit(attempt, view)
        if problem and attempt.spelling not in seen:
            seen.add(attempt.spelling)
            yield Finding(
                label="tool_execution.invalid_arguments",
                span=attempt.span,
                symptom=f"called {attempt.name} with arguments it does not take: {problem.detail}",
                evidence=_evidence(attempt),
                tool=attempt.name,
                what=problem.kind,
                is_decisive=(attempt.is_error or attempt.arguments is None) and not view.succeeds_later(attempt),
            )


def repeated_call(view: View) -> Iterator[Finding]:
    """The same failing call three times or more. Where the call itself was impossible, that is the root cause."""
    failing = [attempt for attempt in view.attempts if attempt.is_error]
    counts = Counter(attempt.spelling for attempt in failing)
    for attempt in {attempt.spelling: attempt for attempt in reversed(failing)}.values():
        n = counts[attempt.spelling]
        if n >= REPEATS:
            yield Finding(
                label="looping.repeated_call",
                span=attempt.span,
                symptom=f"sent the same failing call of {attempt.name} {n} times",
                evidence=_evidence(attempt),
                tool=attempt.name,
                what=_error(attempt),
                is_decisive=not (view.succeeds_later(attempt) or is_unknown(attempt, view) or misfit(attempt, view)),
            )


def idle_repetition(view: View) -> Iterator[Finding]:
    """The same successful call with the same answer three times or more in a row: nothing is learnt from it."""
    for _, group in groupby(view.attempts, key=lambda attempt: (attempt.spelling, attempt.result)):
        same = list(group)
        if len(same) >= REPEATS and not same[0].is_error:
            yield Finding(
                label="looping.repeated_call",
                span=same[1].span,
                symptom=f"made the same call of {same[0].name} {len(same)} times and got the same answer",
                evidence=quote(same[1].result),
                tool=same[0].name,
                what="same call, same answer",
                is_decisive=view.is_unfinished,
            )


def retry_storm(view: View) -> Iterator[Finding]:
    """Five failing calls of one tool in a row, with changing arguments."""
    for (name, is_error), group in groupby(view.attempts, key=lambda attempt: (attempt.name, attempt.is_error)):
        run = list(group)
        if is_error and len(run) >= STORM and len({attempt.spelling for attempt in run}) > 1:
            yield Finding(
                label="looping.retry_storm",
                span=run[0].span,
                symptom=f"{name} failed {len(run)} times in a row",
                evidence=_evidence(run[0]),
                tool=name,
                what=_error(run[0]),
                is_decisive=not view.succeeds_later(run[-1]),
            )


def ignored_error(view: View) -> Iterator[Finding]:
    """A tool's refusal that nothing was done about, followed by words that do not speak of it."""
    for attempt in view.attempts:
        if not attempt.is_error or is_unknown(attempt, view) or misfit(attempt, view):
            continue
        later = view.turns_after(attempt.span)
        is_told = bool(later) and (is_refusal(later[0].words) or bool(GIVES_UP.search(later[0].words)))
        if later and not is_told:
            yield Finding(
                label="tool_execution.ignored_error",
                span=attempt.span,
                symptom=f"carried on after {attempt.name} failed",
                evidence=_evidence(attempt),
                tool=attempt.name,
                what=_error(attempt),
                is_decisive=not view.succeeds_later(attempt) and (view.is_unfinished or is_transient(attempt)),
            )


def denied_action(view: View) -> Iterator[Finding]:
    """A tool refused for want of permission: the agent tried what it may not do."""
    for attempt in view.attempts:
        if attempt.is_error and DENIED.search(attempt.result):
            yield Finding(
                label="policy.forbidden_action",
                span=attempt.span,
                symptom=f"tried {attempt.name}, which it may not do",
                evidence=_evidence(attempt),
                tool=attempt.name,
                what=_error(attempt),
                is_decisive=not view.is_judged,
            )


def service_failure(view: View) -> Iterator[Finding]:
    """A tool that stayed out of order to the end: not the agent's doing."""
    for name in dict.fromkeys(attempt.name for attempt in view.attempts):
        own = [attempt for attempt in view.attempts if attempt.name == name]
        if len(own) >= 2 and all(attempt.is_error and TRANSIENT.search(attempt.result) for attempt in own):
            yield Finding(
                label="infra.tool_unavailable",
                span=own[0].span,
                symptom=f"{name} was out of order in all {len(own)} calls",
                evidence=_evidence(own[0]),
                tool=name,
                what=_error(own[0]),
                is_decisive=view.is_unfinished,
            )


def is_unknown(attempt: Attempt, view: View) -> bool:
    """Whether the tool does not exist, by the list that was offered or by what came back."""
    if view.tools:
        return attempt.name not in view.tools
    return attempt.is_error and bool(UNKNOWN_TOOL.search(attempt.result))


def is_transient(attempt: Attempt) -> bool:
    """Whether the tool only asked for patience."""
    return attempt.is_error and bool(TRANSIENT.search(attempt.result))


def intended(attempt: Attempt, view: View) -> str | None:
    """The offered tool a made-up name most likely stands for: shared arguments, then shared words of the name."""
    words, names = set(attempt.name.casefold().split("_")), set(attempt.arguments or {})

    def likeness(tool: str) -> float:
        properties = view.tools[tool].get("properties")
        fields = set(properties) if isinstance(properties, dict) else set()
        shared = len(fields & names) / max(1, len(fields | names))
        return 2 * shared + len(words & set(tool.casefold().split("_"))) / max(1, len(words))

    best = max(view.tools, key=likeness, default=None)
    return best if best is not None and likeness(best) >= 0.5 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why arguments do not fit."""

    kind: str
    """The same for the same mistake in any field."""
    detail: str


def misfit(attempt: Attempt, view: View) -> Misfit | None:
    """What is wrong with the arguments of a call, by the schema that was shown or by what the tool said; else None."""
    if attempt.arguments is None:
        return Misfit(kind="not an object", detail="not a JSON object")
    schema = view.tools.get(attempt.name)
    problem = _problem(canonical_json(schema), attempt.arguments) if schema else None
    if problem is None and attempt.is_error and not is_transient(attempt) and BAD_ARGUMENTS.search(attempt.result):
        return Misfit(kind="refused by the tool", detail=_error(attempt))
    return problem


def _problem(schema: str, arguments: JsonObject) -> Misfit | None:
    validator = _validator(schema)
    try:
        error = best_match(validator.iter_errors(arguments)) if validator is not None else None
    except (Unresolvable, re.error, RecursionError):  # a reference or a pattern that nobody can follow judges nothing
        return None
    if error is None:
        return None
    field = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return Misfit(kind="field missing", detail=f"{', '.join(missing)} missing")
    if error.validator == "additionalProperties":
        return Misfit(kind="field unknown", detail="a field that does not exist")
    wanted = canonical_json(error.validator_value)[:60]
    return Misfit(kind=f"wrong {error.validator}", detail=f"{field}: not {error.validator} {wanted}")


@lru_cache(maxsize=512)
def _validator(schema: str) -> Draft202012Validator | None:
    """The validator of a schema spelled canonically; None for one that is none."""
    loaded = json.loads(schema)
    try:
        Draft202012Validator.check_schema(loaded)
    except SchemaError:
        return None
    return Draft202012Validator(loaded)


def _error(attempt: Attempt) -> str:
    """First line of what came back."""
    return attempt.result.strip().partition("\n")[0][:160]


def _evidence(attempt: Attempt) -> str:
    """The error where the call's own span shows it, else the arguments as the model wrote them."""
    if attempt.result and attempt.arguments is not None:
        return quote(attempt.result)
    return quote(attempt.raw) or quote(attempt.name)
