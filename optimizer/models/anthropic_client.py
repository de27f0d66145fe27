"""A LanguageModel on the Anthropic SDK."""

from __future__ import annotations

from typing import Any

from optimizer.domain.errors import ModelError
from optimizer.domain.model import Message, ModelReply, ModelTool
from optimizer.models.anthropic_wire import messages_body, read_answer, reply_of, system_body, tools_body
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.retry import RetryPolicy, TransientError, error_of_status


class AnthropicClient:
    """Messages of one model."""

    def __init__(self, endpoint: ModelEndpoint, *, retry: RetryPolicy | None = None) -> None:
        import anthropic

        self.name = endpoint.model
        self._endpoint = endpoint
        self._retry = retry or RetryPolicy()
        self._sdk = anthropic.AsyncAnthropic(
            api_key=endpoint.key_text, base_url=endpoint.base_url, timeout=endpoint.timeout_s, max_retries=0
        )

    async def complete(
        self, messages: tuple[Message, ...], *, tools: tuple[ModelTool, ...] = (), max_output_tokens: int = 8192
    ) -> ModelReply:
        """One call. Raises ModelUnavailableError after retries, ModelError for a refused request."""
        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages_body(messages),
            "max_tokens": max_output_tokens,
        }
        if system := system_body(messages):
            body["system"] = system
        if tools:
            body["tools"] = tools_body(tools)

        async def attempt() -> ModelReply:
            return reply_of(read_answer(await self._send(body)), self._endpoint.price)

        return await self._retry.run(attempt)

    async def _send(self, body: dict[str, Any]) -> str:
        import anthropic

        try:
            raw = await self._sdk.messages.with_raw_response.create(**body)
        except anthropic.AnthropicError as error:
            raise self._translated(error) from None
        answer: bytes = raw.http_response.content
        return self._endpoint.without_key(answer).decode("utf-8", "replace")

    def _translated(self, error: Exception) -> TransientError | ModelError:
        """The SDK's error in our words; never with the key in it."""
        import anthropic

        said = self._endpoint.scrubbed(str(error))
        if isinstance(error, anthropic.APITimeoutError):
            return TransientError(f"no answer within {self._endpoint.timeout_s:g} s")
        if isinstance(error, anthropic.APIConnectionError):
            cause = self._endpoint.scrubbed(str(error.__cause__ or ""))
            return TransientError(f"the connection to the provider failed: {said} {cause}".strip())
        if isinstance(error, anthropic.APIStatusError):
            return error_of_status(error.status_code, said, error.response.headers)
        return ModelError(f"the call could not be made: {said}")

    async def close(self) -> None:
        """Free connections."""
        await self._sdk.close()
