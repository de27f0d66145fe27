"""The gold plan's words: every change as a call, as a read-back and as a report."""

from __future__ import annotations

from benchmarks.helpdesk import say
from benchmarks.helpdesk.catalogue import Product, products
from benchmarks.helpdesk.draft import Draft, call
from benchmarks.helpdesk.plan import Call
from benchmarks.helpdesk.world import Address, Order


def thing(order: Order) -> str:
    """What the customer calls the first item."""
    return products()[order.items[0].product_id].model


def cancel_text(order: Order) -> str:
    """Read a cancellation back."""
    return (
        f"Just so we agree: I would cancel order {order.id} and return the full {say.usd(order.total)} to your "
        f"original "
        "payment method. Shall I go ahead (yes/no)?"
    )


def cancel_done(order: Order) -> str:
    """Report of a cancellation."""
    return f"I have cancelled order {order.id}. The {say.usd(order.total)} will reach you in 5-7 business days."


def address_text(order: Order, address: str) -> str:
    """Read a change of address back."""
    return (
        f"Just so we agree: I would change the delivery address of order {order.id} to {address}. Shall I go "
        f"ahead (yes/no)?"
    )


def address_call(order: Order, address: Address) -> Call:
    """Change where an order goes."""
    return call(
        "change_address",
        "write",
        order_id=order.id,
        street=address.street,
        city=address.city,
        postal_code=address.postal_code,
    )


def address_done(order: Order, address: str) -> str:
    """Report of a change of address."""
    return (
        f"I have changed the delivery address of order {order.id} to {address}. "
        "Please note that delivery may take one extra day."
    )


def tracking_text(order: Order) -> str:
    """What tracking says, in words."""
    return f"Order {order.id} is on its way with {order.carrier} and is expected on {say.day(order.promised_on)}."


def product_of(order: Order, place: int = 0) -> Product:
    """The product in a line."""
    return products()[order.items[place].product_id]


def refund_call(order: Order, *, amount: float | None = None, method: str = "original_payment", place: int = 0) -> Call:
    """Refund a line, by default at its price."""
    item = order.items[place]
    return call(
        "refund_item",
        "write",
        order_id=order.id,
        item_id=item.id,
        amount=item.price if amount is None else amount,
        method=method,
    )


def _way(method: str) -> str:
    """Where the money goes, in words."""
    return "as store credit" if method == "store_credit" else "to your original payment method"


def refund_text(order: Order, *, amount: float | None = None, method: str = "original_payment") -> str:
    """Read a refund back."""
    value = order.items[0].price if amount is None else amount
    return (
        f"Just so we agree: I would refund {say.usd(value)} for the {product_of(order).name} in order {order.id} "
        f"{_way(method)}. Shall I go ahead (yes/no)?"
    )


def refund_done(order: Order, *, amount: float | None = None, method: str = "original_payment") -> str:
    """Report a refund of something that comes back."""
    value = order.items[0].price if amount is None else amount
    return (
        f"I have refunded {say.usd(value)} for the {product_of(order).name} {_way(method)}; this takes 5-7 "
        f"business days. "
        "A prepaid return label comes by email."
    )


def replace_call(order: Order, *, gift_wrap: bool = False) -> Call:
    """Replace the first line."""
    return call("replace_item", "write", order_id=order.id, item_id=order.items[0].id, gift_wrap=gift_wrap)


def replace_text(order: Order, extra: str = "") -> str:
    """Read a replacement back."""
    return (
        f"Just so we agree: I would send a free replacement for the {product_of(order).name} in order {order.id}"
        f"{extra}. Shall I go ahead (yes/no)?"
    )


def replace_done(order: Order, extra: str = "") -> str:
    """Report a replacement."""
    return f"I have arranged the replacement of the {product_of(order).name}{extra}; it arrives in 3-5 business days."


def exchange_call(order: Order, product: Product, *, gift_wrap: bool = False) -> Call:
    """Exchange the first line."""
    return call(
        "exchange_item",
        "write",
        order_id=order.id,
        item_id=order.items[0].id,
        new_product_id=product.id,
        gift_wrap=gift_wrap,
    )


def exchange_text(order: Order, product: Product, extra: str = "") -> str:
    """Read an exchange back."""
    return (
        f"Just so we agree: I would exchange the {product_of(order).name} in order {order.id} for the {product.name}"
        f"{extra}. Shall I go ahead (yes/no)?"
    )


def exchange_done(product: Product, extra: str = "") -> str:
    """Report an exchange."""
    return (
        f"I have arranged the exchange for the {product.name}{extra}. It arrives in 3-5 business days, and a "
        f"prepaid return "
        "label for the old one comes by email."
    )


def credit_call(draft: Draft, order: Order, amount: float) -> Call:
    """Add a goodwill credit."""
    return call("issue_credit", "write", customer_id=draft.customer.id, order_id=order.id, amount=amount)


def credit_text(order: Order, days: int, amount: float) -> str:
    """Read a goodwill credit back."""
    return (
        f"Order {order.id} arrived {days} days late, and I am sorry about that. For this I can add a goodwill credit "
        f"of {say.usd(amount)} to your account. Shall I go ahead (yes/no)?"
    )


def credit_done(amount: float) -> str:
    """Report a goodwill credit."""
    return f"I have added a credit of {say.usd(amount)} to your account. It is valid for 12 months."


def contact_text(field: str, value: str) -> str:
    """Read a changed contact detail back."""
    return f"Just so we agree: I would change the {field} on your account to {value}. Shall I go ahead (yes/no)?"


def contact_call(draft: Draft, field: str, value: str) -> Call:
    """Change a contact detail."""
    return call("update_contact", "write", customer_id=draft.customer.id, field=field, value=value)


def contact_done(field: str, value: str) -> str:
    """Report a changed contact detail."""
    return f"I have updated the {field} on your account to {value}. The change takes effect within 24 hours."
