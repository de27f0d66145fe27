"""Redaction: what could name a person becomes a typed pseudonym, the same everywhere, so that joins survive.

Two sources. Shapes (`patterns`): cards, e-mail, IBAN, IP addresses, keys, phone and social security numbers. And
structured fields (`fields`): a value that stands under `first_name`, `email`, `dob`, `address1`, `user_id` ... anywhere
in a trace, JSON inside strings included, is replaced across the whole trace, free text too.

The honest limit: a name that only ever occurs in free text, never in a structured field, is missed; so is an address,
and a date of birth. Numbers of cards and accounts with a wrong check digit are left alone. Pseudonyms hide values, not
facts: who bought what when still stands there, and whoever has the key can confirm a guess.

Redacting twice is redacting once: pseudonyms are never read again, and each text is redacted until nothing is found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.domain.json import Json, JsonObject
from optimizer.domain.trace import Span, Trace
from optimizer.telemetry import fields
from optimizer.telemetry.engine import EngineName, installed_engine
from optimizer.telemetry.fields import Personal
from optimizer.telemetry.patterns import Found, Kind, Recogniser
from optimizer.telemetry.pseudonyms import PSEUDONYM, Pseudonyms

REDACTION_VERSION = "1"
"""Changes whenever the same input may be redacted differently; kept in the lineage of whatever was redacted."""
_WORD = re.compile(r"[^\W_]+")
_MAX_DEPTH = 200
_MEMO_SIZE = 20_000
_MEMO_CHARACTERS = 20_000_000


class Redactor:
    """Redacts text, JSON and traces under one key. Not safe for use by several threads."""

    def __init__(self, key: bytes, *, engine: EngineName | None = None) -> None:
        self.engine: EngineName = engine or installed_engine()
        self.pseudonyms = Pseudonyms(key)
        self._recogniser = Recogniser(self.engine)
        self._memo: dict[str, tuple[Found, ...]] = {}
        self._memo_characters = 0

    @property
    def counts(self) -> dict[Kind, int]:
        """Distinct values replaced so far, per kind."""
        return {kind: len(given) for kind, given in sorted(self.pseudonyms.given.items())}

    def text(self, text: str) -> str:
        """Text without personal shapes; JSON in it also without its personal fields."""
        return self.knowing([text]).text(text)

    def json(self, value: Json) -> Json:
        """A value without personal shapes and fields."""
        return self.knowing([value]).json(value)

    def trace(self, trace: Trace) -> Trace:
        """A trace of which every span knows the personal fields of all others."""
        return self.knowing(part for span in trace.spans for part in (span.input, span.output)).trace(trace)

    def knowing(self, values: Iterable[Json]) -> Knowing:
        """A redactor for texts that belong together with these values."""
        known: dict[str, Personal] = {}
        for value in values:
            for text, kind, is_everywhere in fields.personal_values(value, _MAX_DEPTH):
                for personal in fields.spread(text, self.kind_of(text, kind)) if is_everywhere else ():
                    known.setdefault(personal.text if personal.is_exact else personal.text.casefold(), personal)
        return Knowing(redactor=self, known=tuple(known.values()), by_word=_by_first_word(known.values()))

    def kind_of(self, text: str, kind: Kind) -> Kind:
        """A shape wins over the name of the field, so that a user id that is an e-mail joins with that e-mail."""
        bare = text.strip()
        whole = (found.kind for found in self.shapes(bare) if found.value == bare)
        return next(whole, kind)

    def shapes(self, text: str) -> tuple[Found, ...]:
        """Personal shapes in a text; texts that come again, such as system prompts, are looked at once."""
        known = self._memo.get(text)
        if known is None:
            known = tuple(self._recogniser.find(text))
            if len(self._memo) >= _MEMO_SIZE or self._memo_characters > _MEMO_CHARACTERS:
                self._memo, self._memo_characters = {}, 0
            self._memo[text] = known
            self._memo_characters += len(text)
        return known


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowing:
    """A redactor that knows the personal values of one trace."""

    redactor: Redactor
    known: tuple[Personal, ...]
    by_word: Mapping[str, tuple[Personal, ...]]
    """The same by their first word, in small letters."""
    clean: dict[str, str] = field(default_factory=dict)
    """Texts redacted so far: a tool's result stands in its span and in the next model call."""

    def trace(self, trace: Trace) -> Trace:
        """All spans."""
        return Trace(spans=tuple(self.span(span) for span in trace.spans))

    def span(self, span: Span) -> Span:
        """Input, output and name of one span."""
        return replace(span, name=self.text(span.name), input=self.json(span.input), output=self.json(span.output))

    def json(self, value: Json, depth: int = _MAX_DEPTH) -> Json:
        """A value, keys included. What lies deeper than any honest trace is dropped rather than passed on unread."""
        if depth <= 0:
            return None
        if isinstance(value, str):
            return self.text(value, depth)
        if isinstance(value, Mapping):
            return self._object(value, "", depth)
        if isinstance(value, Sequence):
            return [self.json(part, depth - 1) for part in value]
        return self._number(value)

    def object(self, fields: JsonObject) -> JsonObject:
        """An object, keys included."""
        return self._object(fields, "", _MAX_DEPTH)

    def text(self, text: str, depth: int = _MAX_DEPTH) -> str:
        """One text; one that spells a JSON object or array is redacted as such and spelled again if it changed."""
        clean = self.clean.get(text)
        if clean is None:
            clean = self.clean[text] = self._text(text, depth)
        return clean

    def _text(self, text: str, depth: int) -> str:
        inside = fields.nested(text) if depth > 0 else None
        if inside is not None:
            clean = self.json(inside, depth - 1)
            return text if clean == inside else json.dumps(clean, ensure_ascii=False)
        return self._until_nothing_is_found(text)

    def _until_nothing_is_found(self, text: str) -> str:
        while True:
            clean = self._once(text)
            if clean == text:
                return text
            text = clean

    def _object(self, given: JsonObject, parent: str, depth: int) -> JsonObject:
        clean: dict[str, Json] = {}
        for key, value in given.items():
            kind = fields.kind_of_key(key, given, parent)
            if isinstance(value, Mapping):
                clean[self.text(key)] = self._object(value, key, depth - 1) if depth > 1 else None
            elif kind is None or fields.nested_or_none(value):
                clean[self.text(key)] = self.json(value, depth - 1)
            else:
                clean[self.text(key)] = self._field(value, kind)
        return clean

    def _field(self, value: Json, kind: Kind) -> Json:
        """The value of a personal field, whole."""
        if isinstance(value, str):
            return self._pseudonym(self.redactor.kind_of(value, kind), value) if fields.is_value(value) else value
        if isinstance(value, Sequence):
            return [self._field(part, kind) for part in value]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return self._pseudonym(kind, str(value)) if is_number else value

    def _number(self, value: Json) -> Json:
        """A number that is a card, or that a personal field holds elsewhere, loses its type with its value."""
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) < 10 ** (5):
            return value
        clean = self.text(str(value))
        return value if clean == str(value) else clean

    def _pseudonym(self, kind: Kind, value: str) -> str:
        canonical = next((p.canonical for p in self.known if p.text == value.strip() and p.kind == kind), value)
        return self.redactor.pseudonyms.of(kind, canonical)

    def _once(self, text: str) -> str:
        parts, done = [], 0
        for token in PSEUDONYM.finditer(text) if "<" in text else ():
            parts += [self._piece(text[done : token.start()]), token.group()]
            done = token.end()
        return "".join(parts) + self._piece(text[done:]) if parts else self._piece(text)

    def _piece(self, text: str) -> str:
        found = [*self.redactor.shapes(text), *self._mentions(text)]
        if not found:
            return text
        parts, done = [], 0
        for one in joined(text, found):
            parts += [text[done : one.start], self._pseudonym(one.kind, one.value)]
            done = one.end
        return "".join(parts) + text[done:]

    def _mentions(self, text: str) -> Iterator[Found]:
        """Where the known personal values stand, as whole words."""
        if not self.by_word:
            return
        low = text.lower()
        words = self.by_word.keys() & set(_WORD.findall(low))
        low = low if len(low) == len(text) else text
        for personal in (personal for word in words for personal in self.by_word[word]):
            where, wanted = (text, personal.text) if personal.is_exact else (low, personal.text.lower())
            start = where.find(wanted)
            while start >= 0:
                end = start + len(wanted)
                if is_word(text, start, end):
                    yield Found(start, end, personal.kind, personal.canonical)
                start = where.find(wanted, end)


def _by_first_word(known: Iterable[Personal]) -> dict[str, tuple[Personal, ...]]:
    index: dict[str, tuple[Personal, ...]] = {}
    for personal in known:
        first = _WORD.search(personal.text.lower())
        if first is not None:
            index[first.group()] = (*index.get(first.group(), ()), personal)
    return index


def is_word(text: str, start: int, end: int) -> bool:
    """Whether a stretch of text is not the middle of a longer word."""
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    return not before.isalnum() and not after.isalnum()


def joined(text: str, found: list[Found]) -> Iterator[Found]:
    """Findings that overlap become one, under the kind and value of the longest, so that no rest of any is left."""
    found.sort(key=lambda one: (one.start, -one.end))
    current = found[0]
    longest = current
    for one in found[1:]:
        if one.start >= current.end:
            yield Found(current.start, current.end, longest.kind, longest.value)
            current = longest = one
            continue
        longest = one if one.end - one.start > longest.end - longest.start else longest
        current = replace(current, end=max(current.end, one.end), value=text[current.start : max(current.end, one.end)])
    yield Found(current.start, current.end, longest.kind, longest.value)
