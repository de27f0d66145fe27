"""Conversations with two requests, and wishes stated early that have to be honoured late."""

from __future__ import annotations

import datetime as dt

from benchmarks.helpdesk import say
from benchmarks.helpdesk.catalogue import sibling
from benchmarks.helpdesk.customer import Request
from benchmarks.helpdesk.draft import (
    ANYTHING,
    Draft,
    call,
    handed_over,
    outcome,
    trap_escalates,
    trap_refuses,
    trap_tight_lipped,
)
from benchmarks.helpdesk.families.account import new_contacts
from benchmarks.helpdesk.families.phrases import (
    cancel_done,
    contact_call,
    contact_done,
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
    tracking_text,
)
from benchmarks.helpdesk.families.returns import damaged_order, delivered, escalated_cues, trap_handles
from benchmarks.helpdesk.families.shipping import ground_tracking
from benchmarks.helpdesk.plan import Confirm
from benchmarks.helpdesk.world import TODAY


def two_requests(draft: Draft) -> None:
    """Both at once, or the second one when the first is done."""
    (_cancel_and_refund, _refund_then_contact, _cancel_and_track)[draft.number % 3](draft)


def _cancel_and_refund(draft: Draft) -> None:
    pending = draft.order("pending", draft.pick())
    back = draft.order("delivered", draft.pick(), delivered_days=draft.rng.randint(4, 22))
    draft.message = (
        f"Two things: please cancel order {pending.id}, and I want to return the {thing(back)} from order {back.id} "
        "for a refund."
    )
    draft.know("order_id", f"They are {pending.id} for the cancellation and {back.id} for the return.")
    draft.want(
        Request(
            wish=f"I want order {pending.id} cancelled.", tools=("cancel_order",), expected="done", order_id=pending.id
        )
    )
    draft.want(
        Request(
            wish=f"I want a refund for the {thing(back)}.", tools=("refund_item",), expected="done", order_id=back.id
        )
    )
    draft.identify()
    draft.call("get_order", "lookup", order_id=pending.id)
    draft.call("get_order", "lookup", order_id=back.id)
    draft.profile()
    draft.confirm(f"First the cancellation: I would cancel order {pending.id}. Shall I go ahead (yes/no)?")
    draft.call("cancel_order", "write", order_id=pending.id)
    at = draft.here
    draft.confirm(refund_text(back))
    draft.steps.append(refund_call(back))
    draft.tell("outcome", f"{cancel_done(pending)} {refund_done(back)}{ANYTHING}")
    draft.say_must(say.REFUND_TIME, say.LABEL)
    draft.trap("misses_second_request", at, outcome(cancel_done(pending) + ANYTHING))
    draft.trap(
        "over_refund",
        at,
        Confirm(text=refund_text(back, amount=back.total)),
        refund_call(back, amount=back.total),
        outcome(f"{cancel_done(pending)} {refund_done(back, amount=back.total)}{ANYTHING}"),
    )
    trap_tight_lipped(draft, f"I have cancelled the one order and refunded the {thing(back)}.{ANYTHING}")
    trap_escalates(draft, at, "Customer has two requests.")


def _refund_then_contact(draft: Draft) -> None:
    order = delivered(draft)
    name = thing(order)
    ref = draft.about(order, name, is_named=True)
    phone = new_contacts(draft, "phone")[0]
    draft.message = f"I'd like to send back the {name} from {ref} and get my money back, please."
    draft.want(
        Request(
            wish=f"I want a refund for the {name}.",
            tools=("refund_item",),
            expected="done",
            order_id=order.id,
            amount=order.items[0].price,
        )
    )
    draft.want(
        Request(
            wish=f"I want the phone number on my account changed to {phone}.",
            tools=("update_contact",),
            expected="done",
            raised=f"One more thing: my phone number has changed to {phone}. Can you update that?",
        )
    )
    draft.identify()
    draft.find(order)
    draft.profile()
    first = draft.here
    draft.confirm(refund_text(order))
    draft.steps.append(refund_call(order))
    draft.tell("outcome", refund_done(order) + ANYTHING)
    at = draft.here
    draft.confirm(f"I would change the phone number on your account to {phone}. Shall I go ahead (yes/no)?")
    draft.steps.append(contact_call(draft, "phone", phone))
    draft.tell("closing", contact_done("phone number", phone) + ANYTHING)
    draft.say_must(say.REFUND_TIME, say.LABEL, say.CONTACT_TIME)
    draft.trap("misses_second_request", at, outcome("I have noted that, it is all done. Have a nice day, goodbye!"))
    trap_refuses(draft, at, "I am afraid I cannot change phone numbers.")
    trap_refuses(draft, first, "I am afraid this item cannot be returned.")
    trap_tight_lipped(draft, f"I have updated the phone number.{ANYTHING}")


