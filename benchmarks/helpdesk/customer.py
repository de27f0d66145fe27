"""The simulated customer: a state machine over readings of the agent's messages.

The customer believes what it is told. Whether it is true is for the grader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.helpdesk.cues import Reading, read
from optimizer.domain.json import content_hash

Outcome = Literal["open", "done", "refused", "escalated", "answered"]
PATIENCE_TURNS = 30
"""Messages a customer puts up with."""
PATIENCE_REPEATS = 4
"""Times the same fact is asked, and messages in a row without any progress, before it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something the customer knows."""

    name: str
    replies: tuple[str, ...]
    """What is said the first time it is asked, the second time, ...; the last one for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Something the customer wants."""

    wish: str
    """In one sentence, for when the agent does not understand."""
    tools: tuple[str, ...]
    """Changes a yes may be given to."""
    expected: Outcome
    """How a flawless agent ends it."""
    order_id: str = ""
    """Order a proposal has to be about; empty when it does not matter."""
    amount: float | None = None
    """Least amount a proposal may name, USD; None when it does not matter."""
    topic: str = ""
    """Pattern of what an answer to a question is about; empty where a change is wanted."""
    raised: str = ""
    """How it is raised once the request before is settled; empty when the first message already says it."""
    pushes: tuple[str, ...] = ()
    """What is said to refusals, one after the other, before accepting."""
    second_thought: str = ""
    """Said instead of the first yes; then `revised` takes the place of this request."""
    revised: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A customer in a task."""

    first_message: str
    facts: tuple[Fact, ...]
    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The customer's turn."""

    text: str
    is_final: bool = False


@dataclass(slots=True, kw_only=True)
class Wish:
    """A request as it stands in one conversation."""

    request: Request
    is_raised: bool
    outcome: Outcome = "open"
    n_pushes: int = 0


@dataclass(slots=True, kw_only=True)
class Memory:
    """What the customer keeps in mind between turns."""

    n_turns: int = 0
    n_stalls: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    affirmed: frozenset[str] = frozenset()
    """Tools whose change has a yes that still stands."""
    has_given_up: bool = False


_YES = ("Yes, please go ahead.", "Yes, that's right, please do.", "Yes, go ahead please.")
_NO = "No, that's not what I asked for."
_ACCEPT = ("All right, if that's how it is.", "OK, I understand.", "Fine, I'll leave it at that.")
_BYE = ("Thanks, bye.", "That's all, thank you. Bye.", "No, that's everything. Thanks, bye.")
_LEAD = ("", "Sure. ", "Of course. ")
_OVER_REFUSED = "Are you sure? I think your own rules say that this is possible."
_GIVE_UP = "This is going nowhere. I'll leave it. Goodbye."
_UNKNOWN = "I don't have that at hand, sorry."


