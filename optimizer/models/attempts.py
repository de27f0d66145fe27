"""What a provider may bill for one call: every attempt of it, told to whoever keeps the books.

Retries hide money: an attempt that was sent and then timed out, broke off, came back from a proxy (502, 504) or
unreadable may be on the bill although nobody has an answer. Each is therefore announced before it is sent, and ends as

- answered: the provider's own count stands;
- refused: 4xx (429 among them), 500, 503, 529, or the request never left; the provider bills nothing;
- lost: everything else. It counts as spent at the call's worst case, since no provider says what it charges for it.

A 500, 503 or 529 is the provider's own word that there is no answer; a 502 or 504 comes from a proxy, behind which the
work may have been done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from optimizer.domain.errors import ModelError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import UpstreamReply, WireFormat
from optimizer.models.retry import TransientError

_NOT_BILLED = frozenset({500, 503, 529})


class AttemptWatch(Protocol):
    """Told of every attempt, in order: `begin`, then `refused`, `lost`, or nothing when the call is answered.

    An attempt that is cancelled is not told either: whoever cancels knows that it began.
    """

    def begin(self) -> None:
        """The request is about to leave."""
        ...

    def refused(self) -> None:
        """It is not billed."""
        ...

    def lost(self) -> None:
        """It may be billed, and nobody will learn how much."""
        ...


class Relay(Protocol):
    """Where the events of a streamed answer go while it arrives."""

    @property
    def is_begun(self) -> bool:
        """Something has been passed on: from here on the answer cannot be asked for again."""
        ...

    def rewind(self) -> None:
        """An attempt begins: forget what has been held back of the one before."""
        ...

    async def pass_on(self, event: JsonObject) -> None:
        """One event, as the provider's format has it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall:
    """One call on its way to a provider."""

    wire: WireFormat
    request: JsonObject
    """Without the parameters that only say how the answer is delivered."""
    watch: AttemptWatch
    relay: Relay | None = None
    """Given when whoever asked wants the answer as it arrives; an upstream that cannot stream ignores it."""


@runtime_checkable
class AttemptingUpstream(Protocol):
    """An upstream that tells of every attempt, and streams where it can."""

    async def deliver(self, call: OutgoingCall) -> UpstreamReply:
        """Make a call, retries included; the whole answer, whatever was passed on meanwhile.

        Raises:
            ModelUnavailableError: after retries, or at once when an answer breaks off that was being passed on.
            ModelError: for a refused request.
        """
        ...


class Attempt:
    """One attempt under way."""

    is_refused = False
    """Set before an error is raised that costs nothing."""

    def note_status(self, status: int) -> None:
        """Judge an HTTP error by its status."""
        self.is_refused = status < 500 or status in _NOT_BILLED


@contextmanager
def attempted(watch: AttemptWatch) -> Iterator[Attempt]:
    """Announce an attempt, and say how it ended unless it was answered."""
    watch.begin()
    attempt = Attempt()
    try:
        yield attempt
    except (TransientError, ModelError):
        if attempt.is_refused:
            watch.refused()
        else:
            watch.lost()
        raise


class Unwatched:
    """For calls whose caller counts whole calls only."""

    def begin(self) -> None:
        """Nothing to do."""

    def refused(self) -> None:
        """Nothing to do."""

    def lost(self) -> None:
        """Nothing to do."""
