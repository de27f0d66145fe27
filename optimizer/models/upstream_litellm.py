"""The agent's own model at any provider litellm knows, behind the gateway."""

from __future__ import annotations

import json
from typing import cast

from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext, UpstreamReply
from optimizer.models.attempts import OutgoingCall, Unwatched, attempted
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.litellm_client import send_by_litellm
from optimizer.models.openai_wire import read_completion, usage_of
from optimizer.models.retry import RetryPolicy
from optimizer.models.throttle import Throttle, reserved_tokens


class LiteLLMUpstream:
    """Translates chat completions into the provider's own format and back."""

    is_external = True

    def __init__(
        self, endpoint: ModelEndpoint, *, retry: RetryPolicy | None = None, throttle: Throttle | None = None
    ) -> None:
        self._endpoint = endpoint
        self._retry = retry or RetryPolicy()
        self._throttle = throttle or Throttle()

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:  # noqa: ARG002 - never sent on
        """One chat completion. Raises ModelUnavailableError after retries, ModelError for a refused request."""
        return await self.deliver(OutgoingCall(wire="chat", request=request, watch=Unwatched()))

    async def deliver(self, call: OutgoingCall) -> UpstreamReply:
        """One chat completion, never streamed: litellm's chunks differ by provider. Raises like `chat`."""

        async def attempt() -> UpstreamReply:
            async with self._throttle.turn(reserved_tokens(call.request)) as turn:
                with attempted(call.watch) as one:
                    text = await send_by_litellm(call.request, self._endpoint, attempt=one)
                    usage = usage_of(read_completion(text), self._endpoint.price)
                turn.used(usage.tokens)
            return UpstreamReply(body=cast("JsonObject", json.loads(text)), usage=usage)

        return await self._retry.run(attempt)

    async def close(self) -> None:
        """Nothing to free: litellm keeps its own connections."""
