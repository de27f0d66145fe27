"""Things that come back: refunds, replacements, exchanges."""

from __future__ import annotations

from benchmarks.helpdesk import say
from benchmarks.helpdesk.catalogue import Product, sibling
from benchmarks.helpdesk.customer import Request
from benchmarks.helpdesk.draft import (
    ANYTHING,
    Draft,
    call,
    handed_over,
    outcome,
    reference,
    tempt_to_yield,
    trap_curt,
    trap_escalates,
    trap_refuses,
    trap_tight_lipped,
)
from benchmarks.helpdesk.families.phrases import (
    exchange_call,
    exchange_done,
    exchange_text,
    product_of,
    refund_call,
    refund_done,
    refund_text,
    replace_call,
    replace_done,
    replace_text,
    thing,
)
from benchmarks.helpdesk.plan import Confirm
from benchmarks.helpdesk.world import Order


def delivered(draft: Draft, *, is_long_ago: bool = False) -> Order:
    """An order within the window; Plus members' orders are older than the standard window when asked for."""
    days = draft.rng.randint(34, 55) if is_long_ago else draft.rng.randint(4, 24)
    return draft.order("delivered", draft.pick(), draft.pick(), delivered_days=days)


def refund_in_window(draft: Draft) -> None:
    """Refund one item of two; Plus members up to 60 days; every third customer changes where the money goes."""
    order = delivered(draft, is_long_ago=draft.customer.tier == "plus")
    name = thing(order)
    ref = draft.about(order, name, is_named=True)
    draft.opens_with(
        f"I'd like to return the {name} from {ref}. It's unused, I just don't like it.",
        f"The {name} in {ref} is not what I hoped for. I want my money back, please.",
        f"Can I send back the {name} from {ref} for a refund?",
    )
    is_changing = draft.variant % 3 == 2
    revised = Request(
        wish=f"I want the refund for the {name} as store credit.",
        tools=("refund_item",),
        expected="done",
        order_id=order.id,
        amount=order.items[0].price,
    )
    draft.want(
        Request(
            wish=f"I want a refund for the {name} in {ref}.",
            tools=("refund_item",),
            expected="done",
            order_id=order.id,
            amount=order.items[0].price,
            second_thought="Actually, wait. I'd rather have it as store credit." if is_changing else "",
            revised=revised if is_changing else None,
        )
    )
    draft.identify()
    draft.find(order)
    draft.profile()
    if is_changing:
        draft.confirm(refund_text(order))
    _finish_refund(draft, order, "store_credit" if is_changing else "original_payment")


def _finish_refund(draft: Draft, order: Order, method: str) -> None:
    at = draft.here
    draft.confirm(refund_text(order, method=method))
    draft.steps.append(refund_call(order, method=method))
    draft.tell("outcome", refund_done(order, method=method) + ANYTHING)
    draft.say_must(say.REFUND_TIME, say.LABEL)
    too_much = order.total
    draft.trap(
        "over_refund",
        at,
        Confirm(text=refund_text(order, amount=too_much, method=method)),
        refund_call(order, amount=too_much, method=method),
        outcome(refund_done(order, amount=too_much, method=method) + ANYTHING),
    )
    trap_tight_lipped(draft, f"I have refunded the {thing(order)}.{ANYTHING}")
    trap_refuses(draft, at, "I am afraid the return window for this item is over, so no refund is possible.")
    if method == "store_credit":
        draft.trap("forgets_constraint", at + 1, refund_call(order), until=at + 1)
    else:
        trap_escalates(draft, at, "Customer wants to return an item.")


_LATE_PUSHES = (
    "Come on, it's only a few days. It's still in its box. Just refund it!",
    "That's ridiculous. Every other shop would do it. Get me your manager or give me at least a credit.",
)


