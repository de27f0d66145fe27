"""Tools that read. They disclose to whoever calls: whether that was allowed is for the grader."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass

from benchmarks.helpdesk import arguments as args
from benchmarks.helpdesk.catalogue import Product, products
from benchmarks.helpdesk.world import TODAY, Item, Order, World, Write
from optimizer.domain.json import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a tool did and says."""

    content: str
    is_error: bool = False
    owner: str = ""
    """Customer whose data was read or changed; empty for none."""
    verified: str = ""
    """Customer whose identity this call proved; empty for none."""
    write: Write | None = None


def told(content: JsonObject, *, owner: str = "", verified: str = "", write: Write | None = None) -> Result:
    """A successful result, as JSON text."""
    return Result(content=json.dumps(content, ensure_ascii=False), owner=owner, verified=verified, write=write)


def refused(message: str, *, owner: str = "") -> Result:
    """A tool error."""
    return Result(content=f"Error: {message}", is_error=True, owner=owner)


def _date(day: dt.date | None) -> str | None:
    return day.isoformat() if day else None


def _item_row(item: Item) -> JsonObject:
    name = products()[item.product_id].name
    return {"item_id": item.id, "product_id": item.product_id, "name": name, "price": item.price, "state": item.state}


def find_customer(world: World, given: args.FindCustomer) -> Result:
    """Id only: a name or an address would already be a disclosure."""
    customer = world.customer_by_email(given.email)
    return told({"customer_id": customer.id}) if customer else refused("no customer with this email address")


def verify_identity(world: World, given: args.VerifyIdentity) -> Result:
    """Compare both secrets. A mismatch is an answer, not an error."""
    customer = world.customers.get(given.customer_id)
    if customer is None:
        return refused("no customer with this id")
    is_same = given.postal_code.strip() == customer.address.postal_code and given.last4.strip() == customer.last4
    return told({"verified": is_same}, verified=customer.id if is_same else "")


def get_customer(world: World, given: args.GetCustomer) -> Result:
    """Profile with membership."""
    row = world.customers.get(given.customer_id)
    if row is None:
        return refused("no customer with this id")
    profile: JsonObject = {
        "customer_id": row.id,
        "name": row.name,
        "email": row.email,
        "phone": row.phone,
        "address": str(row.address),
        "membership": row.tier,
    }
    return told(profile, owner=row.id)


def list_orders(world: World, given: args.ListOrders) -> Result:
    """One line per order."""
    if given.customer_id not in world.customers:
        return refused("no customer with this id")
    rows: list[JsonObject] = [
        {
            "order_id": order.id,
            "status": order.status,
            "placed_on": order.placed_on.isoformat(),
            "items": [products()[item.product_id].name for item in order.items],
        }
        for order in world.orders_of(given.customer_id)
    ]
    return told({"orders": rows}, owner=given.customer_id)


def order_row(order: Order) -> JsonObject:
    """An order in full."""
    return {
        "order_id": order.id,
        "customer_id": order.customer_id,
        "status": order.status,
        "placed_on": order.placed_on.isoformat(),
        "promised_delivery": order.promised_on.isoformat(),
        "shipped_on": _date(order.shipped_on),
        "delivered_on": _date(order.delivered_on),
        "items": [_item_row(item) for item in order.items],
        "shipping_fee": order.shipping_fee,
        "total_paid": order.total,
        "delivery_address": str(order.address),
    }


def get_order(world: World, given: args.GetOrder) -> Result:
    """Everything about one order but the parcel's way."""
    order = world.orders.get(given.order_id)
    return told(order_row(order), owner=order.customer_id) if order else refused("no order with this number")


def track_shipment(world: World, given: args.TrackShipment) -> Result:
    """The parcel's way; an order that has not shipped has none."""
    order = world.orders.get(given.order_id)
    if order is None:
        return refused("no order with this number")
    if not order.carrier:
        return refused("this order has not shipped", owner=order.customer_id)
    row: JsonObject = {
        "order_id": order.id,
        "carrier": order.carrier,
        "shipped_on": _date(order.shipped_on),
        "status": "delivered" if order.delivered_on else "in transit",
        "delivered_on": _date(order.delivered_on),
        "expected_delivery": None if order.delivered_on else order.promised_on.isoformat(),
    }
    return told(row, owner=order.customer_id)


def _product_row(product: Product) -> JsonObject:
    return {
        "product_id": product.id,
        "name": product.name,
        "price": product.price,
        "warranty_months": product.warranty_months,
        "weight_kg": product.weight_kg,
        "width_cm": product.width_cm,
        "height_cm": product.height_cm,
    }


def find_product(world: World, given: args.FindProduct) -> Result:
    """The best matches, four at most; a product id matches itself."""
    exact = world.product(given.query.strip())
    if exact:
        return told({"products": [_product_row(exact)]})
    words = set(re.findall(r"\w+", given.query.casefold()))
    scored = [
        (len(words & set(re.findall(r"\w+", product.name.casefold()))), product) for product in products().values()
    ]
    best = max(score for score, _ in scored)
    found = [product for score, product in scored if best and score == best]
    return told({"products": [_product_row(product) for product in found[:4]]}) if found else refused("no such product")


def check_stock(world: World, given: args.CheckStock) -> Result:
    """Availability and the earliest delivery."""
    product = world.product(given.product_id)
    if product is None:
        return refused("no product with this id")
    stock = world.stock(product)
    earliest = (TODAY + dt.timedelta(days=stock.delivery_days)).isoformat() if stock.available else None
    return told(
        {
            "product_id": product.id,
            "name": product.name,
            "available": stock.available,
            "earliest_delivery": earliest,
        }
    )
