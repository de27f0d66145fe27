"""The agent's own model at Anthropic, or a server that speaks its messages format, behind the gateway."""

from __future__ import annotations

import json
from typing import cast

from optimizer.domain.errors import ModelError
from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext, UpstreamReply, WireFormat
from optimizer.models.anthropic_wire import read_answer, usage_of_answer
from optimizer.models.attempts import OutgoingCall, Unwatched, attempted
from optimizer.models.chat_messages import completion_from_message, messages_from_chat
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.http_provider import HttpProvider
from optimizer.models.retry import RetryPolicy
from optimizer.models.streamed import fetched
from optimizer.models.throttle import Throttle, reserved_tokens

ORIGIN = "https://api.anthropic.com"
_VERSION = "2023-06-01"


class AnthropicUpstream:
    """Passes messages requests on as they are, and translates chat completions into them."""

    is_external = True
    native_formats: frozenset[WireFormat] = frozenset({"messages"})

    def __init__(
        self, endpoint: ModelEndpoint, *, retry: RetryPolicy | None = None, throttle: Throttle | None = None
    ) -> None:
        """`endpoint.base_url` is the server's origin, as in the SDK: paths begin with `/v1`."""
        self._endpoint = endpoint
        self._retry = retry or RetryPolicy()
        self._throttle = throttle or Throttle()
        headers = {"anthropic-version": _VERSION} | ({"x-api-key": endpoint.key_text} if endpoint.key else {})
        self._http = HttpProvider(
            endpoint,
            endpoint.base_url or ORIGIN,
            headers=headers,
            max_connections=self._throttle.limits.max_concurrent,
        )

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:  # noqa: ARG002 - the context is never sent on
        """One chat completion. Raises ModelUnavailableError after retries, ModelError for a refused request."""
        return await self.deliver(OutgoingCall(wire="chat", request=request, watch=Unwatched()))

    async def send(self, wire: WireFormat, request: JsonObject, context: CallContext) -> UpstreamReply:  # noqa: ARG002 - the context is never sent on
        """One call in the messages format. Raises like `chat`."""
        return await self.deliver(OutgoingCall(wire=wire, request=request, watch=Unwatched()))

    async def deliver(self, call: OutgoingCall) -> UpstreamReply:
        """One call; streamed when there is a relay and the format is native. Raises like `chat`."""
        if call.wire == "responses":
            raise ModelError(f"this upstream does not speak {call.wire}")
        if call.wire == "messages":
            return await self._delivered(call)
        translated = OutgoingCall(wire="messages", request=messages_from_chat(call.request), watch=call.watch)
        reply = await self._delivered(translated)
        return UpstreamReply(body=completion_from_message(reply.body), usage=reply.usage)

    async def _delivered(self, call: OutgoingCall) -> UpstreamReply:
        async def attempt() -> UpstreamReply:
            async with self._throttle.turn(reserved_tokens(call.request)) as turn:
                with attempted(call.watch) as one:
                    answer = await fetched(self._http, "/v1/messages", call, one)
                    usage = usage_of_answer(read_answer(answer), self._endpoint.price)
                turn.used(usage.tokens)
            return UpstreamReply(body=cast("JsonObject", json.loads(answer)), usage=usage)

        return await self._retry.run(attempt)

    async def close(self) -> None:
        """Free connections."""
        await self._http.close()
