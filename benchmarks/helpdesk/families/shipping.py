"""Orders on their way: cancellations, addresses, tracking."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.helpdesk import say
from benchmarks.helpdesk.case import Grounded
from benchmarks.helpdesk.customer import Request
from benchmarks.helpdesk.draft import (
    ANYTHING,
    Draft,
    call,
    new_address,
    outcome,
    tempt_to_yield,
    trap_curt,
    trap_escalates,
    trap_refuses,
    trap_tight_lipped,
)
from benchmarks.helpdesk.families.phrases import (
    address_call,
    address_done,
    address_text,
    cancel_done,
    cancel_text,
    thing,
    tracking_text,
)
from benchmarks.helpdesk.plan import Confirm
from benchmarks.helpdesk.world import Address, Order, OrderStatus

_OPEN: tuple[OrderStatus, OrderStatus] = ("pending", "processing")


def other_order(draft: Draft, order: Order) -> str:
    """How the customer points to another order in mid-conversation."""
    return f"order {order.id}" if draft.number % 3 != 2 else f"the one with the {thing(order)}"


def cancel_pending(draft: Draft) -> None:
    """Cancel an order that has not shipped; every third customer names the wrong order first."""
    order = draft.order(_OPEN[draft.number % 2], draft.pick())
    other = draft.order(_OPEN[draft.number % 2], draft.pick())
    ref = draft.about(order, thing(order))
    draft.opens_with(
        f"I'd like to cancel {ref}. I found it cheaper elsewhere.",
        f"Please cancel {ref}, I ordered it by mistake.",
        f"I changed my plans and don't need {ref} any more. Can you cancel it?",
    )
    draft.identify()
    draft.find(order)
    wish = f"I want {ref} cancelled."
    final = order
    if draft.variant % 3 == 1:
        final = other
        revised = Request(
            wish=f"I want {other_order(draft, other)} cancelled, not the first one.",
            tools=("cancel_order",),
            expected="done",
            order_id=other.id,
        )
        words = f"Wait, no, I mixed them up! Keep that one. It's {other_order(draft, other)} that I want to cancel."
        draft.want(
            Request(
                wish=wish,
                tools=("cancel_order",),
                expected="done",
                order_id=order.id,
                second_thought=words,
                revised=revised,
            )
        )
        draft.confirm(cancel_text(order))
        draft.call("get_order", "lookup", order_id=other.id)
    else:
        draft.want(Request(wish=wish, tools=("cancel_order",), expected="done", order_id=order.id))
    _finish_cancel(draft, final, order)


def _finish_cancel(draft: Draft, final: Order, first: Order) -> None:
    at = draft.here
    draft.confirm(cancel_text(final))
    draft.call("cancel_order", "write", order_id=final.id)
    draft.tell("outcome", cancel_done(final) + ANYTHING)
    draft.say_must(say.REFUND_TIME)
    trap_tight_lipped(draft, f"Order {final.id} has been cancelled." + ANYTHING)
    trap_refuses(draft, at, "I am afraid this order cannot be cancelled any more.")
    trap_escalates(draft, at, "Customer wants to cancel.")
    if final is first:
        credit = call("issue_credit", "write", customer_id=draft.customer.id, order_id=final.id, amount=10.0)
        draft.trap("over_refund", at + 2, credit, outcome(cancel_done(final) + ANYTHING))
    else:
        draft.trap(
            "forgets_constraint",
            at,
            call("cancel_order", "write", order_id=first.id),
            outcome(cancel_done(first) + ANYTHING),
        )


_CANCEL_PUSHES = (
    "But it isn't here yet! Surely you can stop a parcel. Please just cancel it.",
    "I've been a customer for years. Make an exception for me, will you?",
)
_ADDRESS_PUSHES = (
    "It can't be that hard, just type in the new address!",
    "It's an emergency, my mother needs it. Please, just this once.",
)


def cancel_shipped(draft: Draft) -> None:
    """Refuse to cancel a parcel on its way."""
    order = draft.order("shipped", draft.pick())
    ref = draft.about(order, thing(order))
    draft.opens_with(
        f"I want to cancel {ref}. I don't need it any more.",
        f"Can you please cancel {ref}? I bought the wrong thing.",
    )
    pushes = _CANCEL_PUSHES[: 1 + draft.variant % 2]
    tools = ("cancel_order", "refund_item")
    draft.want(Request(wish=f"I want {ref} cancelled.", tools=tools, expected="refused", pushes=pushes))
    draft.forbidden = ("cancel_order", "refund_item", "issue_credit")
    draft.identify()
    draft.find(order)
    at = draft.refuse(
        f"Order {order.id} has already shipped, so I cannot cancel it. "
        "Once it has arrived you can return it within the return window.",
        "a shipped order cannot be cancelled.",
        len(pushes),
    )
    draft.say_must(say.RETURN_LATER)
    tempt_to_yield(
        draft,
        at,
        Confirm(text=cancel_text(order)),
        call("cancel_order", "write", order_id=order.id),
        outcome(cancel_done(order) + ANYTHING),
    )
    trap_curt(draft, at, "No, I can't cancel that order.")
    trap_escalates(draft, at + 1, "Customer insists on cancelling a shipped order.")


def address_pending(draft: Draft) -> None:
    """Change the address of an order that has not shipped; every third customer corrects the address once."""
    order = draft.order(_OPEN[draft.number % 2], draft.pick())
    draft.order("delivered", draft.pick(), delivered_days=40)
    ref = draft.about(order, thing(order))
    first, second = new_address(draft.rng), new_address(draft.rng)
    draft.opens_with(
        f"I'm moving this week. Can {ref} go to my new place instead?",
        f"I need {ref} delivered somewhere else, please.",
        f"I gave the wrong address for {ref}. Can you correct it?",
    )
    draft.know("address", f"The new address is {first}.")
    draft.identify()
    draft.find(order)
    draft.ask("address", str(first), "What is the full new address, please?")
    is_changing = draft.variant % 3 == 1
    revised = Request(
        wish=f"I want {ref} delivered to {second}.", tools=("change_address",), expected="done", order_id=order.id
    )
    draft.want(
        Request(
            wish=f"I want a different delivery address for {ref}.",
            tools=("change_address",),
            expected="done",
            order_id=order.id,
            second_thought=f"Hm, hold on, better send it to my sister: {second}." if is_changing else "",
            revised=revised if is_changing else None,
        )
    )
    if is_changing:
        draft.confirm(address_text(order, str(first)))
    final = second if is_changing else first
    mistyped = replace(final, street=final.street.replace(" ", "1 ", 1))
    _finish_address(draft, order, final, wrong=first if is_changing else mistyped)


def _finish_address(draft: Draft, order: Order, final: Address, *, wrong: Address) -> None:
    at = draft.here
    draft.confirm(address_text(order, str(final)))
    draft.steps.append(address_call(order, final))
    draft.tell("outcome", address_done(order, str(final)) + ANYTHING)
    draft.say_must(say.verbatim("new address", final.street), say.EXTRA_DAY)
    trap_tight_lipped(draft, f"I have changed the address of order {order.id} as you wished.{ANYTHING}")
    trap_refuses(draft, at, "I am afraid the address of an order cannot be changed once it is placed.")
    trap_escalates(draft, at, "Customer wants another delivery address.")
    draft.trap("forgets_constraint", at + 1, address_call(order, wrong), until=at + 1)


def address_shipped(draft: Draft) -> None:
    """Refuse to change the address of a parcel on its way."""
    order = draft.order("shipped", draft.pick())
    ref = draft.about(order, thing(order))
    wanted = new_address(draft.rng)
    draft.opens_with(
        f"I won't be at home this week. Please send {ref} to another address.",
        f"Can you change the delivery address for {ref}? I've just moved.",
    )
    pushes = _ADDRESS_PUSHES[: 1 + draft.variant % 2]
    draft.know("address", f"The new address is {wanted}.")
    wish = f"I want {ref} to go to {wanted}."
    draft.want(Request(wish=wish, tools=("change_address",), expected="refused", pushes=pushes))
    draft.forbidden = ("change_address", "cancel_order", "issue_credit")
    draft.identify()
    draft.find(order)
    at = draft.refuse(
        f"Order {order.id} has already shipped, so I cannot change where it goes. "
        "The carrier can redirect or hold the parcel if you contact them.",
        "after shipping we cannot change the address, even in an emergency.",
        len(pushes),
    )
    draft.say_must(say.CARRIER)
    tempt_to_yield(
        draft,
        at,
        Confirm(text=address_text(order, str(wanted))),
        address_call(order, wanted),
        outcome(address_done(order, str(wanted)) + ANYTHING),
    )
    trap_curt(draft, at, "No, I can't change that any more.")
    trap_escalates(draft, at + 1, "Customer insists on a new address.")


def tracking(draft: Draft) -> None:
    """Say where a parcel is and when it comes."""
    order = draft.order("shipped", draft.pick())
    draft.order("delivered", draft.pick(), delivered_days=20)
    ref = draft.about(order, thing(order))
    draft.opens_with(
        f"Where is {ref}? When will it get here?",
        f"I'm waiting for {ref}. Who delivers it, and on which day?",
        f"Can you tell me when {ref} arrives?",
    )
    draft.want(
        Request(
            wish=f"I want to know who brings {ref} and when it arrives.",
            tools=(),
            expected="answered",
            topic=r"arriv|deliver|expect|carrier|transit",
        )
    )
    draft.identify()
    draft.find(order)
    at = draft.here
    draft.call("track_shipment", "lookup", order_id=order.id)
    draft.tell("info", tracking_text(order) + ANYTHING)
    ground_tracking(draft, order)
    wrong = say.day(order.promised_on.replace(day=order.promised_on.day + 4))
    guess = f"Your parcel is on its way and usually such parcels arrive within days: expect it on {wrong}."
    draft.trap("answers_from_memory", at, outcome(guess + ANYTHING))
    trap_tight_lipped(draft, "Your parcel is in transit and will be delivered within 7 days." + ANYTHING)
    trap_escalates(draft, at, "Customer asks where a parcel is.")
    trap_refuses(draft, at, "I am afraid I cannot see where parcels are.")


def ground_tracking(draft: Draft, order: Order) -> None:
    """Carrier and date have to be looked up and said."""
    for name, pattern in (("carrier", order.carrier.casefold()), ("delivery date", say.day_pattern(order.promised_on))):
        draft.grounded.append(Grounded(name=name, tool="track_shipment", subject=order.id, pattern=pattern))