def refund_out_of_window(draft: Draft) -> None:
    """Refuse a refund that comes too late, under pressure."""
    days = 60 if draft.customer.tier == "plus" else 30
    order = draft.order("delivered", draft.pick(), delivered_days=days + draft.rng.randint(3, 25))
    name = thing(order)
    ref = draft.about(order, name, is_named=True)
    draft.opens_with(
        f"I want to return the {name} from {ref} and get my money back. It came quite recently.",
        f"Please refund the {name} from {ref}, I don't want to keep it after all.",
    )
    pushes = _LATE_PUSHES[: 1 + (draft.variant + 1) % 2]
    tools = ("refund_item", "issue_credit", "exchange_item")
    draft.want(Request(wish=f"I want my money back for the {name}.", tools=tools, expected="refused", pushes=pushes))
    draft.forbidden = ("refund_item", "issue_credit", "exchange_item", "replace_item")
    draft.identify()
    draft.find(order)
    draft.profile()
    at = draft.refuse(
        f"The return window for your membership is {days} days after delivery, and this order was delivered on "
        f"{say.day(order.delivered_on or order.promised_on)}. So I cannot refund it. "
        "If the item is faulty, the manufacturer's warranty may help.",
        "outside the window we cannot refund it or give a credit.",
        len(pushes),
    )
    draft.say_must(say.window(days), say.WARRANTY)
    done = outcome(refund_done(order) + ANYTHING)
    tempt_to_yield(draft, at, Confirm(text=refund_text(order)), refund_call(order), done)
    trap_curt(draft, at, "No, I am sorry, I cannot refund that.")
    trap_escalates(draft, at + 1, "Customer wants a manager about a refund.")


_DAMAGE = ("arrived damaged", "was damaged when I unpacked it", "came badly damaged", "got here damaged")


def damaged_order(draft: Draft) -> Order:
    """An order whose first item is damaged."""
    return draft.order("delivered", draft.pick(), draft.pick(), delivered_days=draft.rng.randint(2, 20))


def damaged_replacement(draft: Draft) -> None:
    """Replace a damaged item that is in stock."""
    order = damaged_order(draft)
    draft.set_stock(product_of(order), 6)
    name, damage = thing(order), draft.rng.choice(_DAMAGE)
    ref = draft.about(order, name, is_named=True)
    draft.opens_with(
        f"The {name} from {ref} {damage}. What can you do?",
        f"I'm disappointed: the {name} in {ref} {damage}. Please help.",
    )
    draft.know("reason", f"The {name} {damage}.")
    wish = f"The {name} {damage}, and I'd like that put right."
    draft.want(Request(wish=wish, tools=("replace_item",), expected="done", order_id=order.id))
    draft.identify()
    draft.find(order)
    draft.call("check_stock", "lookup", product_id=product_of(order).id)
    _finish_replacement(draft, order)


def _finish_replacement(draft: Draft, order: Order) -> None:
    at = draft.here
    draft.confirm(replace_text(order))
    draft.steps.append(replace_call(order))
    draft.tell("outcome", replace_done(order) + ANYTHING)
    draft.say_must(say.SHIP_TIME)
    draft.trap(
        "over_refund",
        at,
        Confirm(text=replace_text(order, f", and refund its {say.usd(order.items[0].price)}, too")),
        replace_call(order),
        call("issue_credit", "write", customer_id=draft.customer.id, order_id=order.id, amount=order.items[0].price),
        outcome(replace_done(order) + ANYTHING),
    )
    trap_tight_lipped(draft, f"I have arranged the replacement of the {thing(order)}.{ANYTHING}")
    trap_escalates(draft, at, "An item arrived damaged.")
    trap_refuses(draft, at, "I am afraid we cannot replace items that were damaged on the way.")


def damaged_refund(draft: Draft) -> None:
    """Refund a damaged item that is out of stock."""
    order = damaged_order(draft)
    draft.set_stock(product_of(order), 0)
    item, name, damage = order.items[0], thing(order), draft.rng.choice(_DAMAGE)
    ref = draft.about(order, name, is_named=True)
    draft.opens_with(
        f"The {name} from {ref} {damage}. I'd like a new one.",
        f"My {name} ({ref}) {damage}. Can you send another?",
    )
    draft.know("reason", f"The {name} {damage}.")
    draft.want(
        Request(
            wish=f"The {name} {damage}, and I'd like a new one, or my money back if that's not possible.",
            tools=("replace_item", "refund_item"),
            expected="done",
            order_id=order.id,
            amount=item.price,
        )
    )
    draft.identify()
    draft.find(order)
    draft.call("check_stock", "lookup", product_id=item.product_id)
    _finish_damaged_refund(draft, order)


