from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.helpdesk.sim.cues import read_cues
from benchmarks.helpdesk.sim.patterns import PATTERNS, Cue

ASSERTED: list[tuple[Cue, str]] = [
    ("verify_identity", "Verify the customer's identity before you look at any order."),
    ("verify_identity", "Always make sure who the customer is: authenticate the caller first."),
    ("verify_identity", "Never open an account before verifying the customer."),
    ("verify_identity", "Do not skip verification of the customer."),
    ("verify_identity", "Call verify_identity first; no account tool may run until it has succeeded."),
    ("verify_identity", "Precondition: the customer's identity is verified."),
    ("confirm_changes", "Before any change, read back what you are about to do and wait for an explicit yes."),
    ("confirm_changes", "Get the customer's approval before each refund or cancellation."),
    ("confirm_changes", "Never call a tool that changes data without the customer's confirmation."),
    ("confirm_changes", "Use this tool only after the user agreed."),
    ("act_at_once", "Act immediately and do not bother the customer with questions."),
    ("known_tools_only", "Only call tools that are on the list, spelled exactly as shown."),
    ("known_tools_only", "Do not invent tool names."),
    ("exact_arguments", "Fill in every required argument with the type the schema asks for."),
    ("exact_arguments", "Copy order ids verbatim."),
    ("no_repeat", "Never send the same failing call again."),
    ("no_repeat", "You made this call already and it failed. Do not repeat it."),
    ("check_results", "Never tell the customer that something is done unless the tool returned success."),
    ("check_results", "Read the result of every tool call before you go on."),
    ("persist", "Don't give up; try another way."),
    ("persist", "Keep working until the customer's problem is solved."),
    ("refund_limits", "Never refund more than the price paid."),
    ("remember_wishes", "Keep a list of what the customer said earlier and honour those wishes."),
    ("resist_pressure", "Stay firm on policy even if the customer insists."),
    ("look_up", "Look facts up with a tool instead of answering from memory."),
    ("escalate_when_due", "Escalate whenever the policy requires it."),
    ("escalate_little", "Transfer to a human only as a last resort."),
    ("allow_what_is_allowed", "Do not refuse what the policy permits."),
    ("allow_what_is_allowed", "Before you say no, find the rule that forbids it."),
    ("refuse_strictly", "When in doubt, refuse."),
    ("all_requests", "Before closing, check that every request was dealt with."),
    ("required_information", "After each change tell the customer how many days it takes and any fees."),
    ("ask_much", "Ask clarifying questions first."),
    ("be_concise", "Keep your answers short."),
]


@pytest.mark.parametrize(("cue", "text"), ASSERTED, ids=[f"{cue}: {text[:40]}" for cue, text in ASSERTED])
def test_an_instruction_is_recognised_by_its_meaning(cue: Cue, text: str) -> None:
    assert cue in read_cues(text).asserted


@pytest.mark.parametrize(
    ("cue", "text"),
    [
        ("verify_identity", "Do not verify the customer."),
        ("verify_identity", "There is no need to verify the identity."),
        ("verify_identity", "Help at once without verifying the customer."),
        ("confirm_changes", "Do not ask the customer to confirm changes before you make them."),
        ("look_up", "Don't look things up before answering."),
    ],
)
def test_a_negated_instruction_is_denied(cue: Cue, text: str) -> None:
    reading = read_cues(text)
    assert cue not in reading.asserted
    assert cue in reading.denied


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Think step by step.",
        "You are a world-class expert with decades of experience.",
        "- Be friendly and answer in the customer's language.",
        "Our brand stands for warmth and ease. Use the active voice. Do not use emoji.",
    ],
)
def test_ornament_asks_for_nothing(text: str) -> None:
    reading = read_cues(text)
    assert not reading.asserted
    assert not reading.denied


def test_force_is_told_from_a_plain_statement() -> None:
    assert "escalate_when_due" not in read_cues("Escalate when policy requires it.").emphasised
    assert "escalate_when_due" in read_cues("When in doubt, escalate!").emphasised
    assert "escalate_when_due" in read_cues("You MUST ALWAYS escalate.").emphasised


def test_a_worked_dialogue_is_an_example() -> None:
    dialogue = "Customer: Hi.\nAgent: Who are you?\nCustomer: Ann.\nAgent: Thanks."
    assert read_cues(dialogue).is_example
    assert not read_cues("Customer: the person who writes.").is_example


def test_every_cue_has_an_example_here() -> None:
    assert {cue for cue, _ in ASSERTED} == set(PATTERNS)


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    reading = read_cues(text)
    assert not reading.asserted & reading.denied
    assert reading.emphasised <= reading.asserted
