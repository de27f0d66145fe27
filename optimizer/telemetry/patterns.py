"""What can be recognised by its shape alone: cards, e-mail, IBAN, IP, keys, phone and social security numbers.

An expression proposes, code decides: check digits, number ranges, boundaries. The card expression takes a whole run of
digit groups and the code then looks for a card among the groups, so that a number that follows one is not swallowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from optimizer.telemetry.checks import CARD_GROUPINGS, IBAN_LENGTH, is_address, is_card, is_iban, is_ssn
from optimizer.telemetry.engine import EngineName, Expression, Matched, expression

Kind = Literal["CARD", "EMAIL", "IBAN", "IP", "KEY", "PHONE", "SSN", "NAME", "ADDRESS", "DOB", "USER", "ID"]
"""The last five come from structured fields alone."""


@dataclass(frozen=True, slots=True)
class Found:
    """Personal text from `start` to `end`."""

    start: int
    end: int
    kind: Kind
    value: str
    """As written."""


Decide: TypeAlias = Callable[[str, Matched], Iterator[tuple[int, int]]]
_DIGIT = re.compile(r"\d")
_NO_MAILBOX = frozenset("@!\"#$&'()*,/:;<=>?[\\]^`{|}~")
_IS = r"(?: ?(?:number|no\.?|nr\.?))?(?: is|:|=)? {0,2}\(?$"
_SAID_PHONE = re.compile(rf"(?i)(?:phone|mobile|cell|tel|fax|whatsapp|sms){_IS}")
_SAID_SSN = re.compile(rf"(?i)(?:ssn|social security){_IS}")
_SAID_CHARACTERS = 40
_GROUP = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One shape."""

    kind: Kind
    pattern: str
    decide: Decide
    needs: str
    """Text that every match has, `0` for any digit, '' for none: most texts are passed over by it."""


def _is_free(text: str, start: int, end: int, joins: str = "") -> bool:
    """Not part of a longer word or number; `joins` are further characters that would make it one."""
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    return not any(char and (char.isalnum() or char == "_" or char in joins) for char in (before, after))


