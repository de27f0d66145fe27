"""How fast one provider is asked: calls at the same time, requests per minute, tokens per minute.

Each attempt takes its turn, retries included, since a provider counts those too. Not covered: other programs that use
the same key, and limits of input and output tokens apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from optimizer.domain.json import JsonObject, canonical_json

_MINUTE_S = 60.0
_BYTES_PER_TOKEN = 4
_BURST_S = 10.0
"""A bucket holds this much of a minute: a burst after a pause stays far below what a provider counts per minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleLimits:
    """Limits towards one provider; None means no limit of that kind."""

    max_concurrent: int = 64
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class _Bucket:
    """Tokens that flow in steadily. It may go into debt: whoever comes next waits until it is paid."""

    def __init__(self, per_minute: int | None, clock: Callable[[], float]) -> None:
        self._rate = None if per_minute is None else per_minute / _MINUTE_S
        self._room = max(1.0, (self._rate or 0.0) * _BURST_S)
        self._level = self._room
        self._clock = clock
        self._seen = clock()

    def wait_s(self, amount: float) -> float:
        """Seconds until an amount may be taken; more than the bucket holds may be taken when it is full."""
        if self._rate is None:
            return 0.0
        now = self._clock()
        self._level = min(self._room, self._level + (now - self._seen) * self._rate)
        self._seen = now
        missing = min(amount, self._room) - self._level
        return 0.0 if missing <= 1e-9 else math.nextafter(missing / self._rate, math.inf)

    def take(self, amount: float) -> None:
        """Take an amount, or give one back."""
        self._level -= amount


class Turn:
    """One attempt that has been let through."""

    def __init__(self, tokens: _Bucket, reserved: int) -> None:
        self._tokens = tokens
        self._reserved = reserved

    def used(self, n_tokens: int) -> None:
        """Correct the guess by what the provider has counted."""
        self._tokens.take(n_tokens - self._reserved)
        self._reserved = n_tokens


class Throttle:
    """The gate in front of one provider. First come, first served."""

    def __init__(
        self,
        limits: ThrottleLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.limits = limits or ThrottleLimits()
        self._sleep = sleep
        self._requests = _Bucket(self.limits.requests_per_minute, clock)
        self._tokens = _Bucket(self.limits.tokens_per_minute, clock)
        self._slots = anyio.CapacityLimiter(self.limits.max_concurrent)
        self._queue = anyio.Lock()

    @asynccontextmanager
    async def turn(self, n_tokens: int) -> AsyncIterator[Turn]:
        """Wait for a slot and for the minute's room, then hold the slot."""
        async with self._slots:
            async with self._queue:
                while (wait_s := max(self._requests.wait_s(1), self._tokens.wait_s(n_tokens))) > 0:
                    await self._sleep(wait_s)
                self._requests.take(1)
                self._tokens.take(n_tokens)
            yield Turn(self._tokens, n_tokens)


def reserved_tokens(request: JsonObject) -> int:
    """A guess at what a request will be counted as, before it is sent: its text, and the output it allows."""
    names = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    limits = [value for name in names if isinstance(value := request.get(name), int)]
    return len(canonical_json(request)) // _BYTES_PER_TOKEN + max(limits, default=0)
