from __future__ import annotations

import json

import pytest

from optimizer.domain.json import JsonObject
from tests.benchmarks.helpdesk.sim_support import (
    CLOSING,
    CONFIRM,
    CONFIRMED,
    DONE,
    HELLO,
    IDENTIFIED,
    LOOKED_UP,
    LOOKUP,
    OVER_REFUND,
    POSTAL,
    REFUND,
    REFUNDED,
    TOO_MUCH,
    VERIFY,
    called,
    calls,
    certain,
    move,
    request,
    said,
    sim,
    system,
    user,
)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((user(HELLO),), POSTAL.question),
        ((user(HELLO), said(POSTAL.question), user("It is 12345.")), calls(VERIFY)),
        (IDENTIFIED, calls(LOOKUP)),
        (LOOKED_UP, CONFIRM.text),
        (CONFIRMED, calls(REFUND)),
        (REFUNDED, DONE.text),
        ((*REFUNDED, said(DONE.text), user("Thanks!")), CLOSING),
    ],
    ids=["ask", "verify", "look up", "confirm", "change", "tell", "close"],
)
def test_without_lapses_it_does_the_next_step_of_the_plan(messages: tuple[JsonObject, ...], expected: object) -> None:
    assert move(sim(), request(*messages)) == expected


def test_a_fact_volunteered_early_is_not_asked_for() -> None:
    assert move(sim(), request(user(f"{HELLO} My postal code is 12345."))) == calls(VERIFY)


def test_a_customer_who_has_left_is_bid_farewell() -> None:
    text = move(sim(), request(*IDENTIFIED, user("Thanks, bye.")))
    assert isinstance(text, str)
    assert "Goodbye" in text


@pytest.mark.parametrize(
    "content", ["Error: no order", "error: x", "Refused: x", "BLOCKED by guard", "Not executed: x"]
)
def test_a_call_that_was_not_carried_out_is_done_again(content: str) -> None:
    assert move(sim(), request(*IDENTIFIED, *called(LOOKUP, content, number=2))) == calls(LOOKUP)


def test_a_busy_service_is_tried_again_even_by_a_model_that_loops() -> None:
    failed = called(LOOKUP, "Error: the service is busy, try again", number=2)
    assert move(sim(certain("repeats_failed_call")), request(*IDENTIFIED, *failed)) == calls(LOOKUP)


def test_a_wall_that_stays_is_admitted() -> None:
    walls = [message for number in range(3) for message in called(LOOKUP, "Error: no", number=number + 5)]
    text = move(sim(), request(*IDENTIFIED, *walls))
    assert isinstance(text, str)
    assert "does not let me" in text


def test_history_cut_at_its_beginning_is_gone_on_from() -> None:
    assert move(sim(), request(*CONFIRMED[-2:])) == calls(REFUND)


def test_history_cut_entirely_is_begun_again() -> None:
    assert move(sim(), request(user("Yes, please go ahead."))) == POSTAL.question


def test_a_fact_kept_in_a_note_counts_as_known() -> None:
    assert move(sim(), request(user(HELLO), system("Known so far: postal code 12345."))) == calls(VERIFY)


def test_answers_without_matching_ids_are_paired_in_order() -> None:
    messages = json.loads(json.dumps(list(LOOKED_UP)))
    for message in messages:
        message.pop("tool_call_id", None)
    assert move(sim(), request(*messages)) == CONFIRM.text


def test_extra_arguments_of_a_harness_do_not_hide_a_call() -> None:
    function = {"name": "get_order", "arguments": '{"order_id": "BV-1", "sure": true}'}
    made: JsonObject = {"role": "assistant", "content": None, "tool_calls": [{"id": "x", "function": function}]}
    answer: JsonObject = {"role": "tool", "tool_call_id": "x", "content": "{}"}
    assert move(sim(), request(*IDENTIFIED, made, answer)) == CONFIRM.text


def test_a_skipped_step_is_not_caught_up_on_by_itself() -> None:
    skipped = (user(HELLO), *called(LOOKUP, "{}"))
    assert move(sim(), request(*skipped)) == CONFIRM.text


def test_a_guard_that_names_the_rule_brings_a_skipped_step_back() -> None:
    guard = "Error: get_order is not allowed yet. Verify the customer's identity first with verify_identity."
    assert move(sim(), request(user(HELLO), *called(LOOKUP, guard))) == POSTAL.question
    late = (user(HELLO), *called(LOOKUP, "{}"), *called(REFUND, guard, number=2))
    assert move(sim(), request(*late)) == POSTAL.question


def test_a_guard_against_an_unconfirmed_change_makes_it_confirm_and_then_change() -> None:
    guard = "Blocked: read the change back and get the customer's explicit yes before you call refund_item."
    blocked = (*LOOKED_UP, *called(REFUND, guard, number=3))
    assert move(sim(), request(*blocked)) == CONFIRM.text
    assert move(sim(), request(*blocked, said(CONFIRM.text), user("Yes."))) == calls(REFUND)


def test_a_trap_once_taken_is_followed_to_its_end() -> None:
    at_trap = move(sim(certain("over_refund")), request(*LOOKED_UP))
    assert at_trap == OVER_REFUND.instead[0].text  # type: ignore[union-attr]  # a Confirm
    confirmed = (*LOOKED_UP, said("I would refund $99.00. OK?"), user("Yes."))
    assert move(sim(), request(*confirmed)) == calls(TOO_MUCH)
    assert move(sim(), request(*confirmed, *called(TOO_MUCH, "{}", number=3))) == DONE.text


def test_a_blocked_mistake_is_given_up_for_the_plan() -> None:
    confirmed = (*LOOKED_UP, said("I would refund $99.00. OK?"), user("Yes."))
    blocked = called(TOO_MUCH, "Error: refuse amounts above the price paid for the item", number=3)
    assert move(sim(), request(*confirmed, *blocked)) == CONFIRM.text


def test_a_trap_that_leaves_steps_out_goes_on_behind_them() -> None:
    assert move(sim(certain("misses_information")), request(*REFUNDED)) == CLOSING


def test_a_draft_under_review_counts_as_not_said() -> None:
    review = system("Check your last message against the policy and send the corrected message.")
    assert move(sim(), request(*REFUNDED, said(DONE.text), review)) == DONE.text


def test_an_error_ignored_is_spoken_of_as_a_success() -> None:
    failed = called(REFUND, "Error: internal", number=3)
    assert move(sim(certain("ignores_tool_error")), request(*CONFIRMED, *failed)) == DONE.text


def test_a_failed_call_can_be_repeated_for_ever() -> None:
    wrong = called(REFUND, "Error: unknown tool", number=3)
    body = request(*CONFIRMED, *wrong, *wrong, *wrong, *wrong, *wrong)
    assert move(sim(certain("repeats_failed_call")), body) == calls(REFUND)


@pytest.mark.parametrize("luck", [f"t/mine/{i}" for i in range(20)])
def test_slips_name_no_offered_tool_or_spoil_the_arguments(luck: str) -> None:
    body = request(*CONFIRMED)
    name = move(sim(certain("hallucinated_tool")), body, luck=luck)
    assert isinstance(name, list)
    assert name[0] not in {"verify_identity", "get_order", "refund_item"}
