"""One provider over plain HTTP: a body goes out as it is, an answer or an error in our words comes back."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from optimizer.domain.json import JsonObject
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.retry import TransientError, error_of_status


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

    async def post(self, path: str, request: JsonObject) -> bytes:
        """One attempt; the body of a 200.

        Raises:
            TransientError: for what may pass.
            ModelError: for the rest.
        """
        try:
            response = await self._http.post(path, json=request)
        except httpx.TimeoutException:
            raise TransientError(f"no answer within {self._endpoint.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = self._endpoint.scrubbed(f"{type(error).__name__} {error}")
            raise TransientError(f"the connection to the provider failed: {said}") from None
        if response.status_code != httpx.codes.OK:
            raise error_of_status(response.status_code, self._endpoint.scrubbed(response.text), response.headers)
        return self._endpoint.without_key(response.content)

    async def close(self) -> None:
        """Free connections."""
        await self._http.aclose()
