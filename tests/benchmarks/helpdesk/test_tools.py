"""The tools read and write what they say, validate what makes no sense, and leave policy to the grader."""

from __future__ import annotations

import datetime as dt
import json

import jsonschema
import pytest

from benchmarks.helpdesk.catalogue import products, sibling
from benchmarks.helpdesk.environment import policy
from benchmarks.helpdesk.lookups import Result
from benchmarks.helpdesk.tools import schemas, tools
from benchmarks.helpdesk.world import TODAY, Address, Customer, Item, Order, OrderStatus, Seed, Stock, World
from optimizer.domain.json import Json

LAMP, KETTLE = products()["P-2031"], products()["P-2011"]
WHO = Customer(
    id="C-10000",
    name="Ada Example",
    email="ada@postwell.example",
    phone="555-100-1000",
    address=Address(street="1 Elm Road", city="Larkwell", postal_code="12345"),
    last4="0042",
    tier="plus",
)


def order(number: int, status: OrderStatus) -> Order:
    is_shipped = status in {"shipped", "delivered"}
    return Order(
        id=f"BV-{number}",
        customer_id=WHO.id,
        status=status,
        items=(
            Item(id=f"BV-{number}-1", product_id=LAMP.id, price=64.5),
            Item(id=f"BV-{number}-2", product_id=KETTLE.id, price=49.0),
        ),
        shipping_fee=5.0,
        address=WHO.address,
        placed_on=dt.date(2027, 3, 1),
        promised_on=dt.date(2027, 3, 12),
        delivered_on=dt.date(2027, 3, 5) if status == "delivered" else None,
        carrier="Swift Heron" if is_shipped else "",
    )


@pytest.fixture
def world() -> World:
    statuses: tuple[OrderStatus, ...] = ("pending", "shipped", "delivered", "cancelled")
    orders = tuple(order(100001 + place, status) for place, status in enumerate(statuses))
    return World(Seed(customers=(WHO,), orders=orders, stock={KETTLE.id: Stock(available=0, delivery_days=9)}))


def call(world: World, name: str, **arguments: Json) -> Result:
    return tools()[name].call(world, arguments)


def test_there_are_sixteen_tools_with_descriptions_and_valid_closed_schemas() -> None:
    assert len(schemas()) == 16
    for schema in schemas():
        assert len(schema.description) > 30, schema.name
        assert "description" not in schema.parameters
        assert schema.parameters["additionalProperties"] is False
        jsonschema.Draft202012Validator.check_schema(dict(schema.parameters))


def test_the_policy_has_two_to_three_pages_and_names_the_day_of_the_world() -> None:
    assert 900 <= len(policy().split()) <= 1400
    assert f"{TODAY:%A}, {TODAY.day} {TODAY:%B %Y}" in policy()


def test_finding_a_customer_discloses_the_id_alone(world: World) -> None:
    assert json.loads(call(world, "find_customer", email=" ADA@postwell.example").content) == {"customer_id": WHO.id}
    assert call(world, "find_customer", email="nobody@x.example").is_error


def test_verification_needs_both_secrets(world: World) -> None:
    right = call(world, "verify_identity", customer_id=WHO.id, postal_code="12345", last4="0042")
    wrong = call(world, "verify_identity", customer_id=WHO.id, postal_code="12345", last4="0043")
    assert (right.verified, wrong.verified) == (WHO.id, "")
    assert json.loads(wrong.content) == {"verified": False}
    assert not wrong.is_error


def test_an_order_lists_items_with_ids_and_what_was_paid(world: World) -> None:
    row = json.loads(call(world, "get_order", order_id="BV-100003").content)
    assert [item["item_id"] for item in row["items"]] == ["BV-100003-1", "BV-100003-2"]
    assert row["total_paid"] == 118.5
    assert row["delivered_on"] == "2027-03-05"


def test_only_shipped_orders_can_be_tracked(world: World) -> None:
    assert json.loads(call(world, "track_shipment", order_id="BV-100002").content)["expected_delivery"] == "2027-03-12"
    assert call(world, "track_shipment", order_id="BV-100001").is_error


def test_products_are_found_by_words_and_by_id(world: World) -> None:
    both = json.loads(call(world, "find_product", query="halden KETTLE").content)["products"]
    assert {row["product_id"] for row in both} == {KETTLE.id, sibling(KETTLE).id}
    one = json.loads(call(world, "find_product", query=KETTLE.id).content)["products"]
    assert [row["name"] for row in one] == [KETTLE.name]
    assert call(world, "find_product", query="zeppelin").is_error


def test_stock_that_is_gone_has_no_delivery_date(world: World) -> None:
    assert json.loads(call(world, "check_stock", product_id=KETTLE.id).content)["earliest_delivery"] is None


def test_nothing_is_refunded_twice_or_beyond_what_was_paid(world: World) -> None:
    def refund(amount: float) -> Result:
        return call(
            world, "refund_item", order_id="BV-100003", item_id="BV-100003-1", amount=amount, method="original_payment"
        )

    assert "more than was paid" in refund(118.6).content
    assert not refund(64.5).is_error
    assert "already refunded" in refund(64.5).content
    assert len(world.writes) == 1


@pytest.mark.parametrize(("number", "word"), [(100003, "delivered"), (100004, "cancelled")])
def test_cancelling_what_is_over_makes_no_sense(world: World, number: int, word: str) -> None:
    assert f"already {word}" in call(world, "cancel_order", order_id=f"BV-{number}").content


def test_tools_do_not_enforce_policy(world: World) -> None:
    assert not call(world, "cancel_order", order_id="BV-100002").is_error
    assert not call(
        world, "change_address", order_id="BV-100001", street="2 Oak", city="Larkwell", postal_code="54321"
    ).is_error


def test_what_is_out_of_stock_is_neither_replaced_nor_given_in_exchange(world: World) -> None:
    assert "out of stock" in call(world, "replace_item", order_id="BV-100003", item_id="BV-100003-2").content
    swap = call(
        world, "exchange_item", order_id="BV-100003", item_id="BV-100003-1", new_product_id=KETTLE.id, gift_wrap=True
    )
    assert "out of stock" in swap.content


def test_a_credit_is_given_once_per_order_and_to_its_owner(world: World) -> None:
    first = call(world, "issue_credit", customer_id=WHO.id, order_id="BV-100003", amount=10)
    second = call(world, "issue_credit", customer_id=WHO.id, order_id="BV-100003", amount=10)
    other = call(world, "issue_credit", customer_id="C-99999", order_id="BV-100001", amount=10)
    assert (first.is_error, second.is_error, other.is_error) == (False, True, True)


def test_contact_details_are_checked_and_changed(world: World) -> None:
    assert call(world, "update_contact", customer_id=WHO.id, field="email", value="nonsense").is_error
    call(world, "update_contact", customer_id=WHO.id, field="email", value="new@x.example")
    assert world.customers[WHO.id].email == "new@x.example"


def test_escalations_have_different_references_and_default_to_email(world: World) -> None:
    texts = [
        call(world, "escalate_to_human", customer_id=WHO.id, category="legal", summary="sues").content for _ in range(2)
    ]
    assert texts[0] != texts[1]
    assert world.writes[0].arguments == {"customer_id": WHO.id, "category": "legal", "contact_by": "email"}


def test_arguments_that_do_not_fit_are_refused_with_the_field_named(world: World) -> None:
    result = call(world, "refund_item", order_id="BV-100003", item_id="BV-100003-1", amount="64.5", method="cash")
    assert result.is_error
    assert result.content.startswith("Error: invalid arguments: amount: ")
    assert "method: " in result.content
    assert world.writes == []
