"""Carries out a plan, or one of its temptations, word for word. It measures the benchmark, not a harness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.helpdesk.environment import BUSY
from benchmarks.helpdesk.plan import Ask, Call, Confirm, Plan, Step, Tell, Trap
from optimizer.domain.task import Environment, Observation, Say, Score, Submit, ToolCall

MAX_ASKS = 3
"""Times a vague customer is asked the same."""


def trapped(plan: Plan, trap: Trap) -> tuple[Step, ...]:
    """The steps of a model that falls for a temptation and then goes on."""
    return (*plan.steps[: trap.at], *trap.instead, *plan.steps[trap.until + 1 :])


@dataclass(slots=True, kw_only=True)
class Transcript:
    """What an oracle's conversation looked like."""

    heard: list[str] = field(default_factory=list)
    """Customer turns."""
    lines: list[str] = field(default_factory=list)
    is_final: bool = False


async def play(environment: Environment, steps: Sequence[Step]) -> tuple[Score, Transcript]:
    """Carry out the steps, submit, grade."""
    transcript = Transcript()
    opening = environment.opening()
    transcript.heard.append(opening.first_message)
    transcript.lines.append(f"customer: {opening.first_message}")
    for step in steps:
        if transcript.is_final:
            break
        await _carry_out(environment, step, transcript)
    await environment.step(Submit())
    score = await environment.grade()
    await environment.close()
    return score, transcript


async def _carry_out(environment: Environment, step: Step, transcript: Transcript) -> None:
    match step:
        case Ask():
            for _ in range(MAX_ASKS):
                if any(step.value in turn for turn in transcript.heard) or transcript.is_final:
                    return
                await _say(environment, step.question, transcript)
        case Confirm() | Tell():
            await _say(environment, step.text, transcript)
        case Call():
            await _call(environment, step, transcript)


async def _say(environment: Environment, text: str, transcript: Transcript) -> None:
    observation = await environment.step(Say(text=text))
    transcript.heard.append(observation.content)
    transcript.lines += [f"agent: {text}", f"customer: {observation.content}"]
    transcript.is_final = observation.is_final


async def _call(environment: Environment, step: Call, transcript: Transcript) -> None:
    """Once more when the service was busy."""
    action = ToolCall(name=step.tool, arguments=step.arguments)
    observation: Observation = await environment.step(action)
    if observation.content == BUSY:
        observation = await environment.step(action)
    transcript.lines.append(f"  {step.tool}({dict(step.arguments)}) -> {observation.content}")
    transcript.is_final = observation.is_final
