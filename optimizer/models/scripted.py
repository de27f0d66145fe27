"""A language model that says what it is told to, for tests and dry runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from optimizer.domain.errors import ModelError
from optimizer.domain.model import Message, ModelReply, ModelTool


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question a scripted model got."""

    messages: tuple[Message, ...]
    tools: tuple[ModelTool, ...]
    max_output_tokens: int


class ScriptedModel:
    """Gives the replies it was given, in order; an error among them is raised."""

    def __init__(self, replies: Iterable[ModelReply | ModelError], *, name: str = "scripted") -> None:
        self.name = name
        self.asked: list[Asked] = []
        self._replies = deque(replies)

    async def complete(
        self, messages: tuple[Message, ...], *, tools: tuple[ModelTool, ...] = (), max_output_tokens: int = 8192
    ) -> ModelReply:
        """The next reply. Raises ModelError when the script is over."""
        self.asked.append(Asked(messages=messages, tools=tools, max_output_tokens=max_output_tokens))
        if not self._replies:
            raise ModelError(f"the script of {self.name!r} ends after {len(self.asked) - 1} replies; give it more")
        reply = self._replies.popleft()
        if isinstance(reply, ModelError):
            raise reply
        return reply

    async def close(self) -> None:
        """Nothing to free."""
