"""Each condition moves its lapses in the documented direction, counted over many lucks of one request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.helpdesk.plan import Plan
from benchmarks.helpdesk.sim.chances import Chances, weak_spots
from benchmarks.helpdesk.sim.conditions import observe
from benchmarks.helpdesk.sim.model import LapseRecord
from benchmarks.helpdesk.sim.rates import DEFAULT_RATES, LapseKind, Rates
from benchmarks.helpdesk.sim.transcript import read
from optimizer.domain.json import JsonObject
from tests.benchmarks.helpdesk.sim_support import (
    CONFIRMED,
    DONE,
    HELLO,
    IDENTIFIED,
    LOOKED_UP,
    LOOKUP,
    PLAN,
    POLICY,
    REFUND,
    REFUNDED,
    SILENT,
    SYSTEM,
    TOOLS,
    called,
    reply,
    request,
    sim,
    system,
    tool,
    user,
)

N = 400
FILLER = "- Greet warmly, thank them for their patience and mirror their level of formality. "


def even(kind: LapseKind, base: float = 0.4) -> Rates:
    """The shipped rates without differences between tasks, one base raised so that counting is quick."""
    silent = {k: replace(rate, base=0.0) for k, rate in DEFAULT_RATES.kinds.items()}
    loud = replace(DEFAULT_RATES.kinds[kind], base=base, weak=base)
    return replace(DEFAULT_RATES, kinds={**silent, kind: loud})


def share(kind: LapseKind, body: JsonObject, *, base: float = 0.4, n: int = N) -> float:
    """How often a lapse happens."""
    records: list[LapseRecord] = []
    model = sim(even(kind, base), on_lapse=records.append)
    for luck in range(n):
        reply(model, body, luck=f"t/mine/{luck}")
    return sum(record.kind == kind for record in records) / n


def with_rule(text: str) -> str:
    return f"{SYSTEM}\n- {text}"


RULES: list[tuple[LapseKind, tuple[JsonObject, ...], str]] = [
    ("skips_identity", (user(HELLO),), "Always verify the customer's identity before anything else."),
    ("skips_confirmation", LOOKED_UP, "Get the customer's explicit yes before each change."),
    ("hallucinated_tool", IDENTIFIED, "Call only the tools listed, by their exact names."),
    ("malformed_arguments", IDENTIFIED, "Give every required argument in the right format."),
    ("repeats_failed_call", (*IDENTIFIED, *called(LOOKUP, "Error: x")), "Never repeat the same failing call."),
    ("ignores_tool_error", (*IDENTIFIED, *called(LOOKUP, "Error: x")), "Check each tool result for errors."),
    ("gives_up_early", LOOKED_UP, "Never give up; keep going until the problem is solved."),
    ("over_refund", LOOKED_UP, "Never refund more than was paid for the item."),
    ("misses_information", REFUNDED, "Always tell the customer how many days it takes."),
]


@pytest.mark.parametrize(("kind", "messages", "rule"), RULES, ids=[rule[0] for rule in RULES])
def test_an_instruction_lowers_its_lapse(kind: LapseKind, messages: tuple[JsonObject, ...], rule: str) -> None:
    bare = share(kind, request(*messages))
    assert bare > 0.25
    assert share(kind, request(*messages, prompt=with_rule(rule))) < 0.6 * bare


@pytest.mark.parametrize(("kind", "messages", "rule"), RULES, ids=[rule[0] for rule in RULES])
def test_a_reminder_at_the_end_lowers_its_lapse(kind: LapseKind, messages: tuple[JsonObject, ...], rule: str) -> None:
    assert share(kind, request(*messages, system(rule))) < 0.8 * share(kind, request(*messages))


def test_a_reminder_behind_the_last_tool_result_counts() -> None:
    noted = (
        *IDENTIFIED,
        *called(LOOKUP, '{"order_id": "BV-1"}\n[Note: get an explicit yes before any change.]', number=2),
    )
    assert share("skips_confirmation", request(*noted)) < 0.8 * share("skips_confirmation", request(*LOOKED_UP))


def test_an_instruction_to_the_contrary_raises_its_lapse() -> None:
    contrary = request(user(HELLO), prompt=with_rule("Do not verify the customer's identity."))
    assert share("skips_identity", contrary) > 1.2 * share("skips_identity", request(user(HELLO)))


def test_policy_and_session_instructions_are_no_instructions_of_the_harness() -> None:
    assert share("skips_identity", request(user(HELLO), prompt=POLICY)) == pytest.approx(
        share("skips_identity", request(user(HELLO))), abs=0.08
    )


def test_leaving_the_policy_out_makes_rules_slip() -> None:
    without = request(user(HELLO), prompt="You are an assistant.")
    assert share("skips_identity", without) > 1.3 * share("skips_identity", request(user(HELLO)))


def test_a_tool_description_that_states_the_precondition_helps() -> None:
    hinted = [
        tool("refund_item", "order_id", "amount", description="Only after the customer has confirmed the change.")
    ]
    body = request(*LOOKED_UP, tools=[*TOOLS[:2], *hinted])
    assert share("skips_confirmation", body) < 0.85 * share("skips_confirmation", request(*LOOKED_UP))


def test_a_strict_schema_reduces_malformed_arguments() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"order_id": {"type": "string", "pattern": "^BV-\\d+$", "examples": ["BV-1"]}},
    }
    strict: JsonObject = {"type": "function", "function": {"name": "get_order", "strict": True, "parameters": schema}}
    body = request(*IDENTIFIED, tools=[TOOLS[0], strict, TOOLS[2]])
    assert share("malformed_arguments", body) < 0.75 * share("malformed_arguments", request(*IDENTIFIED))


def test_a_worked_example_helps_a_little() -> None:
    example = "\nCustomer: Hi.\nAgent: Your code, please?\nCustomer: 1.\nAgent: Thanks."
    shown = share("hallucinated_tool", request(*IDENTIFIED, prompt=SYSTEM + example))
    assert shown < 0.95 * share("hallucinated_tool", request(*IDENTIFIED))


@pytest.mark.parametrize("kind", ["repeats_failed_call", "ignores_tool_error"])
def test_an_error_that_helps_makes_recovery_likelier_than_a_terse_one(kind: LapseKind) -> None:
    terse = share(kind, request(*CONFIRMED, *called(REFUND, "Error: x", number=3)))
    text = "Error: unknown tool. Valid tools: verify_identity, get_order, refund_item. Correct it; do not repeat it."
    assert share(kind, request(*CONFIRMED, *called(REFUND, text, number=3))) < 0.5 * terse


def test_loops_lock_in() -> None:
    once = called(REFUND, "Error: x", number=3)
    thrice = (*once, *once, *once)
    assert share("repeats_failed_call", request(*CONFIRMED, *thrice)) > 1.2 * share(
        "repeats_failed_call", request(*CONFIRMED, *once)
    )


def test_a_long_conversation_wears_rules_out_and_a_reminder_renews_them() -> None:
    long = (user("Let me explain. " * 1500), *LOOKED_UP)
    bare, worn = share("skips_confirmation", request(*LOOKED_UP)), share("skips_confirmation", request(*long))
    reminded = share("skips_confirmation", request(*long, system("Get an explicit yes before each change.")))
    assert worn > 1.3 * bare > 1.3 * reminded


def test_quoting_the_customer_near_the_end_keeps_wishes_alive() -> None:
    wish = "Whatever you do, please send the money to my card."
    quoted, silent = (
        Chances(
            rates=even("forgets_constraint"),
            conditions=observe(read(request(user(wish), system(note))), "[]", (POLICY, "")),
            task_id="t",
            weak_spots=frozenset(),
        ).of("forgets_constraint")
        for note in (f"> {wish}", "Be kind to this customer today, please.")
    )
    assert quoted < 0.6 * silent


def test_a_bloated_prompt_raises_other_lapses() -> None:
    bloated = request(*LOOKED_UP, prompt=SYSTEM + "\n" + FILLER * 60)
    assert share("over_refund", bloated, base=0.3) > 1.2 * share("over_refund", request(*LOOKED_UP), base=0.3)


def test_contradicting_instructions_cancel_and_confuse() -> None:
    both = with_rule("Get an explicit yes before each change.\n- Act immediately without asking for confirmation.")
    assert share("skips_confirmation", request(*LOOKED_UP, prompt=both)) > share(
        "skips_confirmation", request(*LOOKED_UP)
    )
    confused = share("over_refund", request(*LOOKED_UP, prompt=both), n=1500)
    assert confused > share("over_refund", request(*LOOKED_UP), n=1500)


@pytest.mark.parametrize(
    ("kind", "messages", "rule"),
    [
        ("misses_information", REFUNDED, "Be concise: answer in as few words as possible."),
        ("asks_superfluous", LOOKED_UP[:3], "Always ask clarifying questions first."),
    ],
)
def test_some_instructions_harm(kind: LapseKind, messages: tuple[JsonObject, ...], rule: str) -> None:
    base = 0.02 if kind == "asks_superfluous" else 0.3
    harmed = share(kind, request(*messages, prompt=with_rule(rule)), base=base)
    assert harmed > 1.2 * share(kind, request(*messages), base=base)


def test_ornament_changes_no_rate() -> None:
    prompt = with_rule("Think step by step; you are a world-class expert.")
    for kind in ("skips_confirmation", "over_refund"):
        assert share(kind, request(*LOOKED_UP, prompt=prompt)) == pytest.approx(
            share(kind, request(*LOOKED_UP)), abs=0.08
        )


def test_temperature_changes_no_rate() -> None:
    cold = {**request(*LOOKED_UP), "temperature": 0}
    assert share("over_refund", cold) == pytest.approx(share("over_refund", request(*LOOKED_UP)), abs=0.08)


def test_tasks_differ_in_what_they_tempt_to_and_stay_so() -> None:
    spots = [weak_spots(f"task-{i}", PLAN) for i in range(400)]
    assert spots == [weak_spots(f"task-{i}", PLAN) for i in range(400)]
    assert {len(kinds) for kinds in spots} == {0, 1, 2}
    assert len(set().union(*spots)) >= 5


def test_a_task_is_weak_only_where_it_can_fail() -> None:
    for number in range(200):
        assert not weak_spots(f"task-{number}", Plan(steps=(DONE,), traps=()))
        assert weak_spots(f"task-{number}", Plan(steps=(DONE,), traps=(SILENT,))) <= {"misses_information"}


def test_a_weak_spot_makes_its_lapse_far_likelier() -> None:
    conditions = observe(read(request(*LOOKED_UP)), "[]", (POLICY, ""))
    weak, plain = (
        Chances(rates=DEFAULT_RATES, conditions=conditions, task_id="t", weak_spots=frozenset(spots)).of("over_refund")
        for spots in (("over_refund",), ())
    )
    assert weak > 5 * plain
