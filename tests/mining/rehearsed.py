"""The starting harness on helpdesk with the simulated model, in this process, and the lapses that really happened.

The true lapses are for benchmarks and tests: nothing of them reaches a trace or a detector.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from openai.types.chat import ChatCompletion

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark
from benchmarks.helpdesk.environment import INSTRUCTIONS
from benchmarks.helpdesk.sim.chances import Chances
from benchmarks.helpdesk.sim.conditions import observe
from benchmarks.helpdesk.sim.decide import Situation, decide
from benchmarks.helpdesk.sim.model import SimModel, _reply, _spell
from benchmarks.helpdesk.sim.progress import Place, follow
from benchmarks.helpdesk.sim.rates import LapseKind
from benchmarks.helpdesk.sim.transcript import read
from optimizer.domain.json import Json, JsonObject, content_hash
from optimizer.domain.model import CallContext
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Environment, Opening, Say, Score, Submit, Task, ToolCall
from optimizer.domain.trace import Trace, Usage
from optimizer.gateway.tape import Tape
from optimizer.propose.playbook.template import template_files
from tests.harness_template.stage import staged

TREE = "0" * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One throw of the dice that went wrong."""

    call: int
    """Which model call of the rollout, from 0."""
    kind: LapseKind
    place: Place
    visit: int
    """How many throws of this kind at this place came before."""

    @property
    def key(self) -> tuple[LapseKind, Place, int]:
        """What is the same in a replay that differs earlier."""
        return self.kind, self.place, self.visit


@dataclass(slots=True)
class Dice:
    """Decides what falls and writes it down: by chance, or, in a replay, exactly what a script says."""

    script: frozenset[tuple[LapseKind, Place, int]] | None = None
    falls: list[Fall] = field(default_factory=list)
    visits: Counter[tuple[LapseKind, Place]] = field(default_factory=Counter)
    call: int = -1

    def falls_at(self, kind: LapseKind, place: Place, by_chance: Callable[[], bool]) -> bool:
        visit = self.visits[kind, place]
        self.visits[kind, place] += 1
        has_fallen = by_chance() if self.script is None else (kind, place, visit) in self.script
        if has_fallen:
            self.falls.append(Fall(call=self.call, kind=kind, place=place, visit=visit))
        return has_fallen


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSituation(Situation):
    """A decision whose dice are watched."""

    dice: Dice

    def falls(self, kind: LapseKind, place: Place, *, tool: str = "", odds: float = 1.0) -> bool:
        def by_chance() -> bool:
            chance = self.chances.of(kind, tool=tool, odds=odds)
            return chance > 0.0 and self.draw(kind, place) < chance

        return self.dice.falls_at(kind, place, by_chance)


class WatchedModel(SimModel):
    """The simulated model with watched dice; says what `SimModel` says while the dice are left to chance."""

    def watched(self, request: JsonObject, context: CallContext, dice: Dice) -> JsonObject:
        dice.call += 1
        tools_key, text = _spell(request.get("tools")), _spell(request)
        digest = content_hash(text, length=32)
        luck = "\x00".join((str(self._seed), context.luck, digest, str(context.occurrence)))
        transcript = read(request)
        script = self._script(context.task_id)
        situation = WatchedSituation(
            script=script,
            transcript=transcript,
            progress=follow(script, transcript),
            chances=Chances(
                rates=self._rates,
                conditions=observe(transcript, tools_key, self._known),
                task_id=context.task_id,
                weak_spots=self._weak_spots[context.task_id],
            ),
            luck=luck,
            can_call=True,
            lapsed=lambda *_: None,
            dice=dice,
        )
        reply = _reply(decide(situation), digest=content_hash(luck, length=24), n_input_chars=len(text))
        return reply.body


@dataclass(frozen=True, slots=True)
class Reply:
    """The SDK's reply, as far as the template reads it."""

    content: str
    is_error: bool
    is_final: bool


