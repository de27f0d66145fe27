"""The text of a taxonomy file with further classes: comments and order stay, new classes follow at the end."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from optimizer.domain.errors import ConfigError
from optimizer.mining.induction_questions import ProposedClass

_VERSION = re.compile(r'^version\s*=\s*"([^"\n]*)"', re.MULTILINE)


def extended(text: str, classes: Sequence[ProposedClass]) -> str:
    """The next version of a taxonomy file.

    Raises:
        ConfigError: the file has no version line, or would not be valid TOML.
    """
    found = _VERSION.search(text)
    if found is None:
        raise ConfigError(
            'the taxonomy file has no line `version = "..."`; add one, so that versions can be told apart'
        )
    bumped = f'{text[: found.start()]}version = "{_next(found[1])}"{text[found.end() :]}'
    made = "\n\n".join([bumped.rstrip(), *map(_block, classes)]) + "\n"
    try:
        tomllib.loads(made)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the extended taxonomy would be no valid TOML: {error}. Correct the file first.") from error
    return made


def _next(version: str) -> str:
    head, _, last = version.rpartition(".")
    if not last.isdigit():
        return f"{version}.1"
    return f"{head}.{int(last) + 1}" if head else str(int(last) + 1)


def _block(one: ProposedClass) -> str:
    quotes = "\n".join(f"# {_printable(cited.quote)[:160]}" for cited in one.evidence[:3])
    return (
        f"# Induced from failures such as:\n{quotes}\n"
        f'[[class]]\nid = "{one.id}"\ntitle = "{one.title}"\nseverity = {one.severity}\nrung = "{one.rung}"\n'
        f'expected = "{one.expected}"'
    )


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
