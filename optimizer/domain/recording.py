"""Model calls as they are recorded, so that the same request of the same luck is never paid for twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from optimizer.domain.trace import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One answered model call."""

    luck: str
    """`RolloutJob.luck` of the rollout that asked."""
    request_hash: str
    """Hash of the request, byte for byte as the harness sent it."""
    occurrence: int
    """How many times that rollout had sent the identical request before, from 0."""
    rollout_id: str
    """The rollout that paid for it: its own calls, found again after a crash, are no savings."""
    body_json: str
    """Response body in the wire format of the request."""
    usage: Usage
    """What the call cost when it was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendedCall:
    """A model call that is about to be paid for."""

    luck: str
    request_hash: str
    occurrence: int
    rollout_id: str
    """The rollout that is about to pay."""
    worst_case: Usage
    """What it counts as when nobody learns what it took."""


class CallRecorder(Protocol):
    """Where calls are kept. All methods return within a fraction of a millisecond."""

    def recorded(self, luck: str, request_hash: str, occurrence: int) -> RecordedCall | None:
        """The call under this key; None when it was never answered."""
        ...

    def intend(self, call: IntendedCall) -> int:
        """Keep, before it is made, that a call may be billed; the intent's number.

        An intent that is neither recorded nor withdrawn when the process dies counts as spent.
        """
        ...

    def withdraw(self, intent: int) -> None:
        """Keep that the provider has refused a call, and bills nothing."""
        ...

    def lose(self, intent: int) -> None:
        """Keep that a call was sent and broke off: nobody learns what it took, so it counts as spent from now on."""
        ...

    def record(self, call: RecordedCall, *, intent: int | None = None) -> None:
        """Keep a call for ever, and that its intent is settled.

        When another rollout has recorded the key meanwhile, the first one stands.
        """
        ...
