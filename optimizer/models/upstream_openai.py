"""The agent's own model at an OpenAI-compatible endpoint, behind the gateway."""

from __future__ import annotations

import json
from typing import cast

from optimizer.domain.errors import ModelError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext, UpstreamReply, WireFormat
from optimizer.domain.trace import Usage
from optimizer.models.attempts import OutgoingCall, Unwatched, attempted
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.http_provider import HttpProvider
from optimizer.models.openai_wire import read_completion, usage_of
from optimizer.models.responses_wire import read_response
from optimizer.models.retry import RetryPolicy
from optimizer.models.streamed import fetched
from optimizer.models.throttle import Throttle, reserved_tokens


class OpenAIUpstream:
    """Passes requests on as they are, over plain HTTP: the body is already what the wire wants."""

    is_external = True

    def __init__(
        self,
        endpoint: ModelEndpoint,
        *,
        retry: RetryPolicy | None = None,
        throttle: Throttle | None = None,
        is_responses_native: bool = False,
    ) -> None:
        """`endpoint.base_url` ends in the API's version, as in `/v1`; the model is the one the gateway pins.

        `is_responses_native`: whether the server knows `responses`, which compatible ones often do not.
        """
        if endpoint.base_url is None:
            raise ModelError("an upstream needs a base URL, such as http://localhost:8000/v1")
        spoken: tuple[WireFormat, ...] = ("chat", "responses") if is_responses_native else ("chat",)
        self.native_formats: frozenset[WireFormat] = frozenset(spoken)
        self._endpoint = endpoint
        self._retry = retry or RetryPolicy()
        self._throttle = throttle or Throttle()
        headers = {"authorization": f"Bearer {endpoint.key_text}"} if endpoint.key else {}
        self._http = HttpProvider(
            endpoint, endpoint.base_url, headers=headers, max_connections=self._throttle.limits.max_concurrent
        )

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:
        """One chat completion. Raises ModelUnavailableError after retries, ModelError for a refused request."""
        return await self.send("chat", request, context)

    async def send(self, wire: WireFormat, request: JsonObject, context: CallContext) -> UpstreamReply:  # noqa: ARG002 - the context is never sent on
        """One call in a native format. Raises like `chat`."""
        return await self.deliver(OutgoingCall(wire=wire, request=request, watch=Unwatched()))

    async def deliver(self, call: OutgoingCall) -> UpstreamReply:
        """One call in a native format; streamed when there is a relay. Raises like `chat`."""
        path = "responses" if call.wire == "responses" else "chat/completions"

        async def attempt() -> UpstreamReply:
            async with self._throttle.turn(reserved_tokens(call.request)) as turn:
                with attempted(call.watch) as one:
                    answer = await fetched(self._http, path, call, one)
                    usage = self._metered(call.wire, answer)
                turn.used(usage.tokens)
            return UpstreamReply(body=cast("JsonObject", json.loads(answer)), usage=usage)

        return await self._retry.run(attempt)

    def _metered(self, wire: WireFormat, answer: bytes) -> Usage:
        if wire == "responses":
            return read_response(answer).metered(self._endpoint.price)
        return usage_of(read_completion(answer), self._endpoint.price)

    async def close(self) -> None:
        """Free connections."""
        await self._http.close()
