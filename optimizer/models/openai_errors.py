"""The OpenAI SDK's errors in our words; litellm raises the same classes."""

from __future__ import annotations

from collections.abc import Mapping

import openai

from optimizer.domain.errors import ModelError
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.retry import TransientError, error_of_status


def translated(error: openai.OpenAIError, endpoint: ModelEndpoint) -> TransientError | ModelError:
    """What a failed call means for us; never with the key in it."""
    said = endpoint.scrubbed(str(error))
    if isinstance(error, openai.APITimeoutError):
        return TransientError(f"no answer within {endpoint.timeout_s:g} s")
    if isinstance(error, openai.APIConnectionError):
        cause = endpoint.scrubbed(str(error.__cause__ or ""))
        return TransientError(f"the connection to the provider failed: {said} {cause}".strip())
    if isinstance(error, openai.APIStatusError):
        return error_of_status(error.status_code, said, headers_of(error))
    status = getattr(error, "status_code", None)  # litellm puts a status it has no class for on the base class
    if isinstance(status, int):
        return error_of_status(status, said, headers_of(error))
    return ModelError(f"the call could not be made: {said}")


def headers_of(error: openai.OpenAIError) -> Mapping[str, str]:
    """The provider's response headers; litellm replaces the response, and keeps its headers beside it."""
    kept = getattr(error, "litellm_response_headers", None)
    if isinstance(kept, Mapping):
        return kept
    return error.response.headers if isinstance(error, openai.APIStatusError) else {}