class TapedSession:
    """The session of one rollout; writes the spans the gateway would write."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.tape = Tape()
        opening: Opening = environment.opening()
        self.model, self.instructions, self.policy = "sim", opening.instructions, opening.policy
        self.first_message = opening.first_message
        self.tools = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in opening.tools
        ]

    async def call(self, name: str, arguments: JsonObject) -> Reply:
        got = await self.environment.step(ToolCall(name=name, arguments=arguments))
        self.tape.add("tool_call", name, input=arguments, output=got.content, is_error=got.is_error)
        return Reply(got.content, got.is_error, got.is_final)

    async def say(self, text: str) -> Reply:
        got = await self.environment.step(Say(text=text))
        self.tape.add("user_turn", "user", input=text, output=got.content, is_error=got.is_error)
        return Reply(got.content, got.is_error, got.is_final)

    async def submit(self, answer: str = "") -> Reply:
        got = await self.environment.step(Submit(answer=answer))
        self.tape.add("submit", "submit", input=answer, output=got.content)
        return Reply(got.content, got.is_error, is_final=True)


class TapedModel:
    """Stands in for `openai.AsyncOpenAI`."""

    def __init__(self, model: WatchedModel, job: RolloutJob, tape: Tape, dice: Dice) -> None:
        self._model, self._job, self._tape, self._dice = model, job, tape, dice
        self._seen: Counter[str] = Counter()
        self.chat = self.completions = self

    async def create(self, **request: Json) -> ChatCompletion:
        wire = json.loads(json.dumps(request))
        key = content_hash(wire)
        context = CallContext(task_id=self._job.task.id, luck=self._job.luck, occurrence=self._seen[key])
        self._seen[key] += 1
        body = json.loads(json.dumps(self._model.watched(wire, context, self._dice)))
        shown = wire if self._dice.call == 0 else {k: v for k, v in wire.items() if k != "tools"}
        usage = Usage(
            input_tokens=body["usage"]["prompt_tokens"],
            output_tokens=body["usage"]["completion_tokens"],
            n_calls=1,
        )
        self._tape.add("model_call", "sim", input=shown, output=body["choices"][0]["message"], usage=usage)
        return ChatCompletion.model_validate(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One rehearsed rollout with what the mining side sees of it and the truth."""

    rollout: Rollout
    trace: Trace
    falls: tuple[Fall, ...]


class Stage:
    """Runs rollouts of the starting harness."""

    def __init__(self, agent: ModuleType, seed: int) -> None:
        self.benchmark = HelpdeskBenchmark()
        self._agent = agent
        self._model = WatchedModel(self.benchmark.plan, self.benchmark.policy, seed, instructions=INSTRUCTIONS)

    def train(self) -> tuple[Task, ...]:
        return tuple(task for task in self.benchmark.tasks() if task.split == "train")

    async def run(self, task: Task, trial: int, script: frozenset[tuple[LapseKind, Place, int]] | None = None) -> Take:
        job = RolloutJob(tree=TREE, task=task, purpose="mine", trial=trial)
        session = TapedSession(await self.benchmark.open(task, trial=job.luck))
        dice = Dice(script)
        client = TapedModel(self._model, job, session.tape, dice)
        self._agent.AsyncOpenAI = lambda **_: client  # type: ignore[attr-defined]
        await self._agent.run(session)
        score = await session.environment.grade()
        return Take(rollout=_rollout(job, score), trace=_trace(session.tape, score), falls=tuple(dice.falls))

    async def decisive(self, take: Take) -> tuple[Fall, str] | None:
        """The lapse that made a failure a failure, and by which rule.

        `alone`: the earliest lapse without which the same run, all its other lapses kept and none added, passes.
        `last straw`: where no single one is enough, the earliest lapse with which, and with all before it, the run
        fails already. None when the run fails without any lapse.
        """
        script = frozenset(fall.key for fall in take.falls)
        task, trial = take.rollout.job.task, take.rollout.job.trial
        for fall in take.falls:
            if (await self.run(task, trial, script - {fall.key})).rollout.is_pass:
                return fall, "alone"
        for n, fall in enumerate(take.falls, start=1):
            kept = frozenset(one.key for one in take.falls[:n])
            if not (await self.run(task, trial, kept)).rollout.is_pass:
                return fall, "last straw"
        return None


@contextmanager
def stage(seed: int) -> Iterator[Stage]:
    """Load the template once and run it as often as wanted."""
    with TemporaryDirectory() as folder, staged(template_files(), Path(folder)) as agent:
        agent.print = lambda *_: None  # type: ignore[attr-defined]
        yield Stage(agent, seed)


def step_of(trace: Trace, span: int) -> int:
    """Which model call of the rollout a span belongs to, from 0."""
    return sum(one.kind == "model_call" for one in trace.spans[: span + 1]) - 1


def _rollout(job: RolloutJob, score: Score) -> Rollout:
    return Rollout(
        job=job,
        status="passed" if score.is_pass else "failed",
        score=score.value,
        checks=score.checks,
        usage=Usage(),
        trace_sha=None,
        note="",
        sandbox_level="rehearsed",
        wall_s=0.0,
        cpu_s=0.0,
    )


def _trace(tape: Tape, score: Score) -> Trace:
    for check in score.checks:
        tape.add("check", check.name, input=check.detail, output=check.is_passed, is_error=not check.is_passed)
    return Trace(spans=tape.spans)
