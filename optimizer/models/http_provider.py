"""One provider over plain HTTP: a body goes out as it is, an answer or an error in our words comes back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import anyio
import httpx

from optimizer.domain.errors import ModelUnavailableError
from optimizer.domain.json import JsonObject
from optimizer.models.attempts import Attempt
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.retry import TransientError, error_of_status
from optimizer.models.sse import EventReader

MAX_ANSWER_BYTES = 64 * 2**20
"""More of one answer is not taken: it would fill this process's memory."""
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class HttpProvider:
    """Connections to one base URL."""

    def __init__(
        self, endpoint: ModelEndpoint, base_url: str, *, headers: Mapping[str, str], max_connections: int
    ) -> None:
        self._endpoint = endpoint
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(endpoint.timeout_s, connect=min(10.0, endpoint.timeout_s), pool=None),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            headers=headers,
            trust_env=False,
        )

    async def post(self, path: str, request: JsonObject, attempt: Attempt) -> bytes:
        """One attempt; the body of a 200.

        Raises:
            TransientError: for what may pass.
            ModelError: for the rest.
        """
        with self._in_our_words(attempt), anyio.fail_after(self._endpoint.timeout_s):
            async with self._http.stream("POST", path, json=request) as response:
                body = await _read(response)
        self._require_ok(response.status_code, body, response.headers, attempt)
        return self._endpoint.without_key(body)

    async def events(
        self, path: str, request: JsonObject, attempt: Attempt, take: Callable[[str], Awaitable[None]]
    ) -> bytes | None:
        """One attempt that asks for a stream; `take` gets the data of each event as it arrives.

        A server that does not stream answers as a whole: the body of its 200 is returned then, and None otherwise. The
        time limit is for the whole answer. Raises like `post`.
        """
        with self._in_our_words(attempt), anyio.fail_after(self._endpoint.timeout_s):
            async with self._http.stream("POST", path, json=request) as response:
                if response.status_code != httpx.codes.OK or not _is_stream(response):
                    body = await _read(response)
                    self._require_ok(response.status_code, body, response.headers, attempt)
                    return self._endpoint.without_key(body)
                reader = EventReader()
                async for piece in _bounded(response):
                    for data in reader.feed(piece):
                        await take(self._endpoint.without_key(data.encode("utf-8")).decode("utf-8"))
        return None

    def _require_ok(self, status: int, body: bytes, headers: Mapping[str, str], attempt: Attempt) -> None:
        if status != httpx.codes.OK:
            attempt.note_status(status)
            raise error_of_status(status, self._endpoint.scrubbed(body.decode("utf-8", "replace")), headers)

    @contextmanager
    def _in_our_words(self, attempt: Attempt) -> Iterator[None]:
        try:
            yield
        except (httpx.TimeoutException, TimeoutError) as error:
            attempt.is_refused = isinstance(error, _NEVER_SENT)
            raise TransientError(f"no answer within {self._endpoint.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            attempt.is_refused = isinstance(error, (*_NEVER_SENT, httpx.InvalidURL))
            said = self._endpoint.scrubbed(f"{type(error).__name__} {error}")
            raise TransientError(f"the connection to the provider failed: {said}") from None

    def without_key(self, body: bytes) -> bytes:
        """An answer that was put together from pieces, in case the provider's key is repeated across them."""
        return self._endpoint.without_key(body)

    async def close(self) -> None:
        """Free connections."""
        await self._http.aclose()


def _is_stream(response: httpx.Response) -> bool:
    return "text/event-stream" in response.headers.get("content-type", "")


async def _read(response: httpx.Response) -> bytes:
    return b"".join([piece async for piece in _bounded(response)])


async def _bounded(response: httpx.Response) -> AsyncIterator[bytes]:
    n_bytes = 0
    async for piece in response.aiter_bytes():
        n_bytes += len(piece)
        if n_bytes > MAX_ANSWER_BYTES:
            raise ModelUnavailableError(
                f"the provider's answer has more than {MAX_ANSWER_BYTES} bytes; none is this long"
            )
        yield piece
