"""Made-up neighbours of a train task: other people, products, amounts and order of facts, the same story and checks.

A neighbour is made from its name alone, so every process that is handed the name opens the same task. It takes its
names from lists of its own and its order numbers from those the benchmark leaves free.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from benchmarks.helpdesk.case import Case
from benchmarks.helpdesk.draft import Draft, new_address
from benchmarks.helpdesk.tasks import cases, complete
from benchmarks.helpdesk.world import Customer
from optimizer.domain.errors import BenchmarkError
from optimizer.domain.json import content_hash

MARK = "~"
"""Stands between the name of a task and the number of its neighbour."""
SYNTHETIC = "synthetic"
_TRIES = 40
_FIRST = ("Amara", "Bruno", "Celia", "Dario", "Elin", "Florian", "Gita", "Henrik", "Ilse", "Joris", "Katya", "Lorenz")
_LAST = (
    "Abelard",
    "Bexley",
    "Cromarty",
    "Devane",
    "Everdene",
    "Fairley",
    "Gosling",
    "Hathersage",
    "Inverey",
    "Keswick",
)


def neighbour_name(task_id: str, seed: int, number: int) -> str:
    """Name of a neighbour."""
    return f"{task_id}{MARK}{seed}.{number}"


def is_neighbour(task_id: str) -> bool:
    """Whether a name is that of a neighbour."""
    return MARK in task_id


@cache
def neighbour(name: str) -> Case:
    """The neighbour of this name.

    Raises:
        BenchmarkError: its model is no train task, or its story has no further telling that is not taken.
    """
    model = _model(name.partition(MARK)[0])
    taken = _taken()
    for attempt in range(_TRIES):
        case = _told(model, name, attempt)
        if not _phrases(case) & taken and case.plan.steps != model.plan.steps:
            return case
    raise BenchmarkError(f"helpdesk finds no neighbour {name!r} that repeats no task; ask for another number")


def _model(task_id: str) -> Case:
    found = next((case for case in cases() if case.task.id == task_id and case.task.split == "train"), None)
    if found is None:
        raise BenchmarkError(f"helpdesk makes neighbours of train tasks only, and {task_id!r} is none")
    return found


def _told(model: Case, name: str, attempt: int) -> Case:
    """The model's story, told of somebody else. Its number decides the story, so it is kept."""
    rng = random.Random(content_hash(name, attempt))
    family, _, number = model.task.id.rpartition("-")
    people = _people(rng)
    draft = Draft(
        rng=rng,
        family=family,
        split="train",
        number=int(number),
        variant=_variant(model, family),
        customer=replace(next(people), tier=model.seed.customers[0].tier),
        strangers=(next(people),),
        order_numbers=_free_numbers(rng),
    )
    case = complete(family, draft, greeting=int(number) + 1 + attempt)
    task = replace(case.task, id=name, slices=(*case.task.slices, SYNTHETIC))
    return replace(case, task=task, flaky=model.flaky)


def _variant(model: Case, family: str) -> int:
    """Place of the model within its family and split."""
    same = [case.task.id for case in cases() if case.task.split == "train" and case.task.slices == (family,)]
    return same.index(model.task.id)


def _people(rng: random.Random) -> Iterator[Customer]:
    names = [f"{first} {last}" for first in _FIRST for last in _LAST]
    known = {customer.id for case in cases() for customer in case.seed.customers}
    for name in rng.sample(names, len(names)):
        first, last = name.casefold().split()
        number = next(n for n in iter(lambda: rng.randint(10000, 99999), None) if f"C-{n}" not in known)
        yield Customer(
            id=f"C-{number}",
            name=name,
            email=f"{first}.{last}{rng.randint(2, 99)}@{rng.choice(('postwell', 'inkmail', 'farpost'))}.example",
            phone=f"555-{rng.randint(100, 999)}-{rng.randint(1000, 9999)}",
            address=new_address(rng),
            last4=f"{rng.randint(0, 9999):04d}",
            tier="standard",
        )


def _free_numbers(rng: random.Random) -> Iterator[str]:
    known = {order.id for case in cases() for order in case.seed.orders}
    while True:
        number = f"BV-{rng.randint(100000, 999999)}"
        if number not in known:
            known.add(number)
            yield number


@cache
def _taken() -> frozenset[str]:
    """What no neighbour may repeat: the wishes and openings of all tasks."""
    return frozenset(phrase for case in cases() if case.task.split != "train" for phrase in _phrases(case))


def _phrases(case: Case) -> frozenset[str]:
    """What tells a task from others of its family: its opening, and what a product question asks."""
    wishes = {request.wish for request in case.script.requests if case.task.slices[0] == "product_question"}
    return frozenset({case.script.first_message, *wishes})
