"""A LanguageModel on litellm, for the providers that have neither of the two native formats."""

from __future__ import annotations

import os
import warnings
from types import ModuleType
from typing import Any

from optimizer.domain.json import JsonObject
from optimizer.domain.model import Message, ModelReply, ModelTool
from optimizer.models.attempts import Attempt
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.openai_wire import messages_body, read_completion, reply_of, tools_body
from optimizer.models.retry import RetryPolicy


class LiteLLMClient:
    """Any model litellm can reach, named `provider/model`."""

    def __init__(self, endpoint: ModelEndpoint, *, retry: RetryPolicy | None = None) -> None:
        self.name = endpoint.model
        self._endpoint = endpoint
        self._retry = retry or RetryPolicy()

    async def complete(
        self, messages: tuple[Message, ...], *, tools: tuple[ModelTool, ...] = (), max_output_tokens: int = 8192
    ) -> ModelReply:
        """One call. Raises ModelUnavailableError after retries, ModelError for a refused request."""
        body: dict[str, Any] = {"messages": messages_body(messages), "max_tokens": max_output_tokens}
        if tools:
            body["tools"] = tools_body(tools)

        async def attempt() -> ModelReply:
            text = await send_by_litellm(body, self._endpoint)
            return reply_of(read_completion(text), self._endpoint.price)

        return await self._retry.run(attempt)

    async def close(self) -> None:
        """Nothing to free: litellm keeps its own connections."""


async def send_by_litellm(body: JsonObject, endpoint: ModelEndpoint, *, attempt: Attempt | None = None) -> str:
    """One attempt of one call; the answer as chat-completions JSON. `attempt` learns whether an error is billed.

    Raises:
        TransientError: for what may pass.
        ModelError: for the rest.
    """
    litellm = load_litellm()
    import openai

    from optimizer.models.openai_errors import translated

    try:
        response = await litellm.acompletion(
            **{**body, "model": endpoint.model},
            api_key=endpoint.key_text,
            api_base=endpoint.base_url,
            timeout=endpoint.timeout_s,
            num_retries=0,
            max_retries=0,
            _skip_mcp_handler=True,  # or any call with tools imports litellm's proxy, whose dependencies are optional
        )
    except openai.OpenAIError as error:
        status = getattr(error, "status_code", None)
        if attempt is not None and isinstance(status, int) and not isinstance(error, openai.APIConnectionError):
            attempt.note_status(status)  # litellm gives its time-outs and broken connections a status of its own
        raise translated(error, endpoint) from None
    text: str = response.model_dump_json()
    return endpoint.without_key(text.encode("utf-8", "replace")).decode("utf-8")


def load_litellm() -> ModuleType:
    """Import litellm (seconds, the first time) so that it neither fetches a price map nor chats on stdout."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations in its own dependencies are not ours to act on
        import litellm

        litellm.ModelResponse()  # builds its schemas, here where their warnings end
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    module: ModuleType = litellm
    return module
