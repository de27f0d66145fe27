"""The OpenAI responses format: a provider's answer out of it, as far as it is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from optimizer.domain.trace import Usage
from optimizer.models.openai_wire import not_an_answer
from optimizer.models.prices import ModelPrice


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _InputDetails(_Read):
    cached_tokens: int | None = None


class _OutputDetails(_Read):
    reasoning_tokens: int | None = None


class _Usage(_Read):
    input_tokens: int
    output_tokens: int
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Item(_Read):
    type: str
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    content: list[dict[str, JsonValue]] | None = None


class ResponseAnswer(_Read):
    """A finished response; `failed`, `cancelled` and `queued` ones are no answers."""

    status: Literal["completed", "incomplete"]
    output: list[_Item]
    usage: _Usage

    def metered(self, price: ModelPrice | None) -> Usage:
        """Metered usage, to the token as the provider counts."""
        prompt, output = self.usage.input_tokens_details, self.usage.output_tokens_details
        usage = Usage(
            input_tokens=self.usage.input_tokens,
            cached_tokens=(prompt.cached_tokens if prompt else None) or 0,
            output_tokens=self.usage.output_tokens,
            reasoning_tokens=(output.reasoning_tokens if output else None) or 0,
            n_calls=1,
        )
        return replace(usage, usd=price.usd(usage) if price else None)


def read_response(text: str | bytes) -> ResponseAnswer:
    """Parse an answer. Raises TransientError for what is none."""
    try:
        return ResponseAnswer.model_validate_json(text)
    except ValidationError as error:
        raise not_an_answer(text, error) from error
