"""The arguments of every tool, as pydantic models; the JSON schemas that harnesses see are made from them.

The docstring of a model is the description of its tool.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Arguments(BaseModel):
    """Base: strict types, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


CustomerId = Annotated[str, Field(description="Customer id as find_customer returns it, like C-40417", max_length=40)]
OrderId = Annotated[str, Field(description="Order number, like BV-204417", max_length=40)]
ItemId = Annotated[str, Field(description="Item id as get_order lists it, like BV-204417-1", max_length=40)]
ProductId = Annotated[str, Field(description="Product id, like P-2011", max_length=40)]
GiftWrap = Annotated[bool, Field(description="Whether to gift wrap the new item")]


class FindCustomer(Arguments):
    """Find a customer's id by email address. Discloses nothing else."""

    email: str = Field(description="Email address on the account", max_length=254)


class VerifyIdentity(Arguments):
    """Check the postal code and the last four card digits a customer gave. Answers whether both match the account."""

    customer_id: CustomerId
    postal_code: str = Field(description="Postal code the customer gave, five digits", max_length=20)
    last4: str = Field(description="Last four digits of the payment card the customer gave", max_length=20)


class GetCustomer(Arguments):
    """Profile of a verified customer: name, contact details, address, membership (standard or plus)."""

    customer_id: CustomerId


class ListOrders(Arguments):
    """All orders of a verified customer with number, status, date and item names.

    For when the order number is not known.
    """

    customer_id: CustomerId


class GetOrder(Arguments):
    """One order in full: status, dates, items with ids and prices, shipping fee, delivery address."""

    order_id: OrderId


class TrackShipment(Arguments):
    """Carrier, status and expected delivery date of an order that has shipped."""

    order_id: OrderId


class FindProduct(Arguments):
    """Search the range by name or id: price, warranty, weight and size of the best matches."""

    query: str = Field(description="Words of the product name, or a product id", min_length=1, max_length=200)


class CheckStock(Arguments):
    """How many pieces of a product are available and the earliest delivery date."""

    product_id: ProductId


class CancelOrder(Arguments):
    """Cancel a whole order and refund it to the original payment method. Cannot be undone."""

    order_id: OrderId


class RefundItem(Arguments):
    """Refund one item of an order. Sends a prepaid return label by email where one is needed. Cannot be undone."""

    order_id: OrderId
    item_id: ItemId
    amount: float = Field(description="Amount in US dollars", gt=0)
    method: Literal["original_payment", "store_credit"] = Field(
        description="Where the money goes: original_payment unless the customer wants store_credit"
    )


class ReplaceItem(Arguments):
    """Send a damaged item again, free of charge. Needs stock."""

    order_id: OrderId
    item_id: ItemId
    gift_wrap: GiftWrap = False


class ExchangeItem(Arguments):
    """Exchange an item for another product of the same price and send a prepaid return label. Needs stock."""

    order_id: OrderId
    item_id: ItemId
    new_product_id: ProductId
    gift_wrap: GiftWrap = False


class ChangeAddress(Arguments):
    """Change the delivery address of an order."""

    order_id: OrderId
    street: str = Field(description="Street and house number", min_length=1, max_length=200)
    city: str = Field(min_length=1, max_length=100)
    postal_code: str = Field(description="Postal code, five digits", pattern=r"^\d{5}$")


class UpdateContact(Arguments):
    """Change the email address or phone number on a customer's profile."""

    customer_id: CustomerId
    field: Literal["email", "phone"]
    value: str = Field(description="The new value", min_length=3, max_length=254)


class IssueCredit(Arguments):
    """Add a goodwill credit for a late order to the customer's account. Once per order."""

    customer_id: CustomerId
    order_id: OrderId
    amount: float = Field(description="Amount in US dollars", gt=0, le=500)


class EscalateToHuman(Arguments):
    """Hand the case to a human colleague. Returns the reference number to give to the customer."""

    customer_id: CustomerId
    category: Literal["high_value_refund", "legal", "safety", "fraud", "other"]
    summary: str = Field(description="What the colleague needs to know, one or two sentences", max_length=2000)
    contact_by: Literal["email", "phone"] = Field(default="email", description="How the colleague answers")