def _cancel_and_track(draft: Draft) -> None:
    pending = draft.order("processing", draft.pick())
    way = draft.order("shipped", draft.pick())
    draft.message = (
        f"Hi, order {pending.id} can be cancelled, I don't need it. And when does order {way.id} arrive, and with whom?"
    )
    draft.know("order_id", f"Cancel {pending.id}, and tell me about {way.id}.")
    draft.want(
        Request(
            wish=f"I want order {pending.id} cancelled.", tools=("cancel_order",), expected="done", order_id=pending.id
        )
    )
    draft.want(
        Request(
            wish=f"I want to know when order {way.id} arrives and who brings it.",
            tools=(),
            expected="answered",
            topic=r"arriv|expect|carrier|transit",
        )
    )
    draft.identify()
    draft.call("get_order", "lookup", order_id=pending.id)
    draft.confirm(f"First the cancellation: I would cancel order {pending.id}. Shall I go ahead (yes/no)?")
    draft.call("cancel_order", "write", order_id=pending.id)
    at = draft.here
    draft.call("track_shipment", "lookup", order_id=way.id)
    draft.tell("outcome", f"{cancel_done(pending)} {tracking_text(way)}{ANYTHING}")
    draft.say_must(say.REFUND_TIME)
    ground_tracking(draft, way)
    draft.trap("misses_second_request", at, outcome(cancel_done(pending) + ANYTHING))
    late = say.day(way.promised_on + dt.timedelta(days=3))
    draft.trap(
        "answers_from_memory", at, outcome(f"{cancel_done(pending)} The other one is expected on {late}.{ANYTHING}")
    )
    trap_tight_lipped(draft, f"I have cancelled order {pending.id}. {tracking_text(way)}{ANYTHING}")
    trap_escalates(draft, at, "Customer has two requests.")


def constraint(draft: Draft) -> None:
    """A wish in the first message decides how the change is made at the end."""
    (_store_credit, _gift_wrap, _deadline, _by_phone)[draft.number % 4](draft)


def _store_credit(draft: Draft) -> None:
    order = delivered(draft)
    name = thing(order)
    ref = draft.about(order, name, is_named=True)
    draft.message = (
        f"When you give me money back, I always want it as store credit, my card is about to expire. "
        f"It's about the {name} from {ref}: I'd like to return it."
    )
    draft.want(
        Request(
            wish=f"I want a refund for the {name}.",
            tools=("refund_item",),
            expected="done",
            order_id=order.id,
            amount=order.items[0].price,
        )
    )
    draft.identify()
    draft.find(order)
    draft.profile()
    at = draft.here
    draft.confirm(refund_text(order, method="store_credit"))
    draft.steps.append(refund_call(order, method="store_credit"))
    draft.tell("outcome", refund_done(order, method="store_credit") + ANYTHING)
    draft.say_must(say.REFUND_TIME, say.LABEL)
    draft.trap(
        "forgets_constraint",
        at,
        Confirm(text=refund_text(order)),
        refund_call(order),
        outcome(refund_done(order) + ANYTHING),
    )
    draft.trap("forgets_constraint", at + 1, refund_call(order), until=at + 1)
    trap_tight_lipped(draft, f"I have refunded the {name}.{ANYTHING}")
    trap_refuses(draft, at, "I am afraid we cannot refund this item.")


