"""How often the simulated model lapses, and what changes it: all numbers in one place.

Every figure but a base rate multiplies *odds*, p / (1 - p). A base rate is the chance at one decision point of an
average task with a bare prompt: policy present, no instruction of the harness's own.

Measured with seed 7 over all 224 tasks by `python -m benchmarks.helpdesk.sim.calibrate 20` (simulated): the starting
harness passes 0.484, two identical runs disagree on 0.378 of the tasks, 11.0 model calls per rollout. Shares of its
failures: misses_information 16 %, skips_identity 13 %, gives_up_early 12 %, over_refuses 9 %, over_escalates 8 %,
repeats_failed_call 8 %, hallucinated_tool 7 %, skips_confirmation, over_refund, malformed_arguments and yields 4 %
each, all others 3 % or less. With 8 trials, a harness with every rule, a reminder, two guards and helpful errors
(`EQUIPPED` of the calibration tests) passes 0.917. Without lapses every task passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from benchmarks.helpdesk.plan import TrapKind
from benchmarks.helpdesk.sim.patterns import Cue

GenericKind = Literal[
    "skips_identity",  # goes on without the questions and the check that establish identity
    "skips_confirmation",  # changes things without having read them back
    "hallucinated_tool",  # calls a tool that does not exist
    "malformed_arguments",  # leaves out a field, sends a wrong type or a wrongly spelled id
    "repeats_failed_call",  # sends the call that just failed once more
    "ignores_tool_error",  # speaks as if the call that just failed had worked
    "gives_up_early",  # apologises and stops
    "asks_superfluous",  # asks what it knows already
]
LapseKind = GenericKind | TrapKind
GENERIC_KINDS: tuple[GenericKind, ...] = get_args(GenericKind)
TRAP_KINDS: tuple[TrapKind, ...] = get_args(TrapKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One kind of lapse."""

    base: float
    """Probability, 0 to 1, where the task has no weak spot of this kind."""
    cue: Cue | None
    """What an instruction against it says."""
    instructed: float = 0.15
    """Odds factor of the cue in the system prompt."""
    reminded: float = 0.4
    """Odds factor of the cue in a note near the end or behind the last tool result."""
    hinted: float = 0.5
    """Odds factor of the cue in the description of the tool concerned."""
    example: float = 1.0
    """Odds factor of a worked dialogue in the prompt."""
    per_1k_tokens: float = 1.0
    """Odds factor of each 1,000 tokens of conversation; 1.0 once reminded."""
    needs_policy: float = 1.0
    """Odds factor of a prompt without any of the policy."""
    weak: float = 0.6
    """Probability where the task has a weak spot of this kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffect:
    """What an instruction does to a lapse it is not about.

    A prompt that speaks about that lapse, too, is balanced: then a plain statement has no side effect, and a forceful
    one that of a plain one.
    """

    cue: Cue
    kind: LapseKind
    stated: float
    """Odds factor when said plainly."""
    emphasised: float
    """Odds factor when said with force, or four times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """A model's weaknesses."""

    kinds: Mapping[LapseKind, Rate]
    side_effects: tuple[SideEffect, ...] = ()
    floor: float = 0.03
    """All help together leaves at least this share of the odds."""
    denied: float = 2.0
    """Odds factor of being told the opposite."""
    bloat_free_tokens: float = 500.0
    """Harness-own prompt text that costs nothing."""
    bloat_per_100_tokens: float = 1.08
    """Odds factor on every lapse of each 100 tokens beyond."""
    bloat_cap: float = 2.0
    confusion: float = 1.3
    """Odds factor on every lapse of a prompt that contradicts itself."""
    helpful_error: float = 0.35
    """Odds factor, on what goes wrong after an error, of each of: says what was expected, what to do next, which
    tools there are; and on the lapse it is about, of an error that states the rule."""
    repeated_error: float = 2.0
    """Odds factor on repeating, of each earlier identical failure: loops lock in."""
    strict_schema: float = 0.6
    """Odds factor on malformed arguments, of each parameter with an enum, pattern, format or example (at most 3)."""
    pinned: float = 0.25
    """Odds factor on forgets_constraint of a note near the end that quotes the customer."""
    identity_begun: float = 0.2
    """Odds factor on skips_identity once one of its questions has been asked."""
    given_up: float = 150.0
    """Odds factor on giving up again right after having given up."""
    error_discourages: float = 4.0
    """Odds factor on giving up right after an error."""
    taken_trap: float = 4.0
    """Odds factor on staying with a mistake already begun when its call fails."""


