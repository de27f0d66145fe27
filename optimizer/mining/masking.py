"""What differs from one failure to the next without being its cause: ids, amounts, names, quotations.

Two failures of one root cause differ in whom they happened to. Masked, their signature lines are equal, or nearly so;
unmasked, lines group by customer and order. Masking is for grouping, not for privacy: what is shown or stored is
redacted elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping

MASK_VERSION = "1"
"""Part of every embedding space's id: lines masked by different rules are never compared."""

MAX_CHARS = 600
"""Longer lines are cut: what tells failures apart stands at their beginning."""

MAX_PASSES = 6

_DAY = r"\d{4}-\d{2}-\d{2}"
_CLOCK = r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_MONTH_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)? )?{_MONTH} \d{{1,4}}(?:st|nd|rd|th)?(?:,? \d{{4}})?"
_RULES: tuple[tuple[str, str], ...] = (
    ("kept", r"<(?P<kind>[A-Za-z_]{1,20})(?::[^<>\s]{0,64})?>"),
    ("email", r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"),
    ("url", r"\b(?:https?|ftp|wss?)://[^\s\"'<>]+"),
    ("uuid", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ("ip", r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b"),
    ("quote", r"\"[^\"<>]{1,300}\"|(?<![\w>])'[^'<>]{1,300}'(?![\w<])|`[^`<>]{1,300}`|“[^“”<>]{1,300}”"),
    ("path", r"(?<![\w<>/.])(?:~|\.{1,2})?(?:/[\w.-]+){2,}/?"),
    ("date", rf"\b{_DAY}(?:[T ]{_CLOCK})?\b|\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}\b|\b{_MONTH_DAY}\b"),
    ("time", r"\b\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]m)?\b"),
    ("amount", r"[$€£¥] ?\d[\d.,]*|\b\d[\d.,]* ?(?:usd|eur|gbp|dollars?|euros?|pounds?|cents?|%)(?!\w)"),
    ("hex", r"\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{12,}\b"),
    ("id", r"#\w+|\b(?:[A-Za-z]{1,12}[-:])+\d[\w-]*|\b(?:[A-Za-z]+\d{2,}|[A-Za-z]*\d+[A-Za-z]+\d)[A-Za-z\d-]*\b"),
    ("num", r"(?<![\w<])[-+]?\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)?(?![\w>])"),
)
"""Kind and pattern; at one place the first that fits wins. `kept` is a placeholder, a redactor's pseudonym included."""

_PATTERN = re.compile("|".join(f"(?P<{kind}>{rule})" for kind, rule in _RULES), re.ASCII | re.IGNORECASE)
_NAME = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? [A-Z][\w'-]+(?: [A-Z][\w'-]+)*"
    r"|(?<![\w<])[A-Z][a-z'-]+(?: (?:[A-Z]\.|[A-Z][a-z'-]+))+"
)
_OPENING = (
    "a after agent all although an and as assistant at because before but by called customer did error failed for from"
    " given he her his how if in instead it its no not of on once only or she since so that the their then there they"
    " this to tool user was we when where which while who with without you your"
)
_OPENERS = frozenset(_OPENING.split())
_SPACE = re.compile(r"\s+")


class Masker:
    """Masks lines; entities known beforehand, such as the values of a tool's answer, go first."""

    def __init__(self, known: Mapping[str, Iterable[str]] | None = None) -> None:
        """Known strings by the kind of placeholder they get; strings under three characters are ignored."""
        pairs = [(text, kind) for kind, texts in (known or {}).items() for text in texts if len(text) > 2]
        self._kinds = {text.casefold(): kind for text, kind in pairs}
        longest_first = sorted(self._kinds, key=lambda text: (-len(text), text))
        alternatives = "|".join(re.escape(text) for text in longest_first)
        self._known = re.compile(rf"(?<![\w<])(?:{alternatives})(?![\w>])", re.IGNORECASE) if longest_first else None

    def mask(self, line: str) -> str:
        """The line in lower case with typed placeholders; masking it again changes nothing."""
        text = _SPACE.sub(" ", unicodedata.normalize("NFKC", line[:MAX_CHARS])).strip()
        if self._known is not None:
            text = self._known.sub(lambda found: f"<{self._kinds.get(found[0].casefold(), 'name')}>", text)
        text = _NAME.sub(_mask_name, text)
        for _ in range(MAX_PASSES):
            masked = unicodedata.normalize("NFKC", _SPACE.sub(" ", _PATTERN.sub(_placeholder, text)).strip().lower())
            if masked == text:
                break
            text = masked
        return text


def mask(line: str) -> str:
    """Mask a line by its form alone."""
    return _PLAIN.mask(line)


def fingerprint(masked: str) -> str:
    """Equal for lines that are equal once masked."""
    return hashlib.blake2b(f"{MASK_VERSION}|{masked}".encode(), digest_size=8).hexdigest()


def _placeholder(found: re.Match[str]) -> str:
    kind = found.lastgroup
    return f"<{found['kind'].lower()}>" if found["kept"] is not None else f"<{kind}>"


def _mask_name(found: re.Match[str]) -> str:
    """A run of capitalised words is a name, but for the word that only opens a sentence."""
    first, _, rest = found[0].partition(" ")
    if first.lower() not in _OPENERS:
        return "<name>"
    return f"{first} <name>" if " " in rest else found[0]


_PLAIN = Masker()
