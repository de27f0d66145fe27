"""Hard limits: reserved before, settled after; running out is a planned stop.

What it does not count: the CPU and electricity of the machine that runs the rollouts, and tokens a provider
charges for calls it never answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from optimizer.domain.errors import BudgetExhaustedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Amounts, spent or about to be."""

    usd: float = 0.0
    tokens: int = 0
    rollouts: int = 0
    candidates: int = 0

    def __add__(self, other: Spend) -> Spend:
        """Sum of both."""
        return Spend(
            usd=self.usd + other.usd,
            tokens=self.tokens + other.tokens,
            rollouts=self.rollouts + other.rollouts,
            candidates=self.candidates + other.candidates,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLimits:
    """Limits of a campaign; None means no limit of that kind."""

    usd: float | None = None
    tokens: int | None = None
    rollouts: int | None = None
    candidates: int | None = None
    hours: float | None = None
    """Wall time over all sessions of the campaign; watched by the loop, which has the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money set aside for work that is about to start."""

    amount: Spend


class Budget:
    """The account of one campaign. Deterministic: the same calls in the same order end at the same place."""

    def __init__(self, limits: BudgetLimits) -> None:
        self.limits = limits
        self.spent = Spend()
        self.reserved = Spend()

    def reserve(self, amount: Spend) -> Reservation:
        """Set an amount aside.

        Raises:
            BudgetExhaustedError: when spent + reserved + amount would pass a limit; nothing is set aside then.
        """
        wanted = self.spent + self.reserved + amount
        for name in ("usd", "tokens", "rollouts", "candidates"):
            limit = getattr(self.limits, name)
            if limit is not None and getattr(wanted, name) > limit + 1e-9:
                raise BudgetExhaustedError(
                    name,
                    f"the {name} budget is used up: {getattr(self.spent, name):.6g} of {limit:.6g} spent,"
                    f" the next step may need {getattr(amount, name):.6g}. Raise [budget] {name} and `hone resume`.",
                )
        self.reserved = self.reserved + amount
        return Reservation(amount=amount)

    def settle(self, reservation: Reservation, actual: Spend) -> None:
        """Replace a reservation by what the work really took, which may be less or (a late bill) more."""
        held = reservation.amount
        self.reserved = replace(
            self.reserved,
            usd=max(0.0, self.reserved.usd - held.usd),
            tokens=self.reserved.tokens - held.tokens,
            rollouts=self.reserved.rollouts - held.rollouts,
            candidates=self.reserved.candidates - held.candidates,
        )
        self.spent = self.spent + actual
