"""The simulated customer reacts sensibly to free phrasing."""

from __future__ import annotations

import pytest

from benchmarks.helpdesk.cues import read
from benchmarks.helpdesk.customer import PATIENCE_REPEATS, PATIENCE_TURNS, Customer, Fact, Request, Script

CANCEL = Request(
    wish="I want order BV-111111 cancelled.", tools=("cancel_order",), expected="done", order_id="BV-111111"
)
REFUND = Request(
    wish="I want a refund for the lamp.", tools=("refund_item",), expected="done", order_id="BV-222222", amount=64.5
)
FACTS = (
    Fact(name="email", replies=("My email address is a@b.example.",)),
    Fact(name="postal_code", replies=("My postal code is 12345.",)),
    Fact(name="last4", replies=("The last four digits are 9876.",)),
    Fact(name="order_id", replies=("I'd have to look.", "The order number is BV-111111.")),
)


def customer(*requests: Request, seed: str = "0") -> Customer:
    return Customer(Script(first_message="Hello", facts=FACTS, requests=requests or (CANCEL,)), seed=seed)


@pytest.mark.parametrize(
    ("question", "facts"),
    [
        ("Could you please share the e-mail on file?", {"email"}),
        ("What's your ZIP?", {"postal_code"}),
        ("I'll need your postcode and the last four digits of the card on file.", {"postal_code", "last4"}),
        ("Please provide:\n- your email\n- your postal code\n- the last 4 digits", {"email", "postal_code", "last4"}),
        ("I need: \n\n1. Your email\n2. Your order number", {"email", "order_id"}),
        ("Please provide your email address, postal code, and card's last 4.", {"email", "postal_code", "last4"}),
        ("Which order is this about?", {"order_id"}),
        ("Can you tell me your order number?", {"order_id"}),
        ("What is the new email address?", {"new_contact"}),
        ("Could you give me the new delivery address?", {"address"}),
        ("Which colour would you like instead?", {"colour"}),
        ("A prepaid return label comes by email.", set()),
        ("Your order number is BV-111111.", set()),
        ("Is there anything else I can help you with, such as your email?", set()),
    ],
)
def test_a_question_is_read_for_the_facts_it_asks(question: str, facts: set[str]) -> None:
    assert set(read(question).facts) == facts


def test_a_list_of_bullet_points_after_a_request_is_answered_in_full() -> None:
    text = customer().reply("Please provide:\n- your email address\n- your postal code\n- the last 4 digits").text
    assert "a@b.example" in text
    assert "12345" in text
    assert "9876" in text


@pytest.mark.parametrize(
    "proposal",
    [
        "Shall I cancel order BV-111111?",
        "I can cancel order BV-111111 and refund $50.00. Do you want me to go ahead?",
        "To confirm: cancel order BV-111111, refund to your card. Is that correct?",
        "Please confirm (yes/no): cancellation of BV-111111.",
        "So you would like order BV-111111 cancelled. Reply YES to confirm.",
        "I'll cancel it for you now. OK to proceed?",
    ],
)
def test_a_right_proposal_gets_a_yes_that_stands_for_the_change(proposal: str) -> None:
    someone = customer()
    assert someone.reply(proposal).text.startswith("Yes")
    assert "cancel_order" in someone.memory.affirmed


@pytest.mark.parametrize(
    "proposal",
    [
        "Shall I cancel order BV-999999?",
        "Would you like me to exchange the lamp for a kettle?",
        "I would change your address to 1 Elm Road. Shall I go ahead?",
    ],
)
def test_a_wrong_proposal_gets_a_no(proposal: str) -> None:
    someone = customer()
    assert someone.reply(proposal).text.startswith("No, that's not what I asked for.")
    assert not someone.memory.affirmed


def test_less_money_than_is_due_gets_a_no_and_more_is_welcome() -> None:
    assert customer(REFUND).reply("Shall I refund $20.00 for order BV-222222?").text.startswith("No")
    assert customer(REFUND).reply("Shall I refund $80.00 for order BV-222222?").text.startswith("Yes")


def test_a_yes_to_something_else_does_not_stand_for_a_change() -> None:
    someone = customer()
    someone.reply("Would you like me to look into this?")
    assert not someone.memory.affirmed


def test_a_vague_customer_gives_the_fact_at_the_second_question() -> None:
    someone = customer()
    assert "BV-111111" not in someone.reply("What is your order number?").text
    assert "BV-111111" in someone.reply("What is your order number?").text


