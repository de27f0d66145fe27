"""Doors to language models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from optimizer.domain.json import JsonObject
from optimizer.domain.trace import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelToolCall:
    """A tool call in a model's reply."""

    id: str
    name: str
    arguments: JsonObject
    """Parsed; a reply whose arguments are not a JSON object carries {"_malformed": "<text>"}."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message to or from a model, provider-neutral."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    tool_calls: tuple[ModelToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTool:
    """A tool offered to a model."""

    name: str
    description: str
    parameters: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """What a model answered."""

    text: str
    tool_calls: tuple[ModelToolCall, ...] = ()
    stop: Literal["end", "tool_use", "length", "refusal"] = "end"
    usage: Usage = field(default_factory=Usage)


class LanguageModel(Protocol):
    """A model as the optimizer itself uses it (proposing, diagnosing); not the agent's own model."""

    name: str

    async def complete(
        self, messages: tuple[Message, ...], *, tools: tuple[ModelTool, ...] = (), max_output_tokens: int = 8192
    ) -> ModelReply:
        """One call. Raises ModelUnavailableError after retries, ModelError for an unusable answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """What the trusted side knows about a model call of a rollout; never sent upstream to a provider."""

    task_id: str
    luck: str
    """`RolloutJob.luck`."""
    occurrence: int
    """How many times this rollout has sent the byte-identical request before."""


WireFormat: TypeAlias = Literal["chat", "messages", "responses"]
"""OpenAI chat completions, Anthropic messages, OpenAI responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamReply:
    """A provider's answer on the wire."""

    body: JsonObject
    """Response body in the wire format of the request."""
    usage: Usage


class Upstream(Protocol):
    """The agent's own model behind the gateway, on the wire."""

    is_external: bool
    """True when a call costs real money that a crash of ours cannot take back."""

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:
        """One non-streamed OpenAI chat completion. Raises ModelUnavailableError, ModelError."""
        ...

    async def close(self) -> None:
        """Free connections."""
        ...


@runtime_checkable
class NativeUpstream(Protocol):
    """An upstream that speaks further formats itself; what it does not speak is translated to chat completions."""

    native_formats: frozenset[WireFormat]
    """Formats that are sent on as they are; `chat` may be missing, since `Upstream.chat` translates then."""

    async def send(self, wire: WireFormat, request: JsonObject, context: CallContext) -> UpstreamReply:
        """One non-streamed call in one of the native formats. Raises ModelUnavailableError, ModelError."""
        ...
