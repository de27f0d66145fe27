"""What val and test show never passes unnoticed, and what everybody says is no leak."""

from __future__ import annotations

import pytest

from optimizer.domain.task import Split, Task
from optimizer.evals.decontam import HeldOut, Opened

BOILERPLATE = "Hello, I would like to return the kettle from my order because it does not suit me."


def opened(name: str, split: Split, text: str) -> Opened:
    return Opened(task=Task(id=name, split=split, group=f"group of {name}"), text=text)


@pytest.fixture
def held() -> HeldOut:
    return HeldOut(
        [
            *(opened(f"train{i}", "train", f"{BOILERPLATE} Regards, person{i}") for i in range(4)),
            opened("val1", "val", f"{BOILERPLATE} The order is BV-204417. Regards, Mara"),
            opened(
                "val2", "val", "My neighbour borrowed the unusual purple wheelbarrow and never once brought it back."
            ),
            opened("test1", "test", "What is seven plus four?"),
            opened("test2", "test", "I would like to know when it can be here at last please."),
        ]
    )


@pytest.mark.parametrize(
    ("text", "leak"),
    [
        ("She wrote: 'it is about bv-204417, again.'", "bv-204417"),
        (
            "He said the Unusual  purple wheelbarrow and never once brought it home",
            "the Unusual  purple wheelbarrow and never once brought it",
        ),
        ("Q: what is seven plus four? A:", "what is seven plus four"),
        (
            "so, I would like to know when it can be here at last please.",
            "I would like to know when it can be here at last please",
        ),
    ],
)
def test_a_leak_is_shown_verbatim(held: HeldOut, text: str, leak: str):
    assert held.leak(text, "mine") == leak


@pytest.mark.parametrize(
    "text",
    [
        f"{BOILERPLATE} Thanks",
        "the unusual purple wheelbarrow is mine",
        "when it can be here",
        "what is eight plus four",
        "",
    ],
)
def test_what_many_groups_say_or_a_few_common_words_is_none(held: HeldOut, text: str):
    assert held.leak(text, "mine") == ""


def test_an_identifier_that_a_train_task_has_too_belongs_to_nobody_held_out():
    held = HeldOut([opened("t", "train", "about BV-204417"), opened("v", "val", "my order is BV-204417 too")])
    assert held.leak("BV-204417", "mine") == ""
    assert held.leak("BV-204417", "group of t") == "BV-204417"


def test_a_group_gives_nothing_away_to_itself(held: HeldOut):
    assert held.leak("BV-204417", "group of val1") == ""


def test_a_shared_order_of_words_beyond_the_match_is_not_quoted(held: HeldOut):
    text = "aaa my neighbour borrowed the unusual purple wheelbarrow and bbb"
    assert held.leak(text, "mine") == "my neighbour borrowed the unusual purple wheelbarrow and"