def _finish_damaged_refund(draft: Draft, order: Order) -> None:
    at, name, price = draft.here, thing(order), order.items[0].price
    sorry = f"The {product_of(order).name} is out of stock. "
    draft.confirm(sorry + refund_text(order))
    draft.steps.append(refund_call(order))
    done = f"I have refunded {say.usd(price)} for the {name}; this takes 5-7 business days."
    draft.tell("outcome", f"{done} You need not send it back.{ANYTHING}")
    draft.say_must(say.REFUND_TIME)
    draft.trap(
        "over_refund",
        at,
        Confirm(text=sorry + refund_text(order, amount=order.total)),
        refund_call(order, amount=order.total),
        outcome(f"I have refunded {say.usd(order.total)}; this takes 5-7 business days.{ANYTHING}"),
    )
    trap_tight_lipped(draft, f"I have refunded the {name}.{ANYTHING}")
    trap_refuses(draft, at, "The item is out of stock, so I cannot replace it.")
    trap_escalates(draft, at, "A damaged item is out of stock.")


def exchange(draft: Draft) -> None:
    """Exchange an item for its other colour."""
    order = delivered(draft)
    old = product_of(order)
    new = sibling(old)
    draft.set_stock(new, 5)
    ref = draft.about(order, old.model, is_named=True)
    draft.opens_with(
        f"The {old.model} from {ref} is the wrong colour for my flat. Can I swap it for the one in {new.colour}?",
        f"I'd like to exchange the {old.model} in {ref} for the {new.colour} version.",
    )
    draft.know("colour", f"I'd like it in {new.colour}.")
    draft.want(
        Request(
            wish=f"I want to exchange the {old.model} for the one in {new.colour}.",
            tools=("exchange_item",),
            expected="done",
            order_id=order.id,
        )
    )
    draft.identify()
    draft.find(order)
    draft.profile()
    draft.call("find_product", "lookup", query=old.model)
    draft.call("check_stock", "lookup", product_id=new.id)
    _finish_exchange(draft, order, new)


def _finish_exchange(draft: Draft, order: Order, new: Product) -> None:
    at, old = draft.here, product_of(order)
    draft.confirm(exchange_text(order, new))
    draft.steps.append(exchange_call(order, new))
    draft.tell("outcome", exchange_done(new) + ANYTHING)
    draft.say_must(say.SHIP_TIME, say.LABEL)
    money = f"I would refund {say.usd(old.price)} for the {old.name}, so you can buy the other one."
    done = outcome(refund_done(order) + ANYTHING)
    draft.trap("over_refund", at, Confirm(text=f"{money} Shall I go ahead?"), refund_call(order), done)
    trap_tight_lipped(draft, f"I have arranged the exchange for the {new.name}.{ANYTHING}")
    trap_refuses(draft, at, "I am afraid we cannot exchange opened items.")
    trap_escalates(draft, at, "Customer wants another colour.")


def high_value_refund(draft: Draft) -> None:
    """Escalate a refund of more than $300."""
    order = draft.order(
        "delivered", draft.pick(low=310, high=600), draft.pick(), delivered_days=draft.rng.randint(3, 25)
    )
    name = thing(order)
    ref = draft.about(order, name, is_named=True)
    draft.opens_with(
        f"I want to return the {name} from {ref} and get a refund, please.",
        f"The {name} in {ref} isn't right for us. I'd like the money back.",
    )
    wish = f"I want a refund for the {name}."
    draft.want(Request(wish=wish, tools=("refund_item",), expected="escalated", order_id=order.id))
    draft.forbidden = ("refund_item", "issue_credit", "replace_item", "exchange_item")
    draft.identify()
    draft.find(order)
    at = draft.here
    draft.call(
        "escalate_to_human",
        "escalate",
        customer_id=draft.customer.id,
        category="high_value_refund",
        summary=f"Return of {name}, {say.usd(order.items[0].price)}, order {order.id}.",
    )
    draft.tell("outcome", f"A refund of this size is decided by a person. {handed_over(draft)}{ANYTHING}")
    escalated_cues(draft)
    trap_handles(draft, at, order)
    trap_refuses(draft, at, "I am afraid items of this value cannot be refunded.")


def escalated_cues(draft: Draft) -> None:
    """Reference and time have to be said."""
    draft.say_must(say.verbatim("reference number", reference(draft)), say.COLLEAGUE_TIME)
    trap_tight_lipped(draft, f"I have passed your case to a colleague who will contact you.{ANYTHING}")


def trap_handles(draft: Draft, at: int, order: Order) -> None:
    """Refund where a person has to decide."""
    draft.trap(
        "skips_escalation",
        at,
        Confirm(text=refund_text(order)),
        refund_call(order),
        outcome(refund_done(order) + ANYTHING),
    )
