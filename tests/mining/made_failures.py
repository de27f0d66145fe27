"""Failures of known modes in any number, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.domain.failure import Failure
from tests.mining.failure_modes import (
    CLOSERS,
    FIELDS,
    MODES,
    NAMES,
    OPENERS,
    SURNAMES,
    SYNONYMS,
    TOPICS,
    VERBS,
)

LABEL_NOISE = 0.08
"""Share of failures that a detector puts under another class."""
SYNONYM_RATE = 0.3
WORD_LOSS = 0.05
TYPO_RATE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    failure: Failure
    mode: str
    topic: str


def made(n: int, seed: int) -> Iterator[Made]:
    """Frequencies of modes fall off as 1 / rank^0.7, in an order of their own that the seed draws."""
    rng = random.Random(seed)
    modes = [(label, name) for label, names in MODES.items() for name in names]
    rng.shuffle(modes)
    weights = [1 / rank**0.7 for rank in range(1, len(modes) + 1)]
    topics = list(TOPICS)
    for number, (label, name) in enumerate(rng.choices(modes, weights, k=n)):
        topic = rng.choice(topics)
        shown = rng.choice(list(MODES)) if rng.random() < LABEL_NOISE else label
        line = line_of(rng, label, name, topic)
        failure = Failure(
            id=f"{rng.getrandbits(64):016x}",
            rollout_id=f"r{number}",
            task_id=f"t{number}",
            tree="t",
            signal="check_failed",
            label=shown,
            symptom="",
            cause="",
            evidence="",
            span=None,
            severity=0.5,
            signature=line,
        )
        yield Made(failure=failure, mode=f"{label}/{name}", topic=topic)


def line_of(rng: random.Random, label: str, mode: str, topic: str) -> str:
    template = rng.choice(OPENERS) + rng.choice(MODES[label][mode]) + rng.choice(CLOSERS)
    return " ".join(_noisy(rng, word, topic) for word in template.split(" "))


def _noisy(rng: random.Random, word: str, topic: str) -> str:
    if "{" in word:
        return _filled(rng, word, topic)
    if word in SYNONYMS and rng.random() < SYNONYM_RATE:
        return rng.choice(SYNONYMS[word])
    if rng.random() < WORD_LOSS:
        return ""
    if len(word) > 4 and rng.random() < TYPO_RATE:
        at = rng.randrange(1, len(word) - 1)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word


def _filled(rng: random.Random, word: str, topic: str) -> str:
    nouns = TOPICS[topic]
    fillings = {
        "tool2": lambda: f"{rng.choice(VERBS)}_{rng.choice(nouns)}",
        "tool": lambda: f"{rng.choice(VERBS)}_{rng.choice(nouns)}",
        "noun": lambda: rng.choice(nouns),
        "field": lambda: rng.choice(FIELDS),
        "name": lambda: rng.choice((f"{rng.choice(NAMES)} {rng.choice(SURNAMES)}", f"Ms. {rng.choice(SURNAMES)}")),
        "email": lambda: f"{rng.choice(NAMES).lower()}{rng.randrange(99)}@{topic}.example",
        "id": lambda: rng.choice((f"{topic[:2].upper()}-{rng.randrange(10**5)}", f"#{rng.randrange(10**6)}")),
        "amount": lambda: rng.choice((f"${rng.randrange(2000)}.{rng.randrange(100):02}", f"{rng.randrange(900)} EUR")),
        "date": lambda: f"2026-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}",
        "quote": lambda: f'"{rng.choice(nouns)} {rng.choice(VERBS)} {rng.randrange(100)}"',
        "n": lambda: str(rng.randrange(2, 5000)),
    }
    for slot, filling in fillings.items():
        while f"{{{slot}}}" in word:
            word = word.replace(f"{{{slot}}}", filling(), 1)
    return word
