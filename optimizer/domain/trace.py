"""The ordered spans of a rollout, recorded on the trusted side; evidence points into them by index."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from optimizer.domain.json import Json

SpanKind = Literal["model_call", "tool_call", "user_turn", "submit", "check", "harness_output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What model calls consumed."""

    input_tokens: int = 0
    """All prompt tokens, cached ones included."""
    cached_tokens: int = 0
    """The part of `input_tokens` served from the provider's cache."""
    output_tokens: int = 0
    """All completion tokens, reasoning included."""
    reasoning_tokens: int = 0
    usd: float | None = 0.0
    """None when the price is unknown - which is not zero."""
    n_calls: int = 0
    n_replayed_calls: int = 0
    """Calls answered from a recording, at no cost."""

    @property
    def tokens(self) -> int:
        """Tokens that count against a budget."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Add two usages; an unknown price on either side stays unknown."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            usd=None if self.usd is None or other.usd is None else self.usd + other.usd,
            n_calls=self.n_calls + other.n_calls,
            n_replayed_calls=self.n_replayed_calls + other.n_replayed_calls,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One thing that happened. `input` and `output` are JSON or text as it crossed the door."""

    index: int
    """Position in the trace, from 0."""
    kind: SpanKind
    name: str
    """Tool name, model name, check name; `user` for a user turn."""
    input: Json
    """model_call: the request as sent; tool_call: the arguments; user_turn: the agent's words; check: its detail."""
    output: Json
    """model_call: the assistant message; tool_call: the result text; user_turn: the user's reply; check: bool."""
    is_error: bool = False
    usage: Usage = field(default_factory=Usage)
    wall_s: float = 0.0
    """Seconds; excluded from every hash and comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All spans of one rollout, in order."""

    spans: tuple[Span, ...]

    @property
    def usage(self) -> Usage:
        """Sum over the spans."""
        return sum((span.usage for span in self.spans), Usage())
