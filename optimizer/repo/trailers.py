"""Commit messages of candidates: subject, hypothesis, and trailers that `git interpret-trailers --parse` reads.

Titles and hypotheses are written by models, so nothing in them may pose as something else: control and direction
characters go, a line that git or we would read as structure is moved in by one blank, a value stays on one line.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.domain.candidate import Decision

SUBJECT_WIDTH = 72
_BODY_WIDTH = 76
_STRUCTURE = re.compile(r"---|#|diff --git|Index:|\(cherry picked from|[A-Za-z0-9-]+\s*:", re.IGNORECASE)
_TRAILER = re.compile(r"(?P<key>[A-Za-z0-9-]+)[ \t]*:[ \t]*(?P<value>.*)")
_PICKED = re.compile(r"\(cherry picked from commit (?P<commit>[0-9a-f]{40}(?:[0-9a-f]{24})?)\)")
_DIRECTION = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailers:
    """What the trailers of a candidate's commit say; None leaves a trailer out."""

    campaign: str
    candidate: int
    cluster: int | None = None
    decision: str | None = None
    """Verdict and reason code: `accept (target)`; None while it is judged."""
    reason: str | None = None
    val_before: float | None = None
    val_after: float | None = None
    val_interval: tuple[float, float] | None = None
    """95 % interval of the difference."""
    regression: str | None = None
    """The regression suite in words: `31 of 31 passed`."""
    rollouts: int | None = None
    cost_usd: float | None = None
    """None is unknown, not zero."""
    proposer: str | None = None
    is_simulated: bool = False
    """True when a simulated model stood in for a real one anywhere behind these numbers."""


def trailers_of(
    decision: Decision,
    *,
    campaign: str,
    cluster: int,
    proposer: str,
    regression: str | None,
    is_simulated: bool,
) -> Trailers:
    """The trailers that render a decision."""
    return Trailers(
        campaign=campaign,
        candidate=decision.candidate,
        cluster=cluster,
        decision=f"{decision.verdict} ({decision.reason_code})",
        reason=decision.reason,
        val_before=decision.val_before,
        val_after=decision.val_after,
        val_interval=decision.val_interval,
        regression=regression,
        rollouts=decision.n_rollouts,
        cost_usd=decision.usage.usd,
        proposer=proposer,
        is_simulated=is_simulated,
    )


def render_message(title: str, hypothesis: str, trailers: Trailers) -> str:
    """Subject of at most 72 characters, the hypothesis wrapped, the trailers as the last paragraph."""
    subject = _one_line(title).lstrip("#- ") or f"Candidate {trailers.candidate}"
    parts = (textwrap.shorten(subject, SUBJECT_WIDTH, placeholder="…"), _body(hypothesis), _block(trailers))
    return "\n\n".join(part for part in parts if part) + "\n"


def parse_trailers(message: str) -> Mapping[str, str]:
    """Trailers of a message: its last paragraph, if that is made of nothing else. The last of equal keys wins."""
    paragraphs = re.split(r"\n[ \t]*\n", message.replace("\r\n", "\n").strip("\n"))
    found: dict[str, str] = {}
    key = ""
    for line in paragraphs[-1].split("\n") if len(paragraphs) > 1 else ():
        match = _TRAILER.fullmatch(line)
        if match:
            key = match["key"]
            found[key] = match["value"].strip()
        elif line[:1] in {" ", "\t"} and key:
            found[key] = f"{found[key]} {line.strip()}".strip()
        elif not _PICKED.fullmatch(line):
            return {}
    return found


def picked_from(message: str) -> frozenset[str]:
    """Commits that `git cherry-pick -x` says a message's commit was taken from."""
    return frozenset(match["commit"] for line in message.split("\n") if (match := _PICKED.fullmatch(line)))


def _block(trailers: Trailers) -> str:
    interval = trailers.val_interval
    values: tuple[tuple[str, str | None], ...] = (
        ("Campaign", trailers.campaign),
        ("Candidate", str(trailers.candidate)),
        ("Cluster", _text(trailers.cluster)),
        ("Proposer", trailers.proposer),
        ("Decision", trailers.decision),
        ("Reason", trailers.reason),
        ("Val-Before", _number(trailers.val_before, ".4f")),
        ("Val-After", _number(trailers.val_after, ".4f")),
        ("Val-Interval", None if interval is None else f"{interval[0]:+.4f} .. {interval[1]:+.4f}"),
        ("Regression", trailers.regression),
        ("Rollouts", _text(trailers.rollouts)),
        ("Cost-USD", _cost(trailers)),
        ("Simulated", "yes" if trailers.is_simulated else None),
    )
    lines = ((key, _one_line(value)) for key, value in values if value is not None)
    return "\n".join(f"Hone-{key}: {value}" for key, value in lines if value)


def _cost(trailers: Trailers) -> str | None:
    """Nothing before the decision; after it a missing price is said, because it is not zero."""
    if trailers.cost_usd is None:
        return "unknown" if trailers.decision is not None else None
    return f"{trailers.cost_usd:.4f}"


def _number(value: float | None, spec: str) -> str | None:
    return None if value is None else format(value, spec)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _one_line(text: str) -> str:
    return " ".join(_harmless(text).split())


def _body(text: str) -> str:
    paragraphs = (" ".join(part.split()) for part in re.split(r"\n\s*\n", _harmless(text)))
    lines = (_wrapped(paragraph) for paragraph in paragraphs if paragraph)
    return "\n\n".join(lines)


def _wrapped(paragraph: str) -> str:
    lines = textwrap.wrap(paragraph, _BODY_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(f" {line}" if _STRUCTURE.match(line) else line for line in lines)


def _harmless(text: str) -> str:
    """Text without characters that move the cursor, hide or reorder what a terminal shows."""
    kept = (char if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"} else " " for char in text)
    return "".join(char for char in kept if char not in _DIRECTION)
