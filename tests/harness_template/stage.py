"""A stage a harness plays on in this process: a session and a model that follow scripts."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import ModuleType

from openai.types.chat import ChatCompletion

from optimizer.domain.json import Json, JsonObject

SDK = Path(__file__).parents[2] / "sandbox" / "guest"
MODULES = ("agent", "tools", "context", "guards", "hone_session")

ORDER_ID: JsonObject = {"type": "string", "pattern": "^#[0-9]+$"}
TOOLS: tuple[tuple[str, JsonObject, tuple[str, ...]], ...] = (
    ("find_customer", {"email": {"type": "string"}}, ("email",)),
    ("verify_identity", {"postal_code": {"type": "string"}}, ("postal_code",)),
    ("get_order", {"order_id": ORDER_ID}, ("order_id",)),
    (
        "refund_item",
        {
            "order_id": ORDER_ID,
            "amount": {"type": "number", "exclusiveMinimum": 0},
            "method": {"enum": ["original", "credit"], "type": "string"},
        },
        ("order_id", "amount"),
    ),
    ("escalate_to_human", {"summary": {"type": "string"}}, ("summary",)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the session answers; has the fields of the SDK's own."""

    content: str
    is_error: bool = False
    is_final: bool = False


def error(content: str) -> Reply:
    return Reply(content=f"Error: {content}", is_error=True)


@dataclass(slots=True, kw_only=True)
class FakeSession:
    """Answers calls from `results` (a tool's last one for ever) and says from `answers`."""

    results: dict[str, list[Reply]] = field(default_factory=dict)
    answers: list[Reply] = field(default_factory=list)
    first_message: str = "My kettle is broken, order #77."
    calls: list[tuple[str, JsonObject]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    submitted: list[str] = field(default_factory=list)
    model: str = "sim-mid"
    instructions: str = "You work for a shop. {policy} is not a placeholder here."
    policy: str = "Be fair."

    @property
    def tools(self) -> list[dict[str, Json]]:
        return [
            {
                "name": name,
                "description": f"Does {name}.",
                "parameters": {"type": "object", "properties": properties, "required": list(required)},
            }
            for name, properties, required in TOOLS
        ]

    async def call(self, name: str, arguments: JsonObject) -> Reply:
        self.calls.append((name, arguments))
        if name not in {tool for tool, _, _ in TOOLS}:
            return error("unknown tool")
        results = self.results.get(name, [Reply(content="{}")])
        return results.pop(0) if len(results) > 1 else results[0]

    async def say(self, text: str) -> Reply:
        self.said.append(text)
        return self.answers.pop(0) if self.answers else Reply(content="Bye.", is_final=True)

    async def submit(self, answer: str = "") -> Reply:
        self.submitted.append(answer)
        return Reply(content="", is_final=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call the scripted model makes; `arguments` as text on the wire."""

    name: str
    arguments: str


def call(name: str, **arguments: Json) -> Call:
    return Call(name=name, arguments=json.dumps(arguments))


@dataclass(slots=True, kw_only=True)
class FakeModel:
    """Stands in for `openai.AsyncOpenAI`: makes the scripted moves, the last one for ever."""

    moves: list[str | Call | tuple[Call, ...]]
    requests: list[dict[str, Json]] = field(default_factory=list)

    def __call__(self, **_settings: Json) -> FakeModel:
        return self

    @property
    def chat(self) -> FakeModel:
        return self

    @property
    def completions(self) -> FakeModel:
        return self

    async def create(self, **request: Json) -> ChatCompletion:
        self.requests.append(json.loads(json.dumps(request)))
        move = self.moves.pop(0) if len(self.moves) > 1 else self.moves[0]
        return completion(move, n=len(self.requests))

    def sent(self, index: int) -> list[JsonObject]:
        """The messages of one request."""
        messages = self.requests[index]["messages"]
        assert isinstance(messages, list)
        return messages


def completion(move: str | Call | tuple[Call, ...], *, n: int) -> ChatCompletion:
    message: dict[str, Json] = {"role": "assistant", "content": move if isinstance(move, str) else None}
    if not isinstance(move, str):
        numbers = count()
        message["tool_calls"] = [
            {
                "id": f"call_{n}_{next(numbers)}",
                "type": "function",
                "function": {"name": one.name, "arguments": one.arguments},
            }
            for one in (move if isinstance(move, tuple) else (move,))
        ]
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return ChatCompletion.model_validate(
        {"id": str(n), "created": 0, "model": "sim-mid", "object": "chat.completion", "choices": [choice]}
    )


@contextmanager
def staged(files: Mapping[str, bytes], folder: Path) -> Iterator[ModuleType]:
    """Write a harness to a folder and import its `agent` from there, as the sandbox does."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    paths, writes_bytecode = list(sys.path), sys.dont_write_bytecode
    sys.path[:0] = [str(folder), str(SDK)]
    sys.dont_write_bytecode = True
    _forget()
    try:
        yield importlib.import_module("agent")
    finally:
        sys.path[:], sys.dont_write_bytecode = paths, writes_bytecode
        _forget()


def _forget() -> None:
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.split(".")[0] in MODULES]:
        del sys.modules[name]


async def play(files: Mapping[str, bytes], folder: Path, session: FakeSession, model: FakeModel) -> None:
    """Run a harness on a session with a model."""
    with staged(files, folder) as agent:
        agent.AsyncOpenAI = model  # type: ignore[attr-defined]
        await agent.run(session)
