"""What one rollout did at its door, in order, as the trusted side saw it."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain.budget import Spend
from optimizer.domain.json import Json
from optimizer.domain.trace import Span, SpanKind, Usage

_MAX_REFUSALS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRecord:
    """A frozen picture of the rollout so far."""

    spans: tuple[Span, ...]
    usage: Usage
    worth: Spend
    """What all calls would have cost had none been replayed."""
    is_over: bool
    """The conversation has ended: submitted, or ended by the task."""
    cap_hit: str | None
    """The first cap of the rollout that was met, such as `max_calls`; None while all is well."""
    infra: str | None
    """A fault of the model provider, the benchmark or ourselves: the rollout is not a measurement."""


class Tape:
    """The spans and the end state of one rollout. Bounded: calls and steps by their caps, refusals by a constant."""

    def __init__(self) -> None:
        self.is_over = False
        self.infra: str | None = None
        self._spans: list[Span] = []
        self._n_refusals = 0

    @property
    def spans(self) -> tuple[Span, ...]:
        """All spans so far."""
        return tuple(self._spans)

    def add(  # noqa: PLR0913 - one argument per field of a span
        self,
        kind: SpanKind,
        name: str,
        *,
        input: Json,  # noqa: A002 - the field's name
        output: Json,
        is_error: bool = False,
        usage: Usage | None = None,
        wall_s: float = 0.0,
    ) -> None:
        """Append a span."""
        self._spans.append(
            Span(
                index=len(self._spans),
                kind=kind,
                name=name,
                input=input,
                output=output,
                is_error=is_error,
                usage=usage or Usage(),
                wall_s=wall_s,
            )
        )

    def refuse(self, kind: SpanKind, name: str, *, input: Json, reason: str) -> None:  # noqa: A002 - the field's name
        """Append a refused request; after the first few, a peer that keeps trying fills no memory."""
        self._n_refusals += 1
        if self._n_refusals <= _MAX_REFUSALS:
            self.add(kind, name, input=input, output=reason, is_error=True)

    def fail(self, reason: str) -> None:
        """Note an infrastructure fault; the first one stays."""
        self.infra = self.infra or reason
