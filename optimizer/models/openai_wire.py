"""The OpenAI chat-completions format: our messages into it, a provider's answer out of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from optimizer.domain.errors import ModelUnavailableError
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import Message, ModelReply, ModelTool, ModelToolCall
from optimizer.domain.trace import Usage
from optimizer.models.prices import ModelPrice
from optimizer.models.retry import TransientError

_SHOWN_CHARS = 200


class _Read(BaseModel):
    """Providers add fields as they like; the ones named here are what we rely on."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _PromptDetails(_Read):
    cached_tokens: int | None = None


class _CompletionDetails(_Read):
    reasoning_tokens: int | None = None


class _Usage(_Read):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Function(_Read):
    name: str
    arguments: str | dict[str, JsonValue] = ""


class _Call(_Read):
    id: str = ""
    function: _Function


class _KeptByLiteLLM(_Read):
    refusal: str | None = None


class _Message(_Read):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None
    provider_specific_fields: _KeptByLiteLLM | None = None

    @property
    def refused(self) -> str:
        """The words of a refusal, from either of its two places; empty when there is none."""
        return self.refusal or (self.provider_specific_fields and self.provider_specific_fields.refusal) or ""


class _Choice(_Read):
    message: _Message
    finish_reason: str | None = None


class Completion(_Read):
    """A provider's answer, as far as we read it."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def read_completion(text: str | bytes) -> Completion:
    """Parse an answer. Raises TransientError for what is no chat completion: half an answer, a proxy's page."""
    try:
        return Completion.model_validate_json(text)
    except ValidationError as error:
        raise not_an_answer(text, error) from error


def not_an_answer(text: str | bytes, error: ValidationError) -> TransientError:
    """The error for a 200 whose body is not what the provider documents."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return TransientError(f"the provider's answer cannot be read ({place}: {first['msg']}): {shown[:_SHOWN_CHARS]!r}")


def usage_of(completion: Completion, price: ModelPrice | None) -> Usage:
    """Metered usage, to the token as the provider counts. Raises ModelUnavailableError when it does not."""
    counted = completion.usage
    if counted is None:
        raise ModelUnavailableError("the provider reports no token usage, so its calls cannot be metered; use another")
    prompt, output = counted.prompt_tokens_details, counted.completion_tokens_details
    usage = Usage(
        input_tokens=counted.prompt_tokens,
        cached_tokens=(prompt.cached_tokens if prompt else None) or 0,
        output_tokens=counted.completion_tokens,
        reasoning_tokens=(output.reasoning_tokens if output else None) or 0,
        n_calls=1,
    )
    return replace(usage, usd=price.usd(usage) if price else None)


def reply_of(completion: Completion, price: ModelPrice | None) -> ModelReply:
    """The answer in our words."""
    choice = completion.choices[0]
    calls = choice.message.tool_calls or ()
    return ModelReply(
        text=choice.message.content or choice.message.refused,
        tool_calls=tuple(
            ModelToolCall(id=call.id, name=call.function.name, arguments=arguments_of(call.function.arguments))
            for call in calls
        ),
        stop=_stop_of(choice),
        usage=usage_of(completion, price),
    )


def arguments_of(spelled: str | JsonObject) -> JsonObject:
    """Parsed tool arguments; what is not a JSON object is kept as `{"_malformed": text}` for the caller to judge."""
    if not isinstance(spelled, str):
        return spelled
    if not spelled.strip():
        return {}  # how some providers spell a call without arguments
    try:
        parsed: Json = json.loads(spelled)
    except (ValueError, RecursionError):
        return {"_malformed": spelled}
    return parsed if isinstance(parsed, dict) else {"_malformed": spelled}


def _stop_of(choice: _Choice) -> Literal["end", "tool_use", "length", "refusal"]:
    if choice.message.refused or choice.finish_reason == "content_filter":
        return "refusal"
    if choice.finish_reason == "length":
        return "length"
    return "tool_use" if choice.message.tool_calls else "end"


def messages_body(messages: tuple[Message, ...]) -> list[JsonObject]:
    """Our messages on the wire."""
    return [_message_body(message) for message in messages]


def _message_body(message: Message) -> JsonObject:
    body: dict[str, Json] = {"role": message.role, "content": message.text}
    if message.role == "tool":
        body["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        body["content"] = message.text or None
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return body


def tools_body(tools: tuple[ModelTool, ...]) -> list[JsonObject]:
    """Our tools on the wire."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]
