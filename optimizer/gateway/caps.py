"""Hard limits of one rollout, held before a call and settled after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from optimizer.domain.budget import Reservation, Spend
from optimizer.domain.trace import Usage
from optimizer.gateway.http import RequestRefusedError


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutCaps:
    """What one rollout may use; the worst case that an evaluator reserves for it."""

    max_calls: int = 60
    """Model calls, replayed ones included."""
    max_tokens: int = 400_000
    """Input and output together."""
    max_usd: float | None = 0.25
    """None: no limit of this kind, the only choice for a model without a known price."""
    max_steps: int = 200
    """Tool calls and user turns."""


class CallAccount(Protocol):
    """Money above the single rollout. `optimizer.domain.budget.Budget` is one; without limits, it refuses nothing."""

    def reserve(self, amount: Spend) -> Reservation:
        """Set an amount aside. Raises BudgetExhaustedError."""
        ...

    def settle(self, reservation: Reservation, actual: Spend) -> None:
        """Replace a reservation by what the call really took."""
        ...


class RolloutMeter:
    """What a rollout has used against its caps.

    A replayed call counts here at its original price although it costs nothing: two harness versions with equal
    requests meet a cap at the same call, whichever of them paid.
    """

    def __init__(self, caps: RolloutCaps) -> None:
        self.cap_hit: str | None = None
        """Name of the first cap that was met; None while all is well."""
        self._caps = caps
        self._used = Spend()
        self._held = Spend()
        self._n_calls = 0
        self._n_steps = 0

    @property
    def used(self) -> Spend:
        """All calls at their original price, replayed ones included."""
        return self._used

    def hold(self, estimate: Spend) -> None:
        """Count a call and set its worst case aside.

        Raises:
            RequestRefusedError: 429 when the call would pass a cap; nothing is held then.
        """
        wanted = self._used + self._held + estimate
        caps = self._caps
        if self._n_calls + 1 > caps.max_calls:
            self._refuse("max_calls", f"{caps.max_calls} model calls")
        if wanted.tokens > caps.max_tokens:
            self._refuse("max_tokens", f"{caps.max_tokens} tokens; this call may take {estimate.tokens}")
        if caps.max_usd is not None and wanted.usd > caps.max_usd + 1e-9:
            self._refuse("max_usd", f"{caps.max_usd:g} USD; this call may cost {estimate.usd:.4g}")
        self._n_calls += 1
        self._held = self._held + estimate

    def release(self, estimate: Spend, used: Usage) -> None:
        """Replace what was held by what the call took."""
        self._held = self._held + Spend(usd=-estimate.usd, tokens=-estimate.tokens)
        self._used = self._used + spend_of(used)

    def count_step(self) -> None:
        """Count a tool call or a user turn. Raises RequestRefusedError (429) past the cap."""
        if self._n_steps + 1 > self._caps.max_steps:
            self._refuse("max_steps", f"{self._caps.max_steps} steps")
        self._n_steps += 1

    def _refuse(self, cap: str, allowed: str) -> None:
        self.cap_hit = self.cap_hit or cap
        raise RequestRefusedError(429, "rollout_budget", f"this rollout has reached its cap {cap}: {allowed}")


def spend_of(usage: Usage) -> Spend:
    """Usage as a budget counts it; an unknown price adds no USD (a USD limit is refused for such a model)."""
    return Spend(usd=usage.usd or 0.0, tokens=usage.tokens)