def _key(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    """From a known prefix to the last character that a key can have; a key without any digit is a word."""
    start, end = match.span()
    while end < len(text) and (text[end].isalnum() or text[end] in "_-."):
        end += 1
    if _is_free(text[:start], start, start) and _DIGIT.search(text, start, end):
        yield start, end - (text[end - 1] == ".")


def _private_key(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    """Up to the closing line, or to the end when that is cut off."""
    closing = text.find("-----END", match.span()[1])
    line_end = text.find("-----", closing + 8) if closing >= 0 else -1
    yield match.span()[0], line_end + 5 if line_end >= 0 else len(text)


def _inner(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    """The first group that took part, when it holds a digit: `password: required` is no password."""
    start, end = match.span(1)
    if _DIGIT.search(text, start, end):
        yield start, end


def _email(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    """From the `@` to the left as far as a mailbox goes, without leading punctuation."""
    at, end = match.span()
    start = at
    while start > 0 and at - start < 64 and text[start - 1] not in _NO_MAILBOX and not text[start - 1].isspace():
        start -= 1
    while start < at and text[start] in ".-%+":
        start += 1
    if start < at and text[end : end + 1] not in {"@", "_"}:
        yield start, end


def _cards(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    start, end = match.span()
    if end - start < 13:
        return
    groups = [(start + g.start(), start + g.end()) for g in _GROUP.finditer(text[start:end])]
    first = 0
    while first < len(groups):
        size = next((n for n in (5, 4, 3, 1) if _are_card(text, groups[first : first + n], n)), 0)
        if size:
            yield groups[first][0], groups[first + size - 1][1]
        first += size or 1


def _are_card(text: str, groups: list[tuple[int, int]], n: int) -> bool:
    lengths = tuple(end - start for start, end in groups)
    is_printed = lengths in CARD_GROUPINGS if n > 1 else 13 <= sum(lengths) <= 19
    if len(groups) != n or not is_printed or not _is_free(text, groups[0][0], groups[-1][1]):
        return False
    return is_card("".join(text[start:end] for start, end in groups))


def _iban(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    start, last = match.span()
    compact, end = "", start
    length = IBAN_LENGTH.get(text[start : start + 2].upper(), 0)
    for place in range(start, last):
        if text[place] not in " -":
            compact, end = compact + text[place].upper(), place + 1
        if len(compact) == length:
            break
    if length and is_iban(compact) and _is_free(text, start, end):
        yield start, end


def _ip(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    start, end = match.span()
    end -= text[start:end].endswith(":") and not text[start:end].endswith("::")
    is_longer = text[start - 1 : start] == "." or (text[end : end + 1] == "." and text[end + 1 : end + 2].isdigit())
    joins = ":" if ":" in text[start:end] else ""
    if not is_longer and _is_free(text[: end + (text[end : end + 1] != ":")], start, end, joins):
        yield from [(start, end)] if is_address(text[start:end]) else []


def _ssn(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    start, end = match.span()
    if _is_free(text, start, end, "-") and is_ssn(re.sub(r"\D", "", text[start:end])):
        yield start, end


def _said_ssn(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    """Nine digits that are called a social security number."""
    if _is_called(_SAID_SSN, text, match.span()[0]):
        yield from _ssn(text, match)


def _phone(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    start, end = match.span()
    n_digits = len(_DIGIT.findall(text, start, end))
    is_inside = text[start] == "0" and text[max(0, start - 2) : start - 1].isdigit()  # one group of a longer number
    if not is_inside and 7 + (text[start] == "+") <= n_digits <= 15 and _is_free(text, start, end, "-+"):
        yield start, end


def _us_phone(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    """With the bracket and the `1-` that may stand before it."""
    start, end = match.span()
    is_open = text[start + 3] == ")"
    if is_open and text[start - 1 : start] != "(":
        return
    start -= is_open
    has_one = (
        start >= 2 and text[start - 2] == "1" and text[start - 1] in " .-" and _is_free(text[:start], start - 2, start)
    )
    start -= 2 * has_one
    if _is_free(text, start, end, "-+"):
        yield start, end


def _said_phone(text: str, match: Matched) -> Iterator[tuple[int, int]]:
    """Digits that are called a phone number."""
    if _is_called(_SAID_PHONE, text, match.span()[0]):
        yield from _phone(text, match)


def _is_called(said: re.Pattern[str], text: str, start: int) -> bool:
    return said.search(text[max(0, start - _SAID_CHARACTERS) : start]) is not None


PATTERNS: tuple[Pattern, ...] = (
    Pattern("EMAIL", r"@(?:[A-Za-z0-9\-]{1,63}\.){1,8}[A-Za-z]{2,24}", _email, "@"),
    Pattern("CARD", r"\d{4,19}(?:[ \-]\d{1,19}){0,40}", _cards, "0"),
    Pattern("IBAN", r"(?i)[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]){11,30}", _iban, "0"),
    Pattern("IP", r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", _ip, "."),
    Pattern("IP", r"(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}", _ip, ":"),
    Pattern("SSN", r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}", _ssn, "0"),
    Pattern("SSN", r"\d{9}", _said_ssn, "0"),
    Pattern("PHONE", r"(\+\d{1,3}[ .\-]?(?:\(\d{1,4}\)[ .\-]?)?\d{1,4}(?:[ .\-]?\d{2,4}){1,4})", _phone, "+"),
    Pattern("PHONE", r"\d{3}(?:\) ?|[ .\-])\d{3}[ .\-]\d{4}", _us_phone, "0"),
    Pattern("PHONE", r"(0\d{2,4}[ /\-]\d{3,4}(?:[ \-]?\d{3,5}))", _phone, "0"),
    Pattern("PHONE", r"\d{7,15}|\d{2,5}[ .\-]\d{2,8}(?:[ .\-]\d{2,5})?", _said_phone, "0"),
    Pattern("PHONE", r"(0\d(?:[ .]\d{2}){4})", _phone, "0"),
    Pattern("KEY", r"(?:sk|pk|rk)[\-_][A-Za-z0-9_\-]{16,200}", _key, "k"),
    Pattern("KEY", r"(?:AKIA|ASIA)[0-9A-Z]{16}", _key, "IA"),
    Pattern("KEY", r"(?:gh[pousr]_|github_pat_|hf_|npm_)[A-Za-z0-9_]{16,255}", _key, "_"),
    Pattern("KEY", r"(?:glpat|xox[abprs])-[A-Za-z0-9_\-]{16,255}", _key, "-"),
    Pattern("KEY", r"AIza[A-Za-z0-9_\-]{30,60}", _key, "AIza"),
    Pattern("KEY", r"eyJ[A-Za-z0-9_\-]{8,500}\.[A-Za-z0-9_\-]{4,1000}", _key, "eyJ"),
    Pattern("KEY", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----", _private_key, "PRIVATE KEY"),
    Pattern("KEY", r"(?i)\bbearer ([A-Za-z0-9._~+/\-]{16,1000})", _inner, "earer"),
    Pattern(
        "KEY",
        r"(?i)\b(?:api[_\-]?key|client[_\-]?secret|secret|access[_\-]?token|password|passwd|pwd)\b[\"']? ?[:=] ?"
        r"[\"']?([^\s\"',;<>]{6,200})",
        _inner,
        "",
    ),
)


class Recogniser:
    """All patterns, compiled for one engine."""

    def __init__(self, engine: EngineName) -> None:
        self._compiled: tuple[tuple[Pattern, Expression], ...] = tuple(
            (pattern, expression(pattern.pattern, engine)) for pattern in PATTERNS
        )

    def find(self, text: str) -> Iterator[Found]:
        """Everything recognised; findings may overlap."""
        has_digit = _DIGIT.search(text) is not None
        for pattern, compiled in self._compiled:
            if not has_digit if pattern.needs == "0" else pattern.needs not in text:
                continue
            for match in compiled.find(text):
                for start, end in pattern.decide(text, match):
                    yield Found(start, end, pattern.kind, text[start:end])