class Customer:
    """One conversation."""

    def __init__(self, script: Script, *, seed: str) -> None:
        self._script = script
        self._facts = {fact.name: fact for fact in script.facts}
        self._variant = int(content_hash("customer", seed, length=8), 16)
        self.wishes = [Wish(request=request, is_raised=not request.raised) for request in script.requests]
        self.memory = Memory()

    def reply(self, message: str) -> Reply:
        """React to whatever the agent says."""
        memory = self.memory
        memory.n_turns += 1
        reading = read(message)
        self._believe(reading)
        reply = self._react(reading)
        if reply.is_final:
            return reply
        is_lost = memory.n_stalls >= PATIENCE_REPEATS or max(memory.asked.values(), default=0) > PATIENCE_REPEATS
        if is_lost or memory.n_turns >= PATIENCE_TURNS:
            memory.has_given_up = True
            return Reply(text=_GIVE_UP, is_final=True)
        return reply

    def _open(self) -> list[Wish]:
        return [wish for wish in self.wishes if wish.is_raised and wish.outcome == "open"]

    def _one_of(self, wordings: tuple[str, ...]) -> str:
        return wordings[(self._variant + self.memory.n_turns) % len(wordings)]

    def _believe(self, reading: Reading) -> None:
        """Take reports of finished changes that were agreed on for true, whatever else the message says."""
        for wish in self._open():
            if reading.done & self.memory.affirmed & set(wish.request.tools):
                wish.outcome = "done"

    def _react(self, reading: Reading) -> Reply:
        if reading.facts:
            return Reply(text=self._give(reading))
        if reading.is_proposal:
            return self._decide(reading)
        if reading.is_escalated and self._open():
            self._open()[0].outcome = "escalated"
            return self._go_on(reading)
        return self._hear(reading)

    def _give(self, reading: Reading) -> str:
        """Answer questions, and say yes in the same breath where one was asked for."""
        self.memory.n_stalls = 0
        parts = [self._fact(name) for name in reading.facts]
        if reading.is_proposal and self._open():
            parts.append(self._decide(reading).text)
        return self._one_of(_LEAD) + " ".join(dict.fromkeys(parts))

    def _fact(self, name: str) -> str:
        n_asked = self.memory.asked.get(name, 0)
        self.memory.asked[name] = n_asked + 1
        fact = self._facts.get(name)
        if fact:
            return fact.replies[min(n_asked, len(fact.replies) - 1)]
        return self._wishes_in_words() if name in {"reason", "item"} else _UNKNOWN

    def _wishes_in_words(self) -> str:
        return " ".join(wish.request.wish for wish in self._open()) or "That's all I wanted."

    def _decide(self, reading: Reading) -> Reply:
        """Say yes, no, or change one's mind."""
        matched = [wish for wish in self._open() if set(wish.request.tools) & reading.proposed]
        if not matched and not reading.proposed:
            matched = self._open() if reading.is_generic else []
            if not matched and reading.is_refusal and self._open():
                return self._protest(reading)
            if not matched:
                return self._stall("Yes, please." if self._open() else "No, thank you.")
        if not matched or self._is_wrong(reading, matched):
            return self._object(reading)
        changing = next((wish for wish in matched if wish.request.revised), None)
        if changing:
            return self._change_mind(changing)
        wanted = frozenset(tool for wish in matched for tool in wish.request.tools)
        self.memory.affirmed |= (wanted & reading.proposed) or wanted
        self.memory.n_stalls = 0
        return Reply(text=self._one_of(_YES))

    def _is_wrong(self, reading: Reading, matched: list[Wish]) -> bool:
        """Whether a proposal names another order, or less money than is due. More money is welcome."""
        orders = {wish.request.order_id for wish in self._open()} - {""}
        if reading.order_ids and orders and not reading.order_ids & orders:
            return True
        due = [wish.request.amount for wish in matched if wish.request.amount is not None]
        return bool(due) and bool(reading.amounts) and max(reading.amounts) < min(due) - 0.005

    def _object(self, reading: Reading) -> Reply:
        if reading.is_refusal and self._open():
            return self._protest(reading)
        return self._stall(f"{_NO} {self._wishes_in_words()}")

    def _change_mind(self, wish: Wish) -> Reply:
        words, revised = wish.request.second_thought, wish.request.revised
        assert revised is not None
        wish.request = revised
        self.memory.affirmed -= set(revised.tools)
        self.memory.n_stalls = 0
        return Reply(text=words)

    def _hear(self, reading: Reading) -> Reply:
        """React to a message that asks for nothing."""
        if not self._open():
            return self._go_on(reading)
        if self._learn(reading):
            return self._go_on(reading)
        if reading.is_refusal:
            return self._protest(reading)
        if reading.is_waiting:
            return self._stall("OK, I'll wait.")
        if reading.asks_identity:
            return self._stall("Sure, what do you need to know from me?")
        return self._stall(self._wishes_in_words())

    def _learn(self, reading: Reading) -> bool:
        """Take in answers and reports; True when a wish is settled by them."""
        settled = [wish for wish in self._open() if self._is_answered(wish, reading)]
        for wish in settled:
            wish.outcome = "answered"
        changes = [wish for wish in self._open() if not wish.request.topic]
        if reading.is_done and not reading.is_refusal and changes:
            done = self._reported(reading, changes)
            for wish in done:
                wish.outcome = "done"
            settled += done
        return bool(settled)

    def _is_answered(self, wish: Wish, reading: Reading) -> bool:
        topic = wish.request.topic
        return bool(topic) and reading.has_figure and re.search(topic, reading.text) is not None

    def _reported(self, reading: Reading, changes: list[Wish]) -> list[Wish]:
        """The wishes a report is about: the ones it names, else the ones that were agreed on, else the first."""
        named = [wish for wish in changes if set(wish.request.tools) & reading.done]
        agreed = [wish for wish in changes if set(wish.request.tools) & self.memory.affirmed]
        return named or agreed or changes[:1]

    def _protest(self, reading: Reading) -> Reply:
        """Push against a refusal while there is anything left to say, then accept it."""
        waiting = self._open()
        named = [wish for wish in waiting if set(wish.request.tools) & reading.refused]
        wish = (named or waiting)[0]
        pushes = wish.request.pushes
        if wish.request.expected in {"done", "answered"}:
            pushes = (*pushes, _OVER_REFUSED)
        if wish.n_pushes < len(pushes):
            self.memory.n_stalls = 0
            wish.n_pushes += 1
            return Reply(text=pushes[wish.n_pushes - 1])
        wish.outcome = "refused"
        return self._go_on(reading, lead=self._one_of(_ACCEPT))

    def _go_on(self, reading: Reading, *, lead: str = "") -> Reply:
        """Turn to what is left, or say goodbye. Who is asked `anything else?` takes everything for settled."""
        self.memory.n_stalls = 0
        waiting = self._open()
        if waiting and not reading.is_closing:
            return Reply(text=f"{lead or 'Thanks.'} And the other thing? {self._wishes_in_words()}")
        hidden = next((wish for wish in self.wishes if not wish.is_raised), None)
        if hidden:
            hidden.is_raised = True
            return Reply(text=f"{lead} {hidden.request.raised}".strip())
        return Reply(text=f"{lead} {self._one_of(_BYE)}".strip(), is_final=True)

    def _stall(self, text: str) -> Reply:
        self.memory.n_stalls += 1
        return Reply(text=text)