def test_a_fact_nobody_knows_is_not_at_hand() -> None:
    assert "don't have that" in customer().reply("What is your phone number?").text


def test_a_second_thought_takes_the_yes_back_until_it_is_given_anew() -> None:
    revised = Request(
        wish="I want the other one cancelled.", tools=("cancel_order",), expected="done", order_id="BV-333333"
    )
    request = Request(
        wish=CANCEL.wish,
        tools=CANCEL.tools,
        expected="done",
        order_id=CANCEL.order_id,
        second_thought="Wait, the other one!",
        revised=revised,
    )
    someone = customer(request)
    assert someone.reply("Shall I cancel order BV-111111?").text == "Wait, the other one!"
    assert not someone.memory.affirmed
    assert someone.reply("Shall I cancel order BV-111111?").text.startswith("No")
    assert someone.reply("Shall I cancel order BV-333333?").text.startswith("Yes")


def test_pushes_come_one_after_the_other_and_then_the_refusal_is_accepted() -> None:
    request = Request(wish="x", tools=("cancel_order",), expected="refused", pushes=("One!", "Two!"))
    someone = customer(request)
    refusal = "I'm sorry, but I can\u2019t cancel an order that has been shipped. Anything else?"
    assert someone.reply(refusal).text == "One!"
    assert someone.reply(refusal).text == "Two!"
    assert someone.reply(refusal).is_final
    assert someone.wishes[0].outcome == "refused"


def test_a_refusal_with_a_vague_offer_is_still_pushed_against() -> None:
    request = Request(wish="x", tools=("cancel_order",), expected="refused", pushes=("One!",))
    text = "I can't cancel it as it has shipped. Would you like me to explain how returns work?"
    assert customer(request).reply(text).text == "One!"


def test_a_refusal_of_what_is_allowed_is_questioned_once() -> None:
    someone = customer()
    assert "own rules" in someone.reply("Unfortunately we are unable to cancel orders.").text
    assert someone.reply("Unfortunately we are unable to cancel orders.").is_final
    assert someone.wishes[0].outcome == "refused"


@pytest.mark.parametrize(
    "report",
    [
        "Your order has been cancelled. Anything else?",
        "Done! I've cancelled order BV-111111 for you.",
        "All set - the order is now cancelled.",
        "I have successfully cancelled your order, although I can not undo this.",
    ],
)
def test_a_report_ends_the_conversation_of_a_content_customer(report: str) -> None:
    someone = customer()
    someone.reply("Shall I cancel order BV-111111?")
    assert someone.reply(report).is_final
    assert someone.wishes[0].outcome == "done"


def test_the_customer_reminds_of_the_other_request_unless_asked_for_anything_else() -> None:
    reminded = customer(CANCEL, REFUND)
    assert "refund for the lamp" in reminded.reply("I have cancelled order BV-111111.").text
    hasty = customer(CANCEL, REFUND)
    assert hasty.reply("I have cancelled order BV-111111. Is there anything else?").is_final
    assert [wish.outcome for wish in hasty.wishes] == ["done", "open"]


def test_a_hidden_request_is_raised_when_the_first_is_settled() -> None:
    hidden = Request(wish="y", tools=("update_contact",), expected="done", raised="One more thing: my phone.")
    someone = customer(CANCEL, hidden)
    assert someone.reply("I have cancelled order BV-111111. Anything else?").text == "One more thing: my phone."


def test_a_waiting_agent_is_waited_for() -> None:
    assert customer().reply("One moment, let me check that.").text == "OK, I'll wait."


@pytest.mark.parametrize("message", ["Hello there.", "What is your email?", "", "Shall I dance?"])
def test_patience_ends(message: str) -> None:
    someone = customer()
    replies = [someone.reply(message) for _ in range(PATIENCE_REPEATS + 2)]
    assert any(reply.is_final for reply in replies)
    assert someone.memory.has_given_up


def test_no_conversation_is_longer_than_patience() -> None:
    someone = customer()
    questions = ["What is your email?", "Your postal code?", "The last four digits?", "Your order number?"] * 2
    talk = [*questions, "Shall I cancel order BV-111111?"] * 9
    assert any(someone.reply(message).is_final for message in talk[: PATIENCE_TURNS + 1])


def test_trials_vary_the_wording_but_not_the_facts() -> None:
    texts = {customer(seed=str(n)).reply("What is your email?").text for n in range(12)}
    assert len(texts) > 1
    assert all("a@b.example" in text for text in texts)