DEFAULT_RATES = Rates(
    kinds={
        "skips_identity": Rate(
            base=0.012, weak=0.6, cue="verify_identity", example=0.7, per_1k_tokens=1.1, needs_policy=4.0, hinted=0.45
        ),
        "skips_confirmation": Rate(
            base=0.014, weak=0.6, cue="confirm_changes", example=0.7, per_1k_tokens=1.2, needs_policy=4.0, hinted=0.45
        ),
        "hallucinated_tool": Rate(base=0.004, weak=0.3, cue="known_tools_only", example=0.7),
        "malformed_arguments": Rate(base=0.006, weak=0.45, cue="exact_arguments", example=0.6),
        "repeats_failed_call": Rate(base=0.48, cue="no_repeat"),
        "ignores_tool_error": Rate(base=0.15, cue="check_results"),
        "gives_up_early": Rate(base=0.0006, weak=0.1, cue="persist"),
        "asks_superfluous": Rate(base=0.004, cue=None),
        "over_refund": Rate(base=0.03, cue="refund_limits", needs_policy=4.0),
        "forgets_constraint": Rate(base=0.05, cue="remember_wishes", per_1k_tokens=1.5),
        "yields": Rate(base=0.02, cue="resist_pressure", needs_policy=4.0),
        "answers_from_memory": Rate(base=0.05, cue="look_up"),
        "skips_escalation": Rate(base=0.06, cue="escalate_when_due", needs_policy=5.0),
        "over_escalates": Rate(base=0.008, weak=0.5, cue="escalate_little", needs_policy=1.5),
        "over_refuses": Rate(base=0.008, weak=0.5, cue="allow_what_is_allowed", needs_policy=1.5),
        "misses_second_request": Rate(base=0.06, cue="all_requests", per_1k_tokens=1.3),
        "misses_information": Rate(
            base=0.014, weak=0.55, cue="required_information", per_1k_tokens=1.3, needs_policy=5.0
        ),
    },
    side_effects=(
        SideEffect(cue="escalate_when_due", kind="over_escalates", stated=1.5, emphasised=3.0),
        SideEffect(cue="escalate_little", kind="skips_escalation", stated=1.4, emphasised=2.5),
        SideEffect(cue="refuse_strictly", kind="over_refuses", stated=2.0, emphasised=3.5),
        SideEffect(cue="refuse_strictly", kind="yields", stated=0.6, emphasised=0.5),
        SideEffect(cue="resist_pressure", kind="over_refuses", stated=1.2, emphasised=2.0),
        SideEffect(cue="refund_limits", kind="over_refuses", stated=1.1, emphasised=1.6),
        SideEffect(cue="allow_what_is_allowed", kind="yields", stated=1.3, emphasised=1.8),
        SideEffect(cue="persist", kind="repeats_failed_call", stated=1.4, emphasised=2.0),
        SideEffect(cue="persist", kind="skips_escalation", stated=1.2, emphasised=1.6),
        SideEffect(cue="no_repeat", kind="gives_up_early", stated=1.2, emphasised=1.5),
        SideEffect(cue="ask_much", kind="asks_superfluous", stated=80.0, emphasised=120.0),
        SideEffect(cue="confirm_changes", kind="asks_superfluous", stated=1.0, emphasised=2.5),
        SideEffect(cue="be_concise", kind="misses_information", stated=2.0, emphasised=2.6),
        SideEffect(cue="be_concise", kind="skips_confirmation", stated=1.3, emphasised=1.6),
        SideEffect(cue="act_at_once", kind="skips_confirmation", stated=2.0, emphasised=3.0),
    ),
)

NO_LAPSES = replace(DEFAULT_RATES, kinds={kind: replace(rate, base=0.0) for kind, rate in DEFAULT_RATES.kinds.items()})
