"""The agent's own model at an OpenAI-compatible endpoint, behind the gateway."""

from __future__ import annotations

import json
from typing import cast

import anyio
import httpx

from optimizer.domain.errors import ModelError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext, UpstreamReply
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.openai_wire import read_completion, usage_of
from optimizer.models.retry import RetryPolicy, TransientError, error_of_status


class OpenAIUpstream:
    """Passes requests on as they are, over plain HTTP: the body is already what the wire wants."""

    is_external = True

    def __init__(
        self, endpoint: ModelEndpoint, *, retry: RetryPolicy | None = None, max_concurrent_calls: int = 64
    ) -> None:
        """`endpoint.base_url` ends in the API's version, as in `/v1`; the model is the one the gateway pins."""
        if endpoint.base_url is None:
            raise ModelError("an upstream needs a base URL, such as http://localhost:8000/v1")
        self._endpoint = endpoint
        self._retry = retry or RetryPolicy()
        self._slots = anyio.CapacityLimiter(max_concurrent_calls)
        self._http = httpx.AsyncClient(
            base_url=endpoint.base_url,
            timeout=httpx.Timeout(endpoint.timeout_s, connect=min(10.0, endpoint.timeout_s), pool=None),
            limits=httpx.Limits(max_connections=max_concurrent_calls, max_keepalive_connections=max_concurrent_calls),
            headers={"authorization": f"Bearer {endpoint.key_text}"} if endpoint.key else None,
            trust_env=False,
        )

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:  # noqa: ARG002 - never sent on
        """One chat completion. Raises ModelUnavailableError after retries, ModelError for a refused request."""

        async def attempt() -> UpstreamReply:
            async with self._slots:
                return self._read(await self._send(request))

        return await self._retry.run(attempt)

    def _read(self, response: httpx.Response) -> UpstreamReply:
        if response.status_code != httpx.codes.OK:
            raise error_of_status(response.status_code, self._endpoint.scrubbed(response.text), response.headers)
        usage = usage_of(read_completion(response.content), self._endpoint.price)
        return UpstreamReply(body=cast("JsonObject", json.loads(response.content)), usage=usage)

    async def _send(self, request: JsonObject) -> httpx.Response:
        try:
            return await self._http.post("chat/completions", json=request)
        except httpx.TimeoutException:
            raise TransientError(f"no answer within {self._endpoint.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = self._endpoint.scrubbed(f"{type(error).__name__} {error}")
            raise TransientError(f"the connection to the provider failed: {said}") from None

    async def close(self) -> None:
        """Free connections."""
        await self._http.aclose()