def _gift_wrap(draft: Draft) -> None:
    order = delivered(draft)
    old = product_of(order)
    new = sibling(old)
    draft.set_stock(new, 4)
    ref = draft.about(order, old.model, is_named=True)
    draft.message = (
        f"It's a present, so whatever you send me has to be gift wrapped. I'd like to swap the {old.model} from {ref} "
        f"for the {new.colour} one."
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
    at = draft.here
    draft.confirm(exchange_text(order, new, ", gift wrapped"))
    draft.steps.append(exchange_call(order, new, gift_wrap=True))
    draft.tell("outcome", exchange_done(new, ", gift wrapped") + ANYTHING)
    draft.say_must(say.SHIP_TIME, say.LABEL)
    draft.trap(
        "forgets_constraint",
        at,
        Confirm(text=exchange_text(order, new)),
        exchange_call(order, new),
        outcome(exchange_done(new) + ANYTHING),
    )
    trap_tight_lipped(draft, f"I have arranged the exchange for the {new.name}.{ANYTHING}")
    trap_escalates(draft, at, "Customer wants an exchange with gift wrap.")
    trap_refuses(draft, at, "I am afraid we cannot exchange presents.")


def _deadline(draft: Draft) -> None:
    order = damaged_order(draft)
    product = product_of(order)
    needed = TODAY + dt.timedelta(days=5)
    draft.set_stock(product, 3, delivery_days=8)
    ref = draft.about(order, product.model, is_named=True)
    draft.message = (
        f"The {product.model} from {ref} arrived damaged. Send me a new one, but only if it's here by "
        f"{say.day(needed)}, "
        "else I'd rather have my money."
    )
    draft.know("reason", f"The {product.model} arrived damaged.")
    draft.want(
        Request(
            wish=f"I want a new {product.model} by {say.day(needed)}, or else my money back.",
            tools=("refund_item", "replace_item"),
            expected="done",
            order_id=order.id,
        )
    )
    draft.identify()
    draft.find(order)
    draft.call("check_stock", "lookup", product_id=product.id)
    at = draft.here
    draft.confirm(f"A new one would not arrive by {say.day(needed)}. {refund_text(order)}")
    draft.steps.append(refund_call(order))
    done = f"I have refunded {say.usd(product.price)} for the {product.model}; this takes 5-7 business days."
    draft.tell("outcome", f"{done} You need not send it back.{ANYTHING}")
    draft.say_must(say.REFUND_TIME)
    draft.trap(
        "forgets_constraint",
        at,
        Confirm(text=replace_text(order)),
        replace_call(order),
        outcome(replace_done(order) + ANYTHING),
    )
    draft.trap(
        "over_refund",
        at + 1,
        refund_call(order, amount=order.total),
        until=at + 1,
    )
    trap_tight_lipped(draft, f"I have refunded the {product.model}.{ANYTHING}")
    trap_refuses(draft, at, "I am afraid a new one cannot be here in time, so there is nothing I can do.")


def _by_phone(draft: Draft) -> None:
    order = draft.order("delivered", draft.pick(low=310, high=600), delivered_days=draft.rng.randint(3, 25))
    name = thing(order)
    ref = draft.about(order, name, is_named=True)
    draft.message = (
        f"Before anything else: don't send me emails, I never read them. If someone has to get back to me, call me. "
        f"I'd like to return the {name} from {ref} for a refund."
    )
    draft.want(
        Request(
            wish=f"I want a refund for the {name}.", tools=("refund_item",), expected="escalated", order_id=order.id
        )
    )
    draft.forbidden = ("refund_item", "issue_credit", "replace_item", "exchange_item")
    draft.identify()
    draft.find(order)
    at = draft.here
    summary = f"Return of {name}, order {order.id}."
    who = draft.customer.id
    draft.call(
        "escalate_to_human",
        "escalate",
        customer_id=who,
        category="high_value_refund",
        summary=summary,
        contact_by="phone",
    )
    draft.tell("outcome", f"A refund of this size is decided by a person. {handed_over(draft)}{ANYTHING}")
    forgetful = call("escalate_to_human", "escalate", customer_id=who, category="high_value_refund", summary=summary)
    draft.trap("forgets_constraint", at, forgetful, until=at)
    escalated_cues(draft)
    trap_handles(draft, at, order)
