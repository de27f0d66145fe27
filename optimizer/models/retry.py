"""When a provider is asked again, and how long that waits.

A retry does not know what the attempts before it cost. Calls of the agent's model tell it, attempt by attempt, to
`optimizer.models.attempts`, and what may have been billed without an answer is kept as lost money. The optimizer's own
calls (proposing, diagnosing) do not: their usage is that of the answered attempt alone, so attempts that timed out or
broke off, at most `RetryPolicy.attempts - 1` per call, are missing in what `hone status` shows for proposals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import anyio
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from optimizer.domain.errors import ModelError, ModelUnavailableError

T = TypeVar("T")

_RETRIED = frozenset({408, 409, 425, 429, 529})
_UNUSABLE = frozenset({401, 402, 403, 404})
_OUT_OF_CREDIT = ("insufficient_quota", "exceeded your current quota", "credit balance is too low")


class TransientError(Exception):
    """A failure that may pass; lives inside the models room only."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with full jitter; a Retry-After is a lower bound."""

    attempts: int = 6
    """All tries, the first one included."""
    base_s: float = 1.0
    """Upper bound of the first wait; doubles each time."""
    longest_wait_s: float = 60.0
    """Upper bound of every wait, also of one the provider asks for."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    """Replaced in tests by one that writes the waits down."""

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call until it succeeds.

        Raises:
            ModelUnavailableError: when the last attempt failed in a passing way too.
            ModelError: at once, whatever the attempt raised that does not pass.
        """
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.attempts),
            wait=self._wait_s,
            retry=retry_if_exception_type(TransientError),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return await retrying(attempt)
        except TransientError as error:
            raise ModelUnavailableError(f"{error} (after {self.attempts} attempts)") from error

    def _wait_s(self, state: RetryCallState) -> float:
        backoff_s = wait_random_exponential(multiplier=self.base_s, max=self.longest_wait_s)(state)
        failure = state.outcome.exception() if state.outcome else None
        asked_s = failure.retry_after_s if isinstance(failure, TransientError) else None
        return backoff_s if asked_s is None else min(max(asked_s, backoff_s), self.longest_wait_s)


def error_of_status(status: int, message: str, headers: Mapping[str, str]) -> TransientError | ModelError:
    """What an HTTP error of a provider means for us."""
    said = f"HTTP {status}: {message}"
    if any(mark in message for mark in _OUT_OF_CREDIT):
        return ModelUnavailableError(f"the provider's account has no credit left: {said}")
    if status in _RETRIED or status >= 500:
        return TransientError(said, retry_after_s=retry_after_s(headers))
    if status in _UNUSABLE:
        return ModelUnavailableError(f"the provider will not serve this model to this key; check both: {said}")
    return ModelError(said)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds a provider asks us to wait: a number, a number of milliseconds or a date; None when it says nothing."""
    for name, per_second in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "")
        if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
            return float(text) / per_second
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
