"""What the playbook's guards do once they are in a harness: their behaviour, each in the harness with all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness_template.stage import FakeModel, FakeSession, Reply, call, error, play, staged
from tests.propose.requests import with_entries

pytestmark = pytest.mark.anyio

ALL = (
    "argument-guard",
    "confirmation-guard",
    "consistency-check",
    "identity-guard",
    "repeated-call-guard",
    "retry-budget",
    "schema-preconditions",
    "tool-name-guard",
)
VERIFY = call("verify_identity", postal_code="12345")
ORDER = call("get_order", order_id="#77")
REFUND = call("refund_item", order_id="#77", amount=39.9)
YES = Reply(content="Yes, please go ahead.")


async def results(
    folder: Path, session: FakeSession, *moves: object, files: Mapping[str, bytes] | None = None
) -> list[str]:
    """Play the moves and return what the model was told by the tools."""
    model = FakeModel(moves=[*moves, "Goodbye."])  # type: ignore[list-item]
    await play(with_entries(*ALL) if files is None else files, folder, session, model)
    return [str(message["content"]) for message in model.sent(-1) if message["role"] == "tool"]


def names(session: FakeSession) -> list[str]:
    return [name for name, _ in session.calls]


async def test_account_tools_are_blocked_until_the_identity_is_verified(tmp_path: Path) -> None:
    session = FakeSession(results={"verify_identity": [Reply(content='{"verified": true}')]})

    told = await results(tmp_path, session, ORDER, call("find_customer", email="a@b.c"), VERIFY, ORDER)

    assert names(session) == ["find_customer", "verify_identity", "get_order"]
    assert told[0].startswith("Error: get_order is not allowed yet")
    assert "call verify_identity" in told[0]


@pytest.mark.parametrize("refusal", [Reply(content='{"verified": false}'), error("no match")])
async def test_a_failed_verification_unblocks_nothing(tmp_path: Path, refusal: Reply) -> None:
    session = FakeSession(results={"verify_identity": [refusal]})

    told = await results(tmp_path, session, VERIFY, ORDER)

    assert names(session) == ["verify_identity"]
    assert "not verified" in told[-1]


async def test_escalation_needs_neither_identity_nor_confirmation(tmp_path: Path) -> None:
    session = FakeSession()

    await results(tmp_path, session, call("escalate_to_human", summary="smoke"))

    assert names(session) == ["escalate_to_human"]


async def test_a_change_is_blocked_until_the_customer_said_yes_to_the_read_back(tmp_path: Path) -> None:
    session = FakeSession(answers=[YES])

    told = await results(tmp_path, session, VERIFY, REFUND, "I will refund $39.90. Shall I go ahead?", REFUND)

    assert names(session) == ["verify_identity", "refund_item"]
    assert "has not confirmed" in told[1]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Shall I go ahead?", "No, wait."),
        ("Shall I go ahead?", "Yes, but as credit instead."),
        ("May I have your email?", "Sure, yes: a@b.c"),
        ("I will refund it now.", "Yes, I have been waiting for weeks."),
    ],
)
async def test_what_is_no_clear_yes_to_a_read_back_unblocks_no_change(tmp_path: Path, said: str, answer: str) -> None:
    session = FakeSession(answers=[Reply(content=answer)])

    await results(tmp_path, session, VERIFY, said, REFUND)

    assert "refund_item" not in names(session)


async def test_a_yes_lasts_only_until_the_customer_speaks_again(tmp_path: Path) -> None:
    session = FakeSession(answers=[YES, Reply(content="One more thing about my lamp.")])

    await results(tmp_path, session, VERIFY, "Shall I refund $39.90?", "Noted.", REFUND)

    assert "refund_item" not in names(session)


async def test_an_unknown_tool_is_answered_with_the_nearest_and_all_names(tmp_path: Path) -> None:
    session = FakeSession()

    told = await results(tmp_path, session, call("get_orders", order_id="#77"))

    assert session.calls == []
    assert "there is no tool named get_orders. Did you mean get_order?" in told[0]
    assert "find_customer, verify_identity, get_order, refund_item, escalate_to_human" in told[0]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (call("get_order"), "order_id is missing"),
        (call("get_order", order_id=77), "order_id must be of type string, not 77"),
        (call("get_order", order_id="77"), "order_id must match ^#[0-9]+$"),
        (call("get_order", order_id="#1", id="#1"), "id is not an argument of this tool"),
        (call("refund_item", order_id="#1", amount=True), "amount must be of type number"),
        (call("refund_item", order_id="#1", amount=0), "amount must be more than 0"),
        (call("refund_item", order_id="#1", amount=1, method="cash"), 'method must be one of ["original", "credit"]'),
    ],
)
async def test_wrong_arguments_are_answered_with_what_is_expected(tmp_path: Path, wrong: object, said: str) -> None:
    session = FakeSession()

    told = await results(tmp_path, session, wrong)

    assert session.calls == []
    assert said in told[0]
    assert "Expected: {" in told[0]


async def test_a_repeated_lookup_gets_the_earlier_result_without_a_call(tmp_path: Path) -> None:
    session = FakeSession(results={"get_order": [Reply(content='{"total": 5}')]})

    told = await results(tmp_path, session, VERIFY, ORDER, ORDER)

    assert names(session).count("get_order") == 1
    assert told[-1].startswith('{"total": 5}\n[Note: You already made exactly this call.')


async def test_a_lookup_after_a_change_is_sent_again(tmp_path: Path) -> None:
    session = FakeSession(answers=[YES])

    await results(tmp_path, session, VERIFY, ORDER, "Shall I refund $39.90?", REFUND, ORDER)

    assert names(session) == ["verify_identity", "get_order", "refund_item", "get_order"]


async def test_a_repeated_failing_call_is_not_sent_again(tmp_path: Path) -> None:
    session = FakeSession(results={"get_order": [error("no order with this number")]})

    told = await results(tmp_path, session, VERIFY, ORDER, ORDER, ORDER)

    assert names(session).count("get_order") == 1
    assert "Do not repeat it" in told[-1]


async def test_a_transient_error_is_retried_out_of_the_models_sight(tmp_path: Path) -> None:
    session = FakeSession(results={"get_order": [error("the service is busy, try again"), Reply(content="{}")]})

    told = await results(tmp_path, session, VERIFY, ORDER)

    assert names(session).count("get_order") == 2
    assert told[-1] == "{}"


async def test_a_tool_that_keeps_failing_is_left_alone_until_the_customer_speaks(tmp_path: Path) -> None:
    session = FakeSession(results={"get_order": [error("no such order")]}, answers=[Reply(content="It is #5.")])
    moves = [call("get_order", order_id=f"#{number}") for number in range(4)]

    told = await results(tmp_path, session, VERIFY, *moves, "Which order is it?", call("get_order", order_id="#5"))

    assert names(session).count("get_order") == 4
    assert "failed 3 times in a row and was not called again" in told[4]


async def test_an_error_says_that_nothing_was_changed(tmp_path: Path) -> None:
    session = FakeSession(results={"get_order": [error("no order with this number")]})

    told = await results(tmp_path, session, VERIFY, ORDER)

    assert told[-1].startswith("Error: no order with this number\n[Note: This call failed: nothing was changed")


async def test_tool_descriptions_state_arguments_and_preconditions(tmp_path: Path) -> None:
    with staged(with_entries("schema-preconditions"), tmp_path):
        from tools import Registry  # type: ignore[import-not-found]

        told = {spec["function"]["name"]: spec["function"]["description"] for spec in Registry(FakeSession()).specs()}

    assert (
        "Arguments: order_id (string, required), amount (number, required), method (string, optional)."
        in told["refund_item"]
    )
    assert told["refund_item"].endswith("they have confirmed exactly this change.")
    assert told["get_order"].endswith("Precondition: the customer's identity is verified.")
    assert "Precondition" not in told["verify_identity"]


async def test_pinned_instructions_stand_at_the_end_with_the_customers_own_words(tmp_path: Path) -> None:
    session = FakeSession(answers=[Reply(content="Only as store credit, please.")])
    model = FakeModel(moves=["Hello?", "Bye."])

    await play(with_entries("pin-instructions"), tmp_path, session, model)

    last = model.sent(1)[-1]
    assert last["role"] == "system"
    assert "> My kettle is broken, order #77.\n> Only as store credit, please." in str(last["content"])


async def test_a_trimmed_history_starts_with_no_orphaned_tool_result(tmp_path: Path) -> None:
    model = FakeModel(moves=[*([(ORDER, ORDER, ORDER)] * 4), "Bye."])

    await play(with_entries("trim-history"), tmp_path, FakeSession(), model)

    for index in range(5):
        messages = model.sent(index)
        assert len(messages) <= 7
        assert messages[1]["role"] != "tool"


async def test_a_changed_step_limit_holds(tmp_path: Path) -> None:
    model = FakeModel(moves=[ORDER])

    await play(with_entries("fewer-steps"), tmp_path, FakeSession(), model)

    assert len(model.requests) == 8
