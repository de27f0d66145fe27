"""The regular-expression engine behind redaction: RE2 where it is installed, the standard library otherwise.

RE2 runs in time linear in the text whatever the text is. Every expression here is spelled in what both understand (no
look-around, no back-references), so that the findings are the same; boundaries are checked in code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Literal, Protocol

EngineName = Literal["re2", "re"]


class Matched(Protocol):
    """One match."""

    def span(self, group: int = 0, /) -> tuple[int, int]:
        """Start and end of a group; (-1, -1) when it took no part."""
        ...


class Compiled(Protocol):
    """A compiled expression."""

    def finditer(self, string: str, /) -> Iterator[Matched]:
        """All matches from left to right."""
        ...


def installed_engine() -> EngineName:
    """RE2 when the extra `redact` is installed."""
    return "re2" if find_spec("re2") is not None else "re"


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression, compiled for the engine and for the standard library."""

    fast: Compiled
    plain: Compiled

    def find(self, text: str) -> Iterator[Matched]:
        """All matches. Text with half a surrogate pair, which RE2 cannot read, goes to the standard library."""
        try:
            return iter(list(self.fast.finditer(text)))
        except UnicodeEncodeError:
            return self.plain.finditer(text)


def expression(pattern: str, engine: EngineName) -> Expression:
    """Compile one expression."""
    plain = re.compile(pattern)
    return Expression(fast=import_module("re2").compile(pattern) if engine == "re2" else plain, plain=plain)
