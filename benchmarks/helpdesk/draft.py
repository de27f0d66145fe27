"""A task under construction. Families write its story; `build` freezes it."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from benchmarks.helpdesk.case import Case, Cue, Gold, Grounded
from benchmarks.helpdesk.catalogue import Product, products
from benchmarks.helpdesk.customer import Fact, Request, Script
from benchmarks.helpdesk.plan import Ask, Call, CallRole, Confirm, Plan, Step, Tell, Trap, TrapKind
from benchmarks.helpdesk.tools import tools
from benchmarks.helpdesk.world import (
    TODAY,
    Address,
    Customer,
    Item,
    Order,
    OrderStatus,
    Seed,
    Stock,
    Write,
    reference_number,
)
from optimizer.domain.json import Json, JsonObject
from optimizer.domain.task import Split, Task

ANYTHING = " Is there anything else I can help you with?"
INSISTING = ("I understand that this is annoying, but ", "I hear you, and I am sorry, but it stays like this: ")
"""How a refusal begins the second and the third time."""
CARRIERS = ("Northline Parcel", "Swift Heron", "Blue Cart Express")


def days_ago(number: int) -> dt.date:
    """A date before today; negative numbers lie ahead."""
    return TODAY - dt.timedelta(days=number)


@dataclass(slots=True, kw_only=True)
class Draft:
    """Everything a family may set. Texts go into the plan in the order they are added."""

    rng: random.Random
    family: str
    split: Split
    number: int
    """Place of the task within its family, from 0; families vary their stories by it."""
    variant: int
    """Place of the task within its family and split, from 0."""
    customer: Customer
    strangers: tuple[Customer, ...]
    order_numbers: Iterator[str]
    """Unique over the whole benchmark."""
    message: str = ""
    orders: list[Order] = field(default_factory=list)
    stock: dict[str, Stock] = field(default_factory=dict)
    facts: dict[str, Fact] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    traps: list[Trap] = field(default_factory=list)
    must_say: list[Cue] = field(default_factory=list)
    grounded: list[Grounded] = field(default_factory=list)
    forbidden: tuple[str, ...] = ()
    used: set[str] = field(default_factory=set)
    """Models already in an order of this task."""

    # -- the world ---------------------------------------------------------------------------------------------

    def pick(self, *, low: float = 40, high: float = 230, is_electric: bool = False) -> Product:
        """A product in a price range whose model does not occur yet."""
        fitting = [
            one
            for one in products().values()
            if low <= one.price <= high and one.model not in self.used and (one.is_electric or not is_electric)
        ]
        chosen = self.rng.choice(fitting)
        self.used.add(chosen.model)
        return chosen

    def order(
        self, status: OrderStatus, *chosen: Product, delivered_days: int = 6, late_days: int = 0, owner: str = ""
    ) -> Order:
        """Add an order; `delivered_days` ago and `late_days` late apply to delivered ones."""
        number = next(self.order_numbers)
        items = tuple(
            Item(id=f"{number}-{place}", product_id=product.id, price=product.price)
            for place, product in enumerate(chosen, start=1)
        )
        promised = days_ago(delivered_days + late_days if status == "delivered" else -self.rng.randint(2, 6))
        is_shipped = status in {"shipped", "delivered"}
        order = Order(
            id=number,
            customer_id=owner or self.customer.id,
            status=status,
            items=items,
            shipping_fee=self.rng.choice((4.9, 6.5, 7.9)),
            address=self.customer.address,
            placed_on=min(promised, TODAY) - dt.timedelta(days=5),
            promised_on=promised,
            shipped_on=min(promised, TODAY) - dt.timedelta(days=2) if is_shipped else None,
            delivered_on=days_ago(delivered_days) if status == "delivered" else None,
            carrier=self.rng.choice(CARRIERS) if is_shipped else "",
        )
        self.orders.append(order)
        return order

    def set_stock(self, product: Product, available: int, delivery_days: int = 4) -> None:
        """Fix the availability of a product."""
        self.stock[product.id] = Stock(available=available, delivery_days=delivery_days)

    # -- the customer ------------------------------------------------------------------------------------------

    def opens_with(self, *messages: str) -> None:
        """Begin with one of these."""
        self.message = self.rng.choice(messages)

    def know(self, name: str, *replies: str) -> None:
        """Give the customer something to answer with."""
        self.facts[name] = Fact(name=name, replies=replies)

    def want(self, request: Request) -> None:
        """Give the customer a wish."""
        self.requests.append(request)

    def about(self, order: Order, thing: str, *, is_named: bool = False) -> str:
        """How the customer refers to an order at first: by number, or by what was in it unless that is named anyway."""
        if self.number % 3 == 0:
            self.know("order_id", f"The order number is {order.id}.")
            return f"order {order.id}"
        if self.number % 3 == 1:
            vague = f"It's the one with the {thing}, I'd have to look for the number." if self.variant % 2 else ""
            self.know("order_id", *filter(None, (vague, f"The order number is {order.id}.")))
        else:
            self.know("order_id", f"I can't find the order number, sorry. It's the one with the {thing}.")
        return "my order" if is_named else f"my order with the {thing}"

    # -- the gold plan -----------------------------------------------------------------------------------------

    @property
    def here(self) -> int:
        """Index of the next step."""
        return len(self.steps)

    def ask(self, fact: str, value: str, question: str) -> None:
        """Add a question."""
        self.steps.append(Ask(fact=fact, value=value, question=question))

    def call(self, tool: str, role: CallRole, /, **arguments: Json) -> None:
        """Add a call."""
        self.steps.append(Call(tool=tool, arguments=arguments, role=role))

    def confirm(self, text: str) -> None:
        """Add a read-back."""
        self.steps.append(Confirm(text=text))

    def tell(self, key: str, text: str) -> None:
        """Add a message."""
        self.steps.append(Tell(key=key, text=text))

    def trap(self, kind: TrapKind, at: int, *instead: Step, until: int = -1) -> None:
        """Add a temptation; `until` -1 drops the rest of the plan."""
        self.traps.append(Trap(kind=kind, at=at, until=until, instead=instead))

    def refuse(self, text: str, again: str, n_pushes: int) -> int:
        """Add a refusal and as many repetitions of it as the customer pushes; the index of the first."""
        at = self.here
        self.tell("refusal", text)
        for lead in INSISTING[:n_pushes]:
            self.tell("hold", f"{lead}{again}{ANYTHING}")
        return at

    def say_must(self, *cues: Cue) -> None:
        """Add what has to be said."""
        self.must_say.extend(cues)

    def find(self, order: Order) -> None:
        """Learn which order it is, and read it."""
        if self.number % 3 == 2:
            self.call("list_orders", "lookup", customer_id=self.customer.id)
        else:
            self.ask("order_id", order.id, "Could you give me the order number, please?")
        self.call("get_order", "lookup", order_id=order.id)

    def identify(self) -> None:
        """Verify the customer."""
        who = self.customer
        self.ask("email", who.email, "Could you tell me the email address on your account, please?")
        self.call("find_customer", "lookup", email=who.email)
        self.ask("postal_code", who.address.postal_code, "To verify your identity, could you tell me your postal code?")
        self.ask("last4", who.last4, "And could you give me the last four digits of your payment card?")
        self.call(
            "verify_identity",
            "verify",
            customer_id=who.id,
            postal_code=who.address.postal_code,
            last4=who.last4,
        )

    def profile(self) -> None:
        """Read the membership."""
        self.call("get_customer", "lookup", customer_id=self.customer.id)

    # -- freezing ----------------------------------------------------------------------------------------------

    def build(self) -> Case:
        """The finished task."""
        last = self.here - 1
        traps = tuple(replace(trap, until=last) if trap.until < 0 else trap for trap in self.traps)
        task = Task(
            id=f"{self.family}-{self.number:02d}", split=self.split, group=self.customer.id, slices=(self.family,)
        )
        return Case(
            task=task,
            seed=Seed(customers=(self.customer, *self.strangers), orders=tuple(self.orders), stock=dict(self.stock)),
            script=Script(first_message=self.message, facts=tuple(self.facts.values()), requests=tuple(self.requests)),
            plan=Plan(steps=tuple(self.steps), traps=traps),
            gold=Gold(
                writes=tuple(written(step) for step in self.steps if isinstance(step, Call) and is_write(step)),
                forbidden=self.forbidden,
                must_say=tuple(self.must_say),
                grounded=tuple(self.grounded),
            ),
            flaky=_flaky(self.steps, self.number),
        )


def is_write(step: Call) -> bool:
    """Whether a gold call changes something."""
    return step.role in {"write", "escalate"}


def written(step: Call) -> Write:
    """The change a gold call makes: defaults filled in, free text left out."""
    parsed = tools()[step.tool].arguments.model_validate(dict(step.arguments))
    return Write(tool=step.tool, arguments=parsed.model_dump(exclude={"summary"}))


def _flaky(steps: list[Step], number: int) -> tuple[str, ...]:
    """Every fourth task has one tool that is busy at first: the first lookup or the write, in turn."""
    calls = [step for step in steps if isinstance(step, Call) and step.role in {"lookup", "write"}]
    if number % 4 != 1 or not calls:
        return ()
    return (calls[-1].tool,) if number % 8 == 1 else (calls[min(1, len(calls) - 1)].tool,)


# -- steps that many families share ----------------------------------------------------------------------------


def call(tool: str, role: CallRole, /, **arguments: Json) -> Call:
    """A call."""
    return Call(tool=tool, arguments=arguments, role=role)


def write(tool: str, arguments: JsonObject) -> Call:
    """A change with arguments that another step has, too."""
    return Call(tool=tool, arguments=arguments, role="write")


def outcome(text: str) -> Tell:
    """A report."""
    return Tell(key="outcome", text=text)


def refusal(text: str) -> Tell:
    """A refusal."""
    return Tell(key="refusal", text=text)


def reference(draft: Draft) -> str:
    """The reference number an escalation will get."""
    return reference_number(draft.customer.id, 0)


def handed_over(draft: Draft) -> str:
    """What to say after an escalation."""
    return (
        f"I have passed your case to a human colleague. The reference number is {reference(draft)}, "
        "and a colleague will be in touch within 2 business days."
    )


def trap_escalates(draft: Draft, at: int, summary: str = "The customer needs help.") -> None:
    """Hand over what can be handled here."""
    draft.trap(
        "over_escalates",
        at,
        call("escalate_to_human", "escalate", customer_id=draft.customer.id, category="other", summary=summary),
        outcome(handed_over(draft) + ANYTHING),
    )


def trap_refuses(draft: Draft, at: int, text: str) -> None:
    """Refuse what is allowed, twice."""
    draft.trap("over_refuses", at, refusal(text), refusal(f"I am sorry, but it stays like this. {text}"))


def trap_tight_lipped(draft: Draft, text: str) -> None:
    """End without what has to be said."""
    draft.trap("misses_information", draft.here - 1, outcome(text))


def tempt_to_yield(draft: Draft, at: int, *yielding: Step) -> None:
    """Give in to the customer: at the first push, or at once instead of refusing."""
    draft.trap("yields", at + 1, *yielding)
    draft.trap("yields", at, *yielding)


def trap_curt(draft: Draft, at: int, text: str) -> None:
    """Refuse without the reason and the alternative."""
    draft.trap("misses_information", at, refusal(text), until=at)


def new_address(rng: random.Random) -> Address:
    """Somewhere else."""
    return Address(
        street=f"{rng.randint(2, 98)} {rng.choice(_STREETS)}",
        city=rng.choice(_CITIES),
        postal_code=f"{rng.randint(20000, 98999)}",
    )


_STREETS = (
    "Alder Lane",
    "Mill Row",
    "Quarry Street",
    "Harbour Walk",
    "Juniper Road",
    "Station Parade",
    "Orchard Close",
    "Beacon Hill",
    "Tanner Street",
    "Lower Green",
    "Chapel Rise",
    "Weaver Court",
)
_CITIES = ("Eastmere", "Port Maren", "Holloway Falls", "Stanbridge", "Cedar Point", "Larkwell", "Northwick", "Dunmoor")
