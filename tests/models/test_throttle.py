from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import pytest

from optimizer.models.throttle import Throttle, ThrottleLimits, reserved_tokens

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    """Time that passes only while somebody sleeps."""

    now: float = 0.0
    waits: list[float] = field(default_factory=list)

    def read(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()

    def throttle(self, limits: ThrottleLimits) -> Throttle:
        return Throttle(limits, clock=self.read, sleep=self.sleep)


async def many(throttle: Throttle, n: int, *, n_tokens: int = 10, used: int = 10) -> None:
    for _ in range(n):
        async with throttle.turn(n_tokens) as turn:
            turn.used(used)


async def test_without_limits_nobody_waits() -> None:
    clock = Clock()
    await many(clock.throttle(ThrottleLimits()), 100)
    assert clock.waits == []


async def test_requests_per_minute_hold_over_minutes() -> None:
    clock = Clock()
    await many(clock.throttle(ThrottleLimits(requests_per_minute=60)), 190)
    assert clock.now == pytest.approx(180.0)  # a burst of ten seconds' worth, then one a second


async def test_tokens_per_minute_are_those_the_provider_counts() -> None:
    clock = Clock()
    await many(clock.throttle(ThrottleLimits(tokens_per_minute=600)), 121, n_tokens=50, used=10)
    assert clock.now == pytest.approx(115.0, abs=5.0)  # 1210 tokens at ten a second, guessed five times too high


async def test_a_request_larger_than_the_burst_goes_when_the_bucket_is_full_and_is_paid_off() -> None:
    clock = Clock()
    throttle = clock.throttle(ThrottleLimits(tokens_per_minute=600))
    await many(throttle, 1, n_tokens=1000, used=1000)
    await many(throttle, 1, n_tokens=10)
    assert clock.now == pytest.approx(91.0)


async def test_so_many_at_a_time_and_no_more() -> None:
    throttle, inside, most = Throttle(ThrottleLimits(max_concurrent=3)), 0, 0

    async def call() -> None:
        nonlocal inside, most
        async with throttle.turn(1):
            inside += 1
            most = max(most, inside)
            for _ in range(9):
                await anyio.lowlevel.checkpoint()
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(call)
    assert most == 3


def test_a_request_is_guessed_from_its_text_and_the_output_it_allows() -> None:
    assert reserved_tokens({"messages": "x" * 400, "max_tokens": 50}) == pytest.approx(155, abs=10)
    assert reserved_tokens({"max_output_tokens": 7}) < 20
