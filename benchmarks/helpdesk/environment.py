"""One open task: the world, the customer, and a record of what happened between them and the agent."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from benchmarks.helpdesk.case import Case
from benchmarks.helpdesk.cues import MAX_READ
from benchmarks.helpdesk.customer import Customer
from benchmarks.helpdesk.grading import Called, Event, Record, Said, grade
from benchmarks.helpdesk.tools import schemas, tools
from benchmarks.helpdesk.world import World
from optimizer.domain.task import Action, Observation, Opening, Say, Score, Submit, ToolCall

MAX_ACTIONS = 200
INSTRUCTIONS = (
    "You are the customer service assistant of Brindle & Volt, an online shop for home goods and electronics. "
    "A customer has written to you. Help them with the tools you have and keep to the company policy. "
    "The customer reads only what you say to them, not the results of tools. "
    "Today is Wednesday, 10 March 2027."
)
BUSY = "Error: the order service is busy, try again"
OVER = Observation(source="end", content="Error: the conversation is over", is_error=True, is_final=True)


@cache
def policy() -> str:
    """The policy document."""
    return Path(__file__).with_name("policy.md").read_text(encoding="utf-8")


class HelpdeskEnvironment:
    """A conversation about one task."""

    def __init__(self, case: Case, *, trial: str) -> None:
        self._case = case
        self._world = World(case.seed)
        self._customer = Customer(case.script, seed=f"{case.task.id}/{trial}")
        self._events: list[Event] = []
        self._busy = set(case.flaky)
        self._n_actions = 0
        self._is_over = False

    def opening(self) -> Opening:
        """Instructions, policy, tools and the customer's first words."""
        return Opening(
            instructions=INSTRUCTIONS,
            policy=policy(),
            tools=schemas(),
            first_message=self._case.script.first_message,
        )

    async def step(self, action: Action) -> Observation:
        """Carry out one action; any content is answered, none raises."""
        if self._is_over:
            return OVER
        self._n_actions += 1
        observation = self._carry_out(action)
        if self._n_actions >= MAX_ACTIONS and not observation.is_final:
            observation = Observation(source="end", content="The customer has left.", is_final=True)
        self._is_over = observation.is_final
        return observation

    def _carry_out(self, action: Action) -> Observation:
        match action:
            case ToolCall():
                return self._call(action)
            case Say():
                return self._say(action.text)
            case Submit():
                return Observation(source="end", content="", is_final=True)

    def _say(self, text: str) -> Observation:
        self._events.append(Said(text=text[:MAX_READ].casefold()))
        reply = self._customer.reply(text)
        return Observation(source="end" if reply.is_final else "user", content=reply.text, is_final=reply.is_final)

    def _call(self, action: ToolCall) -> Observation:
        tool = tools().get(action.name)
        if tool is None:
            return Observation(source="tool", content=f"Error: unknown tool {action.name[:60]!r}", is_error=True)
        if tool.name in self._busy and tool.accepts(action.arguments):
            self._busy.discard(tool.name)
            return Observation(source="tool", content=BUSY, is_error=True)
        result = tool.call(self._world, action.arguments)
        if not result.content.startswith("Error: invalid arguments"):
            self._events.append(
                Called(
                    tool=tool.name,
                    access=tool.access,
                    content=result.content,
                    is_error=result.is_error,
                    owner=result.owner,
                    verified=result.verified,
                    write=result.write,
                    affirmed=self._customer.memory.affirmed,
                )
            )
        return Observation(source="tool", content=result.content, is_error=result.is_error)

    async def grade(self) -> Score:
        """Grade what happened."""
        return grade(self._case.gold, Record(events=self._events, wishes=self._customer.wishes))

    async def close(self) -> None:
        """Nothing is held."""
