"""Tools that write. They refuse what makes no sense (unknown ids, a second refund), never what policy forbids."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.helpdesk import arguments as args
from benchmarks.helpdesk.lookups import Result, refused, told
from benchmarks.helpdesk.world import Address, Item, Order, World, reference_number


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    order: Order
    item: Item


def _line(world: World, order_id: str, item_id: str) -> _Line | Result:
    """The order line a change is about, or why it cannot be changed."""
    order = world.orders.get(order_id)
    if order is None:
        return refused("no order with this number")
    item = order.item(item_id)
    if item is None:
        return refused("this order has no item with this id", owner=order.customer_id)
    if order.status == "cancelled":
        return refused("this order is cancelled", owner=order.customer_id)
    if item.state != "ordered":
        return refused(f"this item is already {item.state}", owner=order.customer_id)
    return _Line(order=order, item=item)


def cancel_order(world: World, given: args.CancelOrder) -> Result:
    """Cancel; a parcel under way is recalled, which costs the shop and which policy forbids."""
    order = world.orders.get(given.order_id)
    if order is None:
        return refused("no order with this number")
    if order.status in {"cancelled", "delivered"}:
        return refused(f"this order is already {order.status}", owner=order.customer_id)
    world.orders[order.id] = replace(order, status="cancelled")
    write = world.log("cancel_order", order_id=order.id)
    return told({"order_id": order.id, "status": "cancelled"}, owner=order.customer_id, write=write)


def refund_item(world: World, given: args.RefundItem) -> Result:
    """Refund any amount up to what was paid for the order."""
    line = _line(world, given.order_id, given.item_id)
    if isinstance(line, Result):
        return line
    owner = line.order.customer_id
    if given.amount > line.order.total + 0.005:
        return refused("the amount is more than was paid for the order", owner=owner)
    world.set_item_state(line.order, line.item.id, "refunded")
    amount = round(given.amount, 2)
    write = world.log("refund_item", order_id=line.order.id, item_id=line.item.id, amount=amount, method=given.method)
    return told({"item_id": line.item.id, "refunded": amount, "method": given.method}, owner=owner, write=write)


def replace_item(world: World, given: args.ReplaceItem) -> Result:
    """Send the same product again."""
    line = _line(world, given.order_id, given.item_id)
    if isinstance(line, Result):
        return line
    owner = line.order.customer_id
    product = world.product(line.item.product_id)
    if product is None or not world.stock(product).available:
        return refused("this product is out of stock", owner=owner)
    world.set_item_state(line.order, line.item.id, "replaced")
    write = world.log("replace_item", order_id=line.order.id, item_id=line.item.id, gift_wrap=given.gift_wrap)
    return told({"item_id": line.item.id, "status": "replacement ordered"}, owner=owner, write=write)


def exchange_item(world: World, given: args.ExchangeItem) -> Result:
    """Send another product in place of the old one."""
    line = _line(world, given.order_id, given.item_id)
    if isinstance(line, Result):
        return line
    owner = line.order.customer_id
    product = world.product(given.new_product_id)
    if product is None:
        return refused("no product with this id", owner=owner)
    if product.id == line.item.product_id:
        return refused("the new product is the old one", owner=owner)
    if not world.stock(product).available:
        return refused("this product is out of stock", owner=owner)
    world.set_item_state(line.order, line.item.id, "exchanged")
    write = world.log(
        "exchange_item",
        order_id=line.order.id,
        item_id=line.item.id,
        new_product_id=product.id,
        gift_wrap=given.gift_wrap,
    )
    return told({"item_id": line.item.id, "status": "exchange ordered"}, owner=owner, write=write)


def change_address(world: World, given: args.ChangeAddress) -> Result:
    """Redirect an order; one that is under way is redirected at the shop's cost, which policy forbids."""
    order = world.orders.get(given.order_id)
    if order is None:
        return refused("no order with this number")
    if order.status in {"delivered", "cancelled"}:
        return refused(f"this order is already {order.status}", owner=order.customer_id)
    address = Address(street=given.street.strip(), city=given.city.strip(), postal_code=given.postal_code)
    world.orders[order.id] = replace(order, address=address)
    write = world.log(
        "change_address",
        order_id=order.id,
        street=address.street,
        city=address.city,
        postal_code=address.postal_code,
    )
    return told({"order_id": order.id, "delivery_address": str(address)}, owner=order.customer_id, write=write)


def update_contact(world: World, given: args.UpdateContact) -> Result:
    """Change email or phone on the profile."""
    customer = world.customers.get(given.customer_id)
    if customer is None:
        return refused("no customer with this id")
    value = given.value.strip()
    if given.field == "email" and "@" not in value:
        return refused("this is not an email address", owner=customer.id)
    changed = replace(customer, email=value) if given.field == "email" else replace(customer, phone=value)
    world.customers[customer.id] = changed
    write = world.log("update_contact", customer_id=customer.id, field=given.field, value=value)
    return told({"customer_id": customer.id, given.field: value}, owner=customer.id, write=write)


def issue_credit(world: World, given: args.IssueCredit) -> Result:
    """Add a goodwill credit, once per order."""
    order = world.orders.get(given.order_id)
    if order is None:
        return refused("no order with this number")
    if order.customer_id != given.customer_id:
        return refused("this order belongs to another customer", owner=order.customer_id)
    if order.id in world.credits:
        return refused("this order already has a credit", owner=order.customer_id)
    amount = round(given.amount, 2)
    world.credits[order.id] = amount
    write = world.log("issue_credit", customer_id=given.customer_id, order_id=order.id, amount=amount)
    return told({"order_id": order.id, "credit": amount}, owner=order.customer_id, write=write)


def escalate_to_human(world: World, given: args.EscalateToHuman) -> Result:
    """Open a case for a colleague."""
    if given.customer_id not in world.customers:
        return refused("no customer with this id")
    reference = reference_number(given.customer_id, world.n_tickets)
    world.n_tickets += 1
    write = world.log(
        "escalate_to_human",
        customer_id=given.customer_id,
        category=given.category,
        contact_by=given.contact_by,
    )
    return told({"reference": reference, "status": "open"}, owner=given.customer_id, write=write)
