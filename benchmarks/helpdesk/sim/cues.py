"""What a text asks of an agent, judged by meaning-level cues: a few word families that meet within one sentence.

Negation is understood a little: "do not verify" denies what "verify" asserts, "never act before verifying" and "do not
skip verification" assert it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.helpdesk.sim.patterns import PATTERNS, Cue, Pattern

NEGATOR = re.compile(
    r"\b(?:not|never|no need|without|skip\w*|omit\w*|forget\w*|neglect\w*|avoid\w*"
    r"|instead of|rather than|nor|needless)\b"
)
TURN = re.compile(r"\b(?:before|until|unless|without|till|prior to|only after|other than|except)\b")
SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+|\s+(?:but|however)\s+")
CLAUSE = re.compile(r"[,:()\u2013\u2014]|\b(?:then|and)\b")
EMPHASIS = re.compile(
    r"\b(?:ALWAYS|NEVER|MUST|IMMEDIATELY|CRITICAL|IMPORTANT|ANY)\b|(?i:\b(?:in doubt|whenever|unsure|any kind of"
    r"|at once"
    r"|the slightest|not sure)\b)|!"
)
DIALOGUE_IN = re.compile(r"^\W*(?:customer|user|client)\W*:", re.IGNORECASE | re.MULTILINE)
DIALOGUE_OUT = re.compile(r"^\W*(?:agent|assistant|you|tool(?: call)?|call)\W*:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a text asserts and denies."""

    asserted: frozenset[Cue] = frozenset()
    denied: frozenset[Cue] = frozenset()
    emphasised: frozenset[Cue] = frozenset()
    """Asserted with force (capitals, exclamation marks, "when in doubt") or four times and more."""
    is_example: bool = False
    """Shows a dialogue of at least two customer and two agent turns."""


@lru_cache(maxsize=4096)
def read_cues(text: str) -> Reading:
    """Read a text. Cached: prompts repeat from call to call."""
    counts: dict[Cue, int] = {}
    denied: set[Cue] = set()
    emphasised: set[Cue] = set()
    for sentence in _sentences(text):
        is_forceful = EMPHASIS.search(sentence) is not None
        for cue, is_meant in _meanings(_plain(sentence)):
            if not is_meant:
                denied.add(cue)
                continue
            counts[cue] = counts.get(cue, 0) + 1
            if is_forceful or counts[cue] >= 4:
                emphasised.add(cue)
    n_turns = min(len(DIALOGUE_IN.findall(text)), len(DIALOGUE_OUT.findall(text)))
    return Reading(
        asserted=frozenset(counts),
        denied=frozenset(denied - counts.keys()),
        emphasised=frozenset(emphasised),
        is_example=n_turns >= 2,
    )


def _sentences(text: str) -> Iterator[str]:
    """Sentences of at most 300 characters; longer ones are cut, as attention is."""
    for sentence in SENTENCE.split(text.replace("**", "").replace("__", "")):
        yield from (sentence[i : i + 300] for i in range(0, len(sentence), 300))


def _plain(sentence: str) -> str:
    text = sentence.casefold().replace("\u2019", "'")
    text = text.replace("can't", "can not").replace("cannot", "can not").replace("won't", "will not")
    return text.replace("n't", " not")


def _meanings(sentence: str) -> Iterator[tuple[Cue, bool]]:
    """Cues met in a plain sentence, each with whether it is asserted."""
    for cue, patterns in PATTERNS.items():
        verdicts = [verdict for pattern in patterns if (verdict := _verdict(pattern, sentence)) is not None]
        if verdicts:
            yield cue, any(verdicts)


def _verdict(pattern: Pattern, sentence: str) -> bool | None:
    anchor = pattern.families[0].search(sentence)
    if anchor is None or not all(family.search(sentence) for family in pattern.families[1:]):
        return None
    if pattern.polarity == "any":
        return True
    is_negated = _is_negated(sentence, anchor.start())
    if pattern.polarity == "forbidden":
        return True if is_negated else None
    return not is_negated


def _is_negated(sentence: str, end: int) -> bool:
    """Whether an odd number of negations bears on the word at `end`."""
    before = sentence[:end]
    clause = CLAUSE.split(before)[-1]
    n_here = len(NEGATOR.findall(clause))
    n_earlier = len(NEGATOR.findall(before)) - n_here
    n_turns = len(TURN.findall(clause))
    if n_here == 0:
        return False
    if n_here == 1 and n_earlier and TURN.search(clause):
        return False  # "never touch an order, or refund, without verifying"
    if n_here == 1 and n_turns and not clause.strip().startswith("without"):
        return "without" in clause  # "never act before verifying" asserts; "act without verifying" denies
    return n_here % 2 == 1
