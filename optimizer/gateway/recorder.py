"""A call recorder in memory, and turns for calls that two rollouts are about to buy at the same time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio

from optimizer.domain.recording import IntendedCall, RecordedCall

CallKey: TypeAlias = tuple[str, str, int]
"""luck, request hash, occurrence."""


class MemoryCallRecorder:
    """A recorder that forgets everything at exit."""

    def __init__(self) -> None:
        self.calls: dict[CallKey, RecordedCall] = {}
        self.open: dict[int, IntendedCall] = {}
        self.lost: list[IntendedCall] = []
        self._n_intents = 0

    def recorded(self, luck: str, request_hash: str, occurrence: int) -> RecordedCall | None:
        """The call, when it has been made before."""
        return self.calls.get((luck, request_hash, occurrence))

    def intend(self, call: IntendedCall) -> int:
        """Keep that a call is about to be made."""
        self._n_intents += 1
        self.open[self._n_intents] = call
        return self._n_intents

    def withdraw(self, intent: int) -> None:
        """Forget a call that is not billed."""
        del self.open[intent]

    def lose(self, intent: int) -> None:
        """Keep a call that broke off."""
        self.lost.append(self.open.pop(intent))

    def record(self, call: RecordedCall, *, intent: int | None = None) -> None:
        """Keep a call; one that is there already stays as it is."""
        if intent is not None:
            del self.open[intent]
        self.calls.setdefault((call.luck, call.request_hash, call.occurrence), call)


@dataclass(slots=True)
class _Queue:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    n_waiting: int = 0


class PurchaseTurns:
    """One buyer per call: a second rollout with the same luck and request waits, and then finds the recording."""

    def __init__(self) -> None:
        self._queues: dict[CallKey, _Queue] = {}

    @asynccontextmanager
    async def turn(self, key: CallKey) -> AsyncIterator[None]:
        """Hold the only turn for a key. The next in line gets it when the first is done, or has failed."""
        queue = self._queues.setdefault(key, _Queue())
        queue.n_waiting += 1
        try:
            async with queue.lock:
                yield
        finally:
            queue.n_waiting -= 1
            if queue.n_waiting == 0:
                del self._queues[key]
