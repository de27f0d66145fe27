from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from optimizer.models.retry import RetryPolicy
from tests.models.wire_server import WireServer, wire_server


@dataclass
class Waits:
    """A retry policy whose waits are written down instead of waited."""

    seconds: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def policy(self, attempts: int = 4) -> RetryPolicy:
        return RetryPolicy(attempts=attempts, sleep=self.sleep)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with wire_server() as server:
        yield server
