"""The task session of one rollout: what the task is, steps, and the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import anyio
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from optimizer.domain.errors import BenchmarkError
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.task import Action, Environment, Observation, Say, Submit, ToolCall
from optimizer.gateway.caps import RolloutMeter
from optimizer.gateway.http import HttpReply, RequestRefusedError
from optimizer.gateway.tape import Tape
from optimizer.gateway.wire import json_reply, problems_of

PROTOCOL = 1


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _ToolStep(_Body):
    tool: Annotated[str, Field(min_length=1, max_length=200)]
    arguments: dict[str, JsonValue] = {}


class _SayStep(_Body):
    say: str


class _SubmitStep(_Body):
    answer: str = ""


class SessionDesk:
    """The session side of one door. An environment has one caller at a time, so steps wait for each other."""

    def __init__(self, *, environment: Environment, model: str, meter: RolloutMeter, tape: Tape) -> None:
        self._environment = environment
        self._model = model
        self._meter = meter
        self._tape = tape
        self._turn = anyio.Lock()

    def show(self) -> HttpReply:
        """What a harness may know before its first step: no task id, no split, no grader."""
        opening = self._environment.opening()
        tools: list[Json] = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in opening.tools
        ]
        return json_reply(
            {
                "protocol": PROTOCOL,
                "model": self._model,
                "instructions": opening.instructions,
                "policy": opening.policy,
                "tools": tools,
                "first_message": opening.first_message,
            }
        )

    async def step(self, body: JsonObject) -> HttpReply:
        """Call a tool or speak to the user. Raises RequestRefusedError."""
        return await self._carry_out(_step_of(body))

    async def submit(self, body: JsonObject) -> HttpReply:
        """End the task. Raises RequestRefusedError."""
        try:
            answer = _SubmitStep.model_validate(body).answer
        except ValidationError as error:
            raise RequestRefusedError(400, "bad_request", f"not a submission: {problems_of(error)}") from error
        return await self._carry_out(Submit(answer=answer))

    async def _carry_out(self, action: Action) -> HttpReply:
        async with self._turn:
            self._check_open(action)
            started = time.perf_counter()
            try:
                observation = await self._environment.step(action)
            except BenchmarkError as error:
                self._tape.fail(f"benchmark fault: {error}")
                raise RequestRefusedError(502, "benchmark_fault", "the task's environment failed") from error
            self._tape.is_over = observation.is_final or isinstance(action, Submit)
            self._write_down(action, observation, time.perf_counter() - started)
        return json_reply(
            {
                "source": observation.source,
                "content": observation.content,
                "is_error": observation.is_error,
                "is_final": self._tape.is_over,
            }
        )

    def _check_open(self, action: Action) -> None:
        if self._tape.infra:  # broke while this step was waiting for its turn
            raise RequestRefusedError(502, "benchmark_fault", "the task's environment failed")
        if self._tape.is_over:
            raise RequestRefusedError(409, "conversation_over", "the conversation is over; return from run()")
        if not isinstance(action, Submit):
            self._meter.count_step()

    def _write_down(self, action: Action, observation: Observation, wall_s: float) -> None:
        said = observation.content
        if isinstance(action, ToolCall):
            self._tape.add(
                "tool_call",
                action.name,
                input=action.arguments,
                output=said,
                is_error=observation.is_error,
                wall_s=wall_s,
            )
        elif isinstance(action, Say):
            self._tape.add(
                "user_turn", "user", input=action.text, output=said, is_error=observation.is_error, wall_s=wall_s
            )
        else:
            self._tape.add(
                "submit", "submit", input=action.answer, output=said, is_error=observation.is_error, wall_s=wall_s
            )


def _step_of(body: Mapping[str, Json]) -> Action:
    try:
        if "say" in body:
            return Say(text=_SayStep.model_validate(body).say)
        step = _ToolStep.model_validate(body)
    except ValidationError as error:
        message = f'a step is {{"tool": name, "arguments": {{...}}}} or {{"say": text}}: {problems_of(error)}'
        raise RequestRefusedError(400, "bad_request", message) from error
    return ToolCall(name=step.tool, arguments=step.arguments)
