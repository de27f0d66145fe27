"""Whatever a harness sends is answered; nothing raises, nothing hangs."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark
from benchmarks.helpdesk.environment import MAX_ACTIONS, HelpdeskEnvironment
from benchmarks.helpdesk.plan import Call
from benchmarks.helpdesk.tools import tools
from optimizer.domain.task import Action, Say, Submit, ToolCall

TOOLS = list(tools())


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": [value]}
    return value


HOSTILE: list[Any] = [
    {},
    {"order_id": None},
    {"order_id": 17},
    {"order_id": "BV-1" * 100_000},
    {"order_id": _deep(20_000)},
    {"order_id": ["BV-100000"]},
    {"order_id": "\ud800\udfff\x00"},
    {"\ud800": 1},
    {"order_id": "x", "unknown": _deep(20_000)},
    {str(n): n for n in range(50_000)},
    {"amount": float("nan"), "order_id": "a", "item_id": "b", "method": "store_credit"},
    {"amount": float("inf"), "order_id": "a", "item_id": "b", "method": "store_credit"},
    {"amount": 10**400, "order_id": "a", "item_id": "b", "method": "store_credit"},
    {"amount": True, "order_id": "a", "item_id": "b", "method": "store_credit"},
    {"amount": "49", "order_id": "a", "item_id": "b", "method": "store_credit"},
    {"_malformed": "{not json"},
]


@pytest.fixture
def environment(bench: HelpdeskBenchmark) -> HelpdeskEnvironment:
    task = next(task for task in bench.tasks() if task.id == "refund_in_window-00")
    return HelpdeskEnvironment(bench.case(task.id), trial="0")


@pytest.mark.anyio
@pytest.mark.parametrize("place", range(len(HOSTILE)))
async def test_hostile_arguments_are_answered_with_a_short_tool_error(
    environment: HelpdeskEnvironment, place: int
) -> None:
    for name in TOOLS:
        observation = await environment.step(ToolCall(name=name, arguments=HOSTILE[place]))
        assert observation.source == "tool"
        assert observation.is_error
        assert observation.content.startswith("Error: ")
        assert len(observation.content) < 800
    assert (await environment.grade()).value == 0.0


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["", "nope", "Get_Order", "get_order ", "\ud800", "x" * 100_000])
async def test_an_unknown_tool_is_named_in_the_error(environment: HelpdeskEnvironment, name: str) -> None:
    observation = await environment.step(ToolCall(name=name, arguments={}))
    assert observation.is_error
    assert observation.content.startswith("Error: unknown tool '")
    assert len(observation.content) < 400


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\x00",
        "�",
        "?" * 50000,
        "yes " * 20000,
        "go ahead " * 20000,
        "a" * 1000000,
        "$" * 9999,
        "i have been now just already " * 5000,
        "order number? " * 5000,
        "\n" * 100000,
        "BV-" * 9000,
        "1" * 100000,
    ],
)
async def test_any_text_gets_an_answer_in_no_time(environment: HelpdeskEnvironment, text: str) -> None:
    began = time.process_time()
    observation = await environment.step(Say(text=text))
    assert observation.content
    assert time.process_time() - began < 0.5


@pytest.mark.anyio
async def test_after_the_end_every_action_is_refused(environment: HelpdeskEnvironment) -> None:
    assert (await environment.step(Submit(answer="done"))).is_final
    for action in (Say(text="hello?"), ToolCall(name="get_order", arguments={}), Submit()):
        observation = await environment.step(action)
        assert observation.is_final
        assert observation.is_error
        assert observation.source == "end"


@pytest.mark.anyio
async def test_an_endless_harness_is_stopped(environment: HelpdeskEnvironment) -> None:
    for _ in range(MAX_ACTIONS - 1):
        assert not (await environment.step(ToolCall(name="check_stock", arguments={"product_id": "P-1"}))).is_final
    assert (await environment.step(ToolCall(name="check_stock", arguments={"product_id": "P-1"}))).is_final


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_WORDS = st.sampled_from(
    [
        "refund",
        "cancel",
        "shall I",
        "yes/no",
        "?",
        "order number",
        "email",
        "I have",
        "cannot",
        "anything else",
        "$4.90",
        "bye",
        "postal code",
        "credit",
        "reference",
        "BV-123456",
        "address",
        "let me check",
        "12",
        "done",
    ]
)
_TALK = st.lists(_WORDS, max_size=8).map(" ".join) | st.text(max_size=80)


def _actions(bench: HelpdeskBenchmark, place: int) -> st.SearchStrategy[Action]:
    steps = bench.plan(bench.tasks()[place].id).steps
    gold = [ToolCall(name=step.tool, arguments=step.arguments) for step in steps if isinstance(step, Call)]
    said = [str(getattr(step, "text", "") or getattr(step, "question", "")) for step in steps]
    wild = st.builds(
        ToolCall,
        name=st.sampled_from(TOOLS) | st.text(max_size=8),
        arguments=st.dictionaries(st.sampled_from(["order_id", "customer_id", "amount", "email"]), _JSON, max_size=4),
    )
    return st.one_of(
        st.sampled_from(gold), wild, st.builds(Say, text=_TALK), st.sampled_from([Say(text=text) for text in said])
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_actions_never_crash_an_environment(bench: HelpdeskBenchmark, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(bench.tasks()) - 1))
    actions = data.draw(st.lists(_actions(bench, place), max_size=25))

    async def run() -> float:
        environment = await bench.open(bench.tasks()[place], trial="fuzz")
        for action in actions:
            observation = await environment.step(action)
            assert observation.source in {"tool", "user", "end"}
        score = await environment.grade()
        await environment.close()
        return score.value

    assert anyio.run(run) in {0.0, 1.0}
