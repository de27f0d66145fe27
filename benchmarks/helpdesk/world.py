"""The shop's database: a few typed tables, built for one task, and a log of everything that was changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.helpdesk.catalogue import Product, products
from optimizer.domain.json import Json, JsonObject, content_hash

TODAY = dt.date(2027, 3, 10)

OrderStatus = Literal["pending", "processing", "shipped", "delivered", "cancelled"]
Tier = Literal["standard", "plus"]
ItemState = Literal["ordered", "refunded", "replaced", "exchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where something goes."""

    street: str
    city: str
    postal_code: str

    def __str__(self) -> str:
        return f"{self.street}, {self.city}, {self.postal_code}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A row of the customer table."""

    id: str
    name: str
    email: str
    phone: str
    address: Address
    last4: str
    """Last four digits of the payment card on file."""
    tier: Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A line of an order."""

    id: str
    product_id: str
    price: float
    """USD, as paid."""
    state: ItemState = "ordered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order with its payment and shipment."""

    id: str
    customer_id: str
    status: OrderStatus
    items: tuple[Item, ...]
    shipping_fee: float
    address: Address
    placed_on: dt.date
    promised_on: dt.date
    """Delivery date promised (delivered orders) or expected (all others)."""
    shipped_on: dt.date | None = None
    delivered_on: dt.date | None = None
    carrier: str = ""
    """Empty before shipping."""

    @property
    def total(self) -> float:
        """What was paid, USD."""
        return round(sum(item.price for item in self.items) + self.shipping_fee, 2)

    def item(self, item_id: str) -> Item | None:
        """The line with this id."""
        return next((item for item in self.items if item.id == item_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """Availability of a product."""

    available: int
    delivery_days: int
    """Days from today to the earliest delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One change that really happened, with every argument filled in."""

    tool: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """The database as a task begins."""

    customers: tuple[Customer, ...]
    orders: tuple[Order, ...]
    stock: Mapping[str, Stock]
    """Exceptions; every other product is in stock."""


def reference_number(customer_id: str, n_before: int) -> str:
    """Reference of an escalation: unlike anything a model could guess, equal in every run of a task."""
    return f"ESC-{content_hash('escalation', customer_id, n_before, length=6).upper()}"


def stock_of(product: Product, exceptions: Mapping[str, Stock]) -> Stock:
    """Availability of a product, by default a handful that ships at once."""
    default = Stock(available=4 + len(product.name) % 9, delivery_days=3 + len(product.name) % 3)
    return exceptions.get(product.id, default)


class World:
    """The mutable database of one open task. Rows are frozen; a change replaces a row and logs a Write."""

    def __init__(self, seed: Seed) -> None:
        self.customers = {customer.id: customer for customer in seed.customers}
        self.orders = {order.id: order for order in seed.orders}
        self.credits: dict[str, float] = {}
        """Goodwill by order id, USD."""
        self.n_tickets = 0
        self.writes: list[Write] = []
        self._stock = seed.stock

    def product(self, product_id: str) -> Product | None:
        """A product of the range."""
        return products().get(product_id)

    def stock(self, product: Product) -> Stock:
        """Its availability."""
        return stock_of(product, self._stock)

    def customer_by_email(self, email: str) -> Customer | None:
        """The customer with this address, in any case."""
        wanted = email.strip().casefold()
        return next((row for row in self.customers.values() if row.email.casefold() == wanted), None)

    def orders_of(self, customer_id: str) -> tuple[Order, ...]:
        """The customer's orders, oldest first."""
        return tuple(order for order in self.orders.values() if order.customer_id == customer_id)

    def set_item_state(self, order: Order, item_id: str, state: ItemState) -> None:
        """Mark a line as handled."""
        items = tuple(replace(item, state=state) if item.id == item_id else item for item in order.items)
        self.orders[order.id] = replace(order, items=items)

    def log(self, tool: str, **arguments: Json) -> Write:
        """Record a change."""
        write = Write(tool=tool, arguments=arguments)
        self.writes.append(write)
        return write
