"""The chance of a lapse under given conditions, and the dice that decide it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.helpdesk.plan import Call, Confirm, Plan
from benchmarks.helpdesk.sim.conditions import Conditions, ToolSeen
from benchmarks.helpdesk.sim.cues import Reading
from benchmarks.helpdesk.sim.patterns import Cue
from benchmarks.helpdesk.sim.rates import LapseKind, Rate, Rates

AFTER_ERROR: frozenset[LapseKind] = frozenset({"repeats_failed_call", "ignores_tool_error", "gives_up_early"})


def uniform(*parts: str) -> float:
    """A number in (0, 1) that depends on nothing but `parts`."""
    digest = hashlib.blake2b("\x00".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64


def weak_spots(task_id: str, plan: Plan) -> frozenset[LapseKind]:
    """The kinds of lapse this task tempts a model to strongly; the same for ever.

    None for one task in eight, two for one in seven, one for the rest, drawn from the kinds that can happen in it. So a
    failure tends to come back, a fix of its cause helps that task a great deal and most others not at all, and a single
    run is still little more than the toss of a coin.
    """
    draw = uniform("weak spots", task_id)
    n = 0 if draw < 0.12 else 1 if draw < 0.86 else 2
    ranked = sorted(_possible(plan), key=lambda kind: uniform("weak spot", task_id, kind))
    return frozenset(ranked[:n])


def _possible(plan: Plan) -> set[LapseKind]:
    kinds: set[LapseKind] = {trap.kind for trap in plan.traps}
    calls = [step for step in plan.steps if isinstance(step, Call)]
    if calls:
        kinds |= {"hallucinated_tool", "malformed_arguments", "gives_up_early"}
    if any(call.role == "verify" for call in calls):
        kinds.add("skips_identity")
    if any(isinstance(step, Confirm) for step in plan.steps):
        kinds.add("skips_confirmation")
    return kinds


@lru_cache(maxsize=65536)
def jitter(task_id: str, kind: LapseKind) -> float:
    """What else makes a task harder or easier in this respect, in logits: -0.5 to 0.5, the same for ever."""
    return uniform("jitter", task_id, kind) - 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Chances:
    """The lapse chances of one request."""

    rates: Rates
    conditions: Conditions
    task_id: str
    weak_spots: frozenset[LapseKind]

    def of(self, kind: LapseKind, *, tool: str = "", odds: float = 1.0) -> float:
        """Probability of a lapse; `tool` is the tool it would concern, `odds` a further factor."""
        rate = self.rates.kinds[kind]
        if rate.base <= 0.0:
            return 0.0
        seen = self.conditions.tools.get(tool)
        chance = rate.weak if kind in self.weak_spots else rate.base
        total = chance / (1.0 - chance) * odds * math.exp(jitter(self.task_id, kind))
        total *= max(self.rates.floor, math.prod(self._help(kind, rate, seen)))
        total *= math.prod(self._harm(kind, rate))
        return total / (1.0 + total)

    def is_said(self, cue: Cue | None, reading: Reading) -> bool:
        """Whether a text asserts a cue and nothing in the prompt takes it back."""
        return cue is not None and cue in reading.asserted and not (cue == "confirm_changes" and self.is_contradictory)

    @property
    def is_contradictory(self) -> bool:
        """Whether the prompt asks both to confirm and to act at once."""
        asserted = self.conditions.prompt.reading.asserted | self.conditions.reminder.asserted
        return {"confirm_changes", "act_at_once"} <= asserted

    def _help(self, kind: LapseKind, rate: Rate, tool: ToolSeen | None) -> Iterator[float]:
        """Factors below one; together they are bounded by the floor."""
        conditions = self.conditions
        yield rate.instructed if self.is_said(rate.cue, conditions.prompt.reading) else 1.0
        yield rate.reminded if self.is_said(rate.cue, conditions.reminder) else 1.0
        yield rate.example if conditions.prompt.reading.is_example else 1.0
        if tool is not None:
            yield rate.hinted if self.is_said(rate.cue, tool.reading) else 1.0
            yield self.rates.strict_schema ** min(3, tool.n_strict) if kind == "malformed_arguments" else 1.0
        if kind == "forgets_constraint" and conditions.is_pinned:
            yield self.rates.pinned
        yield from self._help_of_error(kind, rate)

    def _help_of_error(self, kind: LapseKind, rate: Rate) -> Iterator[float]:
        error = self.conditions.error
        if error is None:
            return
        if kind in AFTER_ERROR:
            yield self.rates.helpful_error ** (error.is_specific + error.says_what_next + error.names_tools)
        if rate.cue is not None and rate.cue in error.reading.asserted | error.reading.denied:
            yield self.rates.helpful_error

    def _harm(self, kind: LapseKind, rate: Rate) -> Iterator[float]:
        """Factors above one, and the side effects of instructions about something else."""
        conditions, rates = self.conditions, self.rates
        prompt, reminder = conditions.prompt.reading, conditions.reminder
        if rate.cue is not None and rate.cue in prompt.denied | reminder.denied:
            yield rates.denied
        if not self.is_said(rate.cue, reminder) and not (kind == "forgets_constraint" and conditions.is_pinned):
            yield rate.per_1k_tokens ** min(8.0, conditions.context_tokens / 1000)
        yield 1.0 + (rate.needs_policy - 1.0) * (1.0 - conditions.prompt.policy_coverage)
        excess = max(0.0, conditions.n_own_tokens - rates.bloat_free_tokens)
        yield min(rates.bloat_cap, rates.bloat_per_100_tokens ** min(100.0, excess / 100))
        yield rates.confusion if self.is_contradictory else 1.0
        yield from self._side_effects(kind, is_balanced=rate.cue in prompt.asserted | reminder.asserted)

    def _side_effects(self, kind: LapseKind, *, is_balanced: bool) -> Iterator[float]:
        prompt, reminder = self.conditions.prompt.reading, self.conditions.reminder
        for effect in self.rates.side_effects:
            if effect.kind != kind or effect.cue not in prompt.asserted | reminder.asserted:
                continue
            is_forceful = effect.cue in prompt.emphasised | reminder.emphasised
            if is_balanced:
                yield effect.stated if is_forceful else 1.0
            else:
                yield effect.emphasised if is_forceful else effect.stated
