"""A plain tool-calling loop around the simulated model, in one process: what the rates are calibrated with.

It does what the starting harness does (same prompt, same loop, same step limit) without sandbox, gateway or SDK.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.helpdesk.sim.model import SimModel
from benchmarks.helpdesk.sim.transcript import parse_arguments
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import CallContext
from optimizer.domain.task import Environment, Opening, Say, Score, Submit, ToolCall

SYSTEM = """You are an assistant who serves one customer in a conversation. You can talk to the customer and call tools.

# Your task

{instructions}

# Policy

{policy}

# Rules"""
MANNERS = "- Be friendly and answer in the customer's language."


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a guard may look at."""

    verified: bool
    """A verification succeeded."""
    confirmed: bool
    """The customer said yes since the last change."""
    failed: tuple[str, ...]
    """Calls that failed, as `name arguments`."""
    tools: tuple[str, ...]


Guard = Callable[[Memory, str, JsonObject], str]
"""Empty to let a call pass, else the error the model reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Harness:
    """A harness, as far as the simulated model can tell harnesses apart."""

    rules: str = ""
    """Appended to the system prompt."""
    reminder: str = ""
    """Sent as a system message at the end of each request."""
    hints: JsonObject = field(default_factory=dict)
    """Tool name -> words appended to its description."""
    guards: tuple[Guard, ...] = ()
    explain_errors: bool = False
    """Adds to an error what exists and what to do."""
    max_steps: int = 24


class Rehearsal:
    """One conversation."""

    def __init__(self, environment: Environment, sim: SimModel, harness: Harness) -> None:
        self.environment = environment
        self.sim = sim
        self.harness = harness
        self.opening = environment.opening()
        self.messages: list[JsonObject] = [{"role": "user", "content": self.opening.first_message}]
        self.memory = Memory(
            verified=False, confirmed=False, failed=(), tools=tuple(t.name for t in self.opening.tools)
        )
        self.n_calls = 0

    async def run(self, task_id: str, luck: str) -> Score:
        """Talk until it is over, then grade."""
        seen: dict[str, int] = {}
        for _ in range(self.harness.max_steps):
            request = self.request()
            key = json.dumps(request["messages"])
            context = CallContext(task_id=task_id, luck=luck, occurrence=seen.get(key, 0))
            seen[key] = context.occurrence + 1
            self.n_calls += 1
            if await self._act(self.sim.answer(request, context).body):
                return await self.environment.grade()
        await self.environment.step(Submit())
        return await self.environment.grade()

    def request(self) -> JsonObject:
        """The next request."""
        system: JsonObject = {"role": "system", "content": _system(self.opening, self.harness)}
        reminder: list[JsonObject] = []
        if self.harness.reminder:
            reminder = [{"role": "system", "content": self.harness.reminder}]
        tools = _tools(self.opening, self.harness)
        return {"model": "sim", "messages": [system, *self.messages, *reminder], "tools": tools}

    async def _act(self, body: JsonObject) -> bool:
        """Do what a reply says; True when the conversation is over."""
        message = json.loads(json.dumps(body))["choices"][0]["message"]
        self.messages.append({k: v for k, v in message.items() if k in {"role", "content", "tool_calls"}})
        for call in message.get("tool_calls", []):
            result = await self._call(call["function"]["name"], call["function"]["arguments"])
            self.messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        if message.get("tool_calls"):
            return False
        observation = await self.environment.step(Say(text=message["content"]))
        self.messages.append({"role": "user", "content": observation.content})
        self._hear(observation.content)
        return observation.is_final

    async def _call(self, name: str, raw: str) -> str:
        arguments = parse_arguments(raw)
        if arguments is None:
            return "Error: the arguments are not a JSON object"
        for guard in self.harness.guards:
            refusal = guard(self.memory, name, arguments)
            if refusal:
                return f"Error: {refusal}"
        observation = await self.environment.step(ToolCall(name=name, arguments=arguments))
        self._note(name, raw, observation.content, is_error=observation.is_error)
        help_text = f" Valid tools: {', '.join(self.memory.tools)}. Correct the call; do not repeat the same call."
        return observation.content + (help_text if observation.is_error and self.harness.explain_errors else "")

    def _note(self, name: str, raw: str, content: str, *, is_error: bool) -> None:
        old = self.memory
        self.memory = Memory(
            verified=old.verified or (name.startswith("verify") and '"verified": true' in content),
            confirmed=old.confirmed and (is_error or not is_change(name)),
            failed=(*old.failed, f"{name} {raw}") if is_error else old.failed,
            tools=old.tools,
        )

    def _hear(self, text: str) -> None:
        old = self.memory
        confirmed = old.confirmed or text.casefold().lstrip().startswith(("yes", "sure. yes", "of course. yes"))
        self.memory = Memory(verified=old.verified, confirmed=confirmed, failed=old.failed, tools=old.tools)


def is_change(tool: str) -> bool:
    """Whether a tool of the shop changes something that needs the customer's yes."""
    return not tool.startswith(("get_", "list_", "find_", "check_", "track_", "verify_", "escalate"))


def _system(opening: Opening, harness: Harness) -> str:
    text = SYSTEM.replace("{instructions}", opening.instructions).replace("{policy}", opening.policy)
    return "\n\n".join(filter(None, [text, MANNERS, harness.rules]))


def _tools(opening: Opening, harness: Harness) -> list[Json]:
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": f"{tool.description} {harness.hints.get(tool.name, '')}".strip(),
                "parameters": tool.parameters,
            },
        }
        for tool in opening.tools
    ]
