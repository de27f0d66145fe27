"""One call that is paid for: on record before each attempt of it leaves, settled when the attempt ends.

What the books say of an attempt (see `optimizer.models.attempts`):

- answered: its intent is settled by the recorded answer, the rollout and the account hold the provider's own count;
- refused: its intent is withdrawn, nothing is counted;
- lost: its intent ends as lost, and its worst case is held against the campaign's budget for ever. It is no part of the
  rollout's usage and meets none of its caps: how often a provider breaks off is nothing a harness did;
- cut off by the end of its rollout: its intent stays open, and the rollout's usage holds the worst case;
- alive at a kill: its intent stays open, and the next session counts it like a lost one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from optimizer.domain.budget import Spend
from optimizer.domain.model import Upstream
from optimizer.domain.recording import CallRecorder, IntendedCall
from optimizer.gateway.caps import CallAccount, spend_of
from optimizer.gateway.chat_request import ModelRoute
from optimizer.gateway.recorder import PurchaseTurns

OnLost = Callable[[Spend], None]


def unheard(_: Spend) -> None:
    """For callers whose books are the recorder alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """What all doors of a gateway share on the way to the model."""

    upstream: Upstream
    route: ModelRoute
    calls: CallRecorder
    account: CallAccount
    on_lost: OnLost = unheard
    """Told of every attempt that broke off."""
    turns: PurchaseTurns = field(default_factory=PurchaseTurns)


class Purchase:
    """The intents of one call, one per attempt."""

    def __init__(self, access: ModelAccess, call: IntendedCall) -> None:
        self.intent: int | None = None
        """Of the attempt under way, or of the one that was answered."""
        self._access = access
        self._call = call

    @property
    def is_under_way(self) -> bool:
        """Money may have been spent of which the books do not know yet."""
        return self.intent is not None

    def begin(self) -> None:
        """An attempt is about to leave. A simulated call costs nothing that a kill could hide."""
        if self._access.upstream.is_external:
            self.intent = self._access.calls.intend(self._call)

    def refused(self) -> None:
        """The attempt is not billed."""
        intent, self.intent = self.intent, None
        if intent is not None:
            self._access.calls.withdraw(intent)

    def lost(self) -> None:
        """The attempt may be billed."""
        intent, self.intent = self.intent, None
        if intent is not None:
            self._access.calls.lose(intent)
            self._access.on_lost(spend_of(self._call.worst_case))

    @contextmanager
    def ended_by(self, failure: type[Exception], *, is_billed: bool) -> Iterator[None]:
        """When the block fails in this way, what is still under way ends with it."""
        try:
            yield
        except failure:
            if is_billed:
                self.lost()
            else:
                self.refused()
            raise
