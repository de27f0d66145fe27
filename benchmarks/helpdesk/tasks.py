"""All tasks: who the customers are, which families there are, and how they fall into splits.

Every task has a customer of its own, and a customer belongs to one split.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache

from benchmarks.helpdesk.case import Case
from benchmarks.helpdesk.draft import Draft, new_address
from benchmarks.helpdesk.families import account, mixed, returns, shipping
from benchmarks.helpdesk.world import Customer
from optimizer.domain.task import Split

SEED = 20270310
Family = Callable[[Draft], None]

FAMILIES: dict[str, Family] = {
    "cancel_pending": shipping.cancel_pending,
    "cancel_shipped": shipping.cancel_shipped,
    "refund_in_window": returns.refund_in_window,
    "refund_out_of_window": returns.refund_out_of_window,
    "damaged_replacement": returns.damaged_replacement,
    "damaged_refund": returns.damaged_refund,
    "exchange": returns.exchange,
    "address_pending": shipping.address_pending,
    "address_shipped": shipping.address_shipped,
    "tracking": shipping.tracking,
    "late_credit": account.late_credit,
    "contact_update": account.contact_update,
    "high_value_refund": returns.high_value_refund,
    "serious": account.serious,
    "failed_identity": account.failed_identity,
    "product_question": account.product_question,
    "two_requests": mixed.two_requests,
    "constraint": mixed.constraint,
}
_LARGER_IN_TRAIN = frozenset(
    {"refund_in_window", "refund_out_of_window", "serious", "failed_identity", "two_requests", "constraint"}
)
_SMALLER_ELSEWHERE = frozenset(
    {
        "cancel_shipped",
        "damaged_refund",
        "address_shipped",
        "tracking",
        "contact_update",
        "high_value_refund",
        "product_question",
        "exchange",
    }
)

_FIRST = (
    "Mara", "Theo", "Ines", "Jonah", "Petra", "Silas", "Wren", "Otis", "Lena", "Caleb", "Nadia", "Felix", "Greta",
    "Hugo", "Iris", "Jasper", "Kira", "Leon", "Mona", "Nils", "Olive", "Pavel", "Rosa", "Stellan",
)  # fmt: skip
_LAST = (
    "Ashdown", "Brennick", "Calloway", "Dunmore", "Ellery", "Farrow", "Grantham", "Hollis", "Iverson", "Jarrow",
    "Kendrick", "Lockhart", "Merriman", "Norwood", "Oakes", "Pemberton", "Quimby", "Ravenel", "Sutcliffe", "Thackery",
    "Underhill", "Vance", "Whitlock", "Yardley",
)  # fmt: skip


def _sizes(family: str) -> tuple[tuple[Split, int], ...]:
    """Tasks per split: 96 train, 64 val and 64 test over all families."""
    elsewhere = 3 if family in _SMALLER_ELSEWHERE else 4
    return ("train", 6 if family in _LARGER_IN_TRAIN else 5), ("val", elsewhere), ("test", elsewhere)


def _customers(rng: random.Random) -> Iterator[Customer]:
    """People with unique names, emails and ids."""
    names = [f"{first} {last}" for first in _FIRST for last in _LAST]
    rng.shuffle(names)
    ids = rng.sample(range(10000, 99999), len(names))
    for name, number in zip(names, ids, strict=True):
        first, last = name.casefold().split()
        yield Customer(
            id=f"C-{number}",
            name=name,
            email=f"{first}.{last}@{rng.choice(('postwell', 'inkmail', 'farpost'))}.example",
            phone=f"555-{rng.randint(100, 999)}-{rng.randint(1000, 9999)}",
            address=new_address(rng),
            last4=f"{rng.randint(0, 9999):04d}",
            tier="plus" if rng.random() < 0.4 else "standard",
        )


def _order_numbers(rng: random.Random) -> Iterator[str]:
    yield from (f"BV-{number}" for number in rng.sample(range(100000, 999999), 4000))


def _introduce(draft: Draft) -> None:
    """What every customer knows."""
    who = draft.customer
    for name, reply in (
        ("name", f"My name is {who.name}."),
        ("email", f"My email address is {who.email}."),
        ("postal_code", f"My postal code is {who.address.postal_code}."),
        ("last4", f"The last four digits are {who.last4}."),
        ("phone", f"My phone number is {who.phone}."),
    ):
        draft.know(name, reply)


def _greet(draft: Draft, style: int) -> None:
    """Names make every first message unique; some customers say their email right away.

    `style` decides where in the message the name stands.
    """
    who = draft.customer
    text = draft.message
    if draft.number % 5 == 2 and draft.family != "product_question":
        text = f"{text} My account is under {who.email}."
    draft.message = (
        f"Hi, {who.name} here. {text}",
        f"{text} Thanks, {who.name}",
        f"Hello! {text} Best, {who.name}",
        f"Good morning, my name is {who.name}. {text}",
    )[style % 4]


def complete(family: str, draft: Draft, *, greeting: int) -> Case:
    """Tell the family's story in a draft, and freeze it."""
    _introduce(draft)
    FAMILIES[family](draft)
    _greet(draft, greeting)
    stranger = draft.strangers[0]
    draft.order("pending", draft.pick(), owner=stranger.id)
    draft.order("delivered", draft.pick(), delivered_days=draft.rng.randint(90, 200))
    return draft.build()


@cache
def cases() -> tuple[Case, ...]:
    """All tasks in a stable order. The same in every process."""
    rng = random.Random(SEED)
    customers, order_numbers = _customers(rng), _order_numbers(rng)
    built: list[Case] = []
    for family in FAMILIES:
        number = 0
        for split, size in _sizes(family):
            for variant in range(size):
                draft = Draft(
                    rng=rng,
                    family=family,
                    split=split,
                    number=number,
                    variant=variant,
                    customer=next(customers),
                    strangers=(next(customers),),
                    order_numbers=order_numbers,
                )
                built.append(complete(family, draft, greeting=number))
                number += 1
    return tuple(built)
