"""A LanguageModel on the OpenAI SDK, for OpenAI and every server that speaks its chat completions."""

from __future__ import annotations

from typing import Any, Literal

from optimizer.domain.model import Message, ModelReply, ModelTool
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.openai_wire import messages_body, read_completion, reply_of, tools_body
from optimizer.models.retry import RetryPolicy


class OpenAIClient:
    """Chat completions of one model."""

    def __init__(
        self,
        endpoint: ModelEndpoint,
        *,
        retry: RetryPolicy | None = None,
        output_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens",
    ) -> None:
        """`output_limit_field`: older compatible servers know only `max_tokens`."""
        import openai

        self.name = endpoint.model
        self._endpoint = endpoint
        self._retry = retry or RetryPolicy()
        self._output_limit_field = output_limit_field
        self._sdk = openai.AsyncOpenAI(
            api_key=endpoint.key_text, base_url=endpoint.base_url, timeout=endpoint.timeout_s, max_retries=0
        )

    async def complete(
        self, messages: tuple[Message, ...], *, tools: tuple[ModelTool, ...] = (), max_output_tokens: int = 8192
    ) -> ModelReply:
        """One call. Raises ModelUnavailableError after retries, ModelError for a refused request."""
        body: dict[str, Any] = {
            "model": self.name,
            "messages": messages_body(messages),
            self._output_limit_field: max_output_tokens,
        }
        if tools:
            body["tools"] = tools_body(tools)

        async def attempt() -> ModelReply:
            return reply_of(read_completion(await self._send(body)), self._endpoint.price)

        return await self._retry.run(attempt)

    async def _send(self, body: dict[str, Any]) -> str:
        import openai

        from optimizer.models.openai_errors import translated

        try:
            raw = await self._sdk.chat.completions.with_raw_response.create(**body)
        except openai.OpenAIError as error:
            raise translated(error, self._endpoint) from None
        answer: bytes = raw.http_response.content
        return self._endpoint.without_key(answer).decode("utf-8", "replace")

    async def close(self) -> None:
        """Free connections."""
        await self._sdk.close()
