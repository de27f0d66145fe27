"""A small trusted side: a scripted upstream, a two-tool environment, a gateway over both."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx

from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import BenchmarkError
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.model import CallContext, UpstreamReply
from optimizer.domain.recording import CallRecorder
from optimizer.domain.rollout import RolloutJob
from optimizer.domain.task import Action, Observation, Opening, Say, Score, Submit, Task, ToolCall, ToolSchema
from optimizer.domain.trace import Usage
from optimizer.gateway.caps import CallAccount, RolloutCaps
from optimizer.gateway.chat_request import ModelRoute
from optimizer.gateway.door import Door
from optimizer.gateway.gateway import Gateway
from optimizer.gateway.limits import DoorLimits
from optimizer.gateway.purchase import OnLost, unheard
from optimizer.gateway.recorder import MemoryCallRecorder
from optimizer.models.prices import ModelPrice

TREE = "a" * 40
OTHER_TREE = "b" * 40
ROUTE = ModelRoute(name="m-1", max_output_tokens=100, price=ModelPrice(input=1.0, output=2.0))
TOOL: JsonObject = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Look.",
        "parameters": {"type": "object", "properties": {"at": {"type": "string", "default": None}}},
    },
}


def job(tree: str = TREE, *, task: str = "task-secret-7", trial: int = 0) -> RolloutJob:
    return RolloutJob(tree=tree, task=Task(id=task, split="train", group="g"), purpose="target", trial=trial)


def completion(text: str | None = "hello", *, calls: Sequence[JsonObject] = (), n: int = 0) -> JsonObject:
    message: dict[str, Json] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = list(calls)
    return {
        "id": f"cmpl-{n}",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1-upstream",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def look_call(at: str = "desk") -> JsonObject:
    return {"id": "call-1", "type": "function", "function": {"name": "look", "arguments": json.dumps({"at": at})}}


@dataclass
class FakeUpstream:
    """Answers every call with a numbered completion, unless told otherwise."""

    is_external: bool = True
    answer: Callable[[JsonObject, int], JsonObject] = lambda _request, n: completion(f"answer {n}", n=n)
    failure: Exception | None = None
    holds: bool = False
    asked: list[JsonObject] = field(default_factory=list)
    contexts: list[CallContext] = field(default_factory=list)
    arrived: anyio.Event = field(default_factory=anyio.Event)
    go: anyio.Event = field(default_factory=anyio.Event)

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:
        self.asked.append(request)
        self.contexts.append(context)
        self.arrived.set()
        if self.failure is not None:
            raise self.failure
        if self.holds:
            await self.go.wait()
        usage = Usage(input_tokens=10, output_tokens=5, usd=0.00002, n_calls=1)
        return UpstreamReply(body=self.answer(request, len(self.asked) - 1), usage=usage)

    async def close(self) -> None:
        return


@dataclass
class FakeEnvironment:
    """Tools `look` (ok), `broken` (benchmark fault), `bug` (a crash of ours); the user echoes; `bye` ends it."""

    steps: list[Action] = field(default_factory=list)
    n_inside: int = 0
    most_inside: int = 0

    def opening(self) -> Opening:
        schema = ToolSchema(name="look", description="Look.", parameters={"type": "object"})
        return Opening(instructions="Help.", policy="Be kind.", tools=(schema,), first_message="Hi héllo")

    async def step(self, action: Action) -> Observation:
        self.n_inside += 1
        self.most_inside = max(self.most_inside, self.n_inside)
        await anyio.lowlevel.checkpoint()
        self.n_inside -= 1
        self.steps.append(action)
        if isinstance(action, Submit):
            return Observation(source="end", content="", is_final=True)
        if isinstance(action, Say):
            return Observation(source="user", content=f"you said {action.text}", is_final=action.text == "bye")
        return self._tool(action)

    def _tool(self, action: ToolCall) -> Observation:
        if action.name == "broken":
            raise BenchmarkError("database gone")
        if action.name == "bug":
            raise ZeroDivisionError("oops")
        if action.name != "look":
            return Observation(source="tool", content=f"Error: no tool {action.name}", is_error=True)
        return Observation(source="tool", content="you see a desk")

    async def grade(self) -> Score:
        return Score(value=1.0, checks=())

    async def close(self) -> None:
        return


@dataclass
class World:
    """One gateway and the fakes around it."""

    folder: Path
    upstream: FakeUpstream = field(default_factory=FakeUpstream)
    calls: CallRecorder = field(default_factory=MemoryCallRecorder)
    caps: RolloutCaps = field(default_factory=RolloutCaps)
    account: CallAccount = field(default_factory=lambda: Budget(BudgetLimits()))
    limits: DoorLimits = field(default_factory=DoorLimits)
    route: ModelRoute = ROUTE
    environment: FakeEnvironment = field(default_factory=FakeEnvironment)

    def gateway(self, *, on_lost: OnLost = unheard) -> Gateway:
        return Gateway(
            upstream=self.upstream,
            model=self.route,
            calls=self.calls,
            folder=self.folder,
            caps=self.caps,
            account=self.account,
            limits=self.limits,
            on_lost=on_lost,
        )

    @asynccontextmanager
    async def open(self, rollout: RolloutJob | None = None) -> AsyncIterator[tuple[Door, httpx.AsyncClient]]:
        """A door and a plain HTTP client on it."""
        async with self.gateway().open(rollout or job(), self.environment) as door, client(door) as http:
            yield door, http


def client(door: Door) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(door.socket), verify=False)  # no TLS here, and no time to prepare it
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8377", timeout=20)


def chat_body(text: str = "hi", **more: Json) -> JsonObject:
    return {"model": "m-1", "messages": [{"role": "user", "content": text}], **more}


async def ask(http: httpx.AsyncClient, text: str = "hi", **more: Json) -> httpx.Response:
    return await http.post("/v1/chat/completions", json=chat_body(text, **more))


def error_of(response: httpx.Response) -> Mapping[str, str]:
    found: Mapping[str, str] = response.json()["error"]
    assert set(found) == {"message", "type", "code"}
    assert response.headers["x-should-retry"] == "false"
    return found
