"""What is wrong with a settings file, in sentences that name key, value and what is expected."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from optimizer.config.contract import ContractSection
from optimizer.config.reference import describe, section_of, type_in_words
from optimizer.config.settings import Settings
from optimizer.config.unfit import Loc

_NEEDS = frozenset({"outside", "twice", "no_limit", "needs_model", "contract"})
"""Kinds of error that the models word themselves."""
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("ge", "{} of at least {}"),
    "greater_than": ("gt", "{} above {}"),
    "less_than_equal": ("le", "{} of at most {}"),
    "less_than": ("lt", "{} below {}"),
    "string_too_short": ("min_length", "{} of at least {} character(s)"),
    "string_too_long": ("max_length", "{} of at most {} characters"),
    "too_short": ("min_length", "{} with at least {} entry"),
    "too_long": ("max_length", "{} with at most {} entries"),
}
_PATTERNS = (
    ("check:", "a metric: a-z, 0-9 and '_', at most 48 characters, or check:<name of a check>"),
    ("a-z0-9-", "a-z, 0-9 and inner '-', at most 48 characters"),
    ("A-Za-z_", "the name of an environment variable, such as OPENAI_API_KEY"),
    ("https?", "an address that starts with http:// or https:// and holds no user name"),
    ("\\\\\\x00", "a relative path inside the harness folder, with '/' between names"),
)
_SHOWN = 60


def secret_problem(loc: Loc) -> str:
    """A key or password in the file; the value is never repeated."""
    return (
        f"{where(loc)} looks like a secret, and this file is committed. Take it out (renew it if it was committed),"
        ' put it in an environment variable and name that one: api_key_env = "OPENAI_API_KEY"'
    )


def infinity_problem(loc: Loc) -> str:
    """`nan` or `inf`."""
    return f"{where(loc)} - expected a finite number, not nan or inf"


def in_words(error: ErrorDetails) -> str:
    """One validation error as one sentence."""
    loc, kind = location(error), error["type"]
    if kind == "extra_forbidden":
        return _unknown(loc)
    if kind == "missing":
        return _missing(loc)
    if kind in _NEEDS:
        return f"{where(loc)} needs {error['msg']}"
    return f"{where(loc)} = {_value(error['input'])} - expected {_expected(error, loc)}"


def location(error: ErrorDetails) -> Loc:
    """Where an error is; inside a benchmark's own options pydantic adds names of types, which are cut off."""
    loc = error["loc"]
    return loc[:3] if loc[:2] == ("benchmark", "options") else loc


def where(loc: Loc) -> str:
    """`[proposer.model] name`, `[gate] pin[2]`."""
    names = [str(part) for part in loc if isinstance(part, str)]
    index = "".join(f"[{part}]" for part in loc if isinstance(part, int))
    depth = len(_sections(loc))
    section = f"[{'.'.join(names[:depth])}]" if depth else ""
    if len(loc) > depth > 0 and isinstance(loc[depth], int):  # one of a list of sections
        section, index = f"[{section}] number {int(loc[depth]) + 1}", ""
    return " ".join(part for part in (section, ".".join(names[depth:]) + index) if part) or "the file"


def _sections(loc: Loc) -> tuple[type[BaseModel], ...]:
    """The models of the sections that a location passes through."""
    found: list[type[BaseModel]] = []
    model: type[BaseModel] = Settings
    for part in loc:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(str(part))
        section = section_of(field.annotation) if field is not None else None
        if section is None:
            break
        found.append(section)
        model = section
    return tuple(found)


def _innermost(sections: tuple[type[BaseModel], ...]) -> type[BaseModel]:
    return sections[-1] if sections else Settings


def _unknown(loc: Loc) -> str:
    parents, name = loc[:-1], str(loc[-1])
    place = f"{where(parents)} unknown key" if parents else "unknown section or key"
    return f"{place} {name!r} - {_nearest(parents, name)}"


def _nearest(parents: Loc, name: str) -> str:
    """The key that was meant: spelled alike here, spelled alike in another section, or all that are valid here."""
    here = tuple(_innermost(_sections(parents)).model_fields)
    if close := difflib.get_close_matches(name, here, n=1, cutoff=0.6):
        return f"did you mean {close[0]!r}?"
    elsewhere = {key: section for section, _, key in (setting.key.rpartition(".") for setting in reversed(describe()))}
    if close := difflib.get_close_matches(name, elsewhere, n=1, cutoff=0.8):
        return f"did you mean {close[0]!r} in [{elsewhere[close[0]]}]?"
    return f"valid here: {', '.join(here)}"


def _missing(loc: Loc) -> str:
    sections = _sections(loc)
    if len(sections) == len(loc):
        return f"the section {where(loc)} is missing: {(sections[-1].__doc__ or '').strip()}"
    field = _innermost(sections).model_fields[str(loc[-1])]
    meaning = (field.description or "").replace("\n", " ")
    return f"{where(loc)} is missing - expected {_article(type_in_words(field.annotation))}: {meaning}"


def _expected(error: ErrorDetails, loc: Loc) -> str:
    """What would have been right, in terms of the key rather than in pydantic's words."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return f"{context['expected']}{_did_you_mean(error['input'], str(context['expected']))}"
    if kind == "string_pattern_mismatch":
        return next(words for mark, words in _PATTERNS if mark in str(context["pattern"]))
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return words.format(_typed(loc), f"{context[name]:,}")
    return _typed(loc)


def _did_you_mean(value: object, expected: str) -> str:
    close = difflib.get_close_matches(str(value), re.findall(r"'([^']*)'", expected), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _typed(loc: Loc) -> str:
    sections = _sections(loc)
    if len(sections) == sum(isinstance(part, str) for part in loc):
        return f"a section {where(loc)} with keys of its own"
    names = [part for part in loc if isinstance(part, str)][len(sections) :]
    if len(names) > 1:
        return "a number" if sections[0] is ContractSection else "a value that JSON can hold (no dates)"
    words = type_in_words(_innermost(sections).model_fields[names[0]].annotation)
    return _article(words.removeprefix("list of ") if isinstance(loc[-1], int) else words)


def _article(words: str) -> str:
    if words.startswith(('"', "text")):
        return words
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _value(value: object) -> str:
    """Short, on one line; containers are not spelled out because they may hold anything."""
    if isinstance(value, (dict, list)):
        return f"a {'table' if isinstance(value, dict) else 'list'} with {len(value)} entries"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (str, int, float)) else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
