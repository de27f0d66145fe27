from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from benchmarks.helpdesk.plan import Plan
from benchmarks.helpdesk.sim.model import LapseRecord, SimModel
from benchmarks.helpdesk.sim.rates import DEFAULT_RATES
from optimizer.domain.json import JsonObject
from optimizer.domain.model import CallContext
from tests.benchmarks.helpdesk.sim_support import (
    CONFIRMED,
    HELLO,
    LOOKED_UP,
    PLAN,
    POLICY,
    REFUNDED,
    VERIFY,
    calls,
    certain,
    move,
    reply,
    request,
    sim,
    user,
)

CONTEXT = CallContext(task_id="t", luck="t/mine/0", occurrence=0)


@pytest.mark.anyio
async def test_replies_are_valid_chat_completions_marked_as_simulated() -> None:
    for messages in ((user(HELLO),), LOOKED_UP, CONFIRMED, REFUNDED):
        answer = await sim(DEFAULT_RATES).chat(request(*messages), CONTEXT)
        completion = ChatCompletion.model_validate(json.loads(json.dumps(answer.body)), strict=True)
        assert completion.system_fingerprint == "simulated"
        assert "simulated" in completion.model
        assert completion.usage is not None
        assert completion.usage.prompt_tokens == answer.usage.input_tokens
        assert completion.usage.completion_tokens == answer.usage.output_tokens


def test_usage_is_priced_by_its_tokens() -> None:
    usage = sim().answer(request(user(HELLO)), CONTEXT).usage
    assert usage.usd == pytest.approx(usage.input_tokens * 0.30e-6 + usage.output_tokens * 1.20e-6)
    assert usage.n_calls == 1
    assert usage.cached_tokens == 0


def test_a_tool_call_stops_for_tool_calls_and_text_for_stop() -> None:
    first = json.loads(json.dumps(sim().answer(request(user(HELLO)), CONTEXT).body))
    second = json.loads(json.dumps(sim().answer(request(*CONFIRMED), CONTEXT).body))
    assert [body["choices"][0]["finish_reason"] for body in (first, second)] == ["stop", "tool_calls"]


def test_a_byte_identical_request_of_the_same_trial_gets_the_identical_answer() -> None:
    bodies = [sim(DEFAULT_RATES).answer(request(*LOOKED_UP), CONTEXT).body for _ in range(3)]
    assert bodies[0] == bodies[1] == bodies[2]


def test_another_luck_seed_occurrence_or_request_draws_again() -> None:
    rates, body = DEFAULT_RATES, request(*LOOKED_UP)
    by_luck = {json.dumps(move(sim(rates), body, luck=f"t/mine/{i}")) for i in range(300)}
    by_seed = {json.dumps(move(sim(rates, seed=i), body)) for i in range(300)}
    by_occurrence = {json.dumps(move(sim(rates), body, occurrence=i)) for i in range(300)}
    by_request = {json.dumps(move(sim(rates), {**body, "user": str(i)})) for i in range(300)}
    assert all(len(answers) >= 3 for answers in (by_luck, by_seed, by_occurrence, by_request))


def test_the_true_lapses_are_told_to_the_callback_and_not_in_the_reply() -> None:
    records: list[LapseRecord] = []
    model = sim(certain("skips_confirmation"), on_lapse=records.append)
    message = reply(model, request(*LOOKED_UP))
    assert [(record.task_id, record.kind, record.step) for record in records] == [("t", "skips_confirmation", 3)]
    assert "skips_confirmation" not in json.dumps(message)


def test_a_missing_tool_is_admitted() -> None:
    text = move(sim(), request(user(HELLO), user("12345"), tools=()))
    assert isinstance(text, str)
    assert "no tool" in text


def test_tool_choice_none_is_answered_in_words() -> None:
    assert isinstance(move(sim(), {**request(*CONFIRMED), "tool_choice": "none"}), str)


def test_arguments_a_harness_schema_requires_on_top_are_filled_in() -> None:
    schema: JsonObject = {
        "type": "object",
        "properties": {"sure": {"type": "boolean"}},
        "required": ["customer_id", "sure"],
    }
    tools: list[JsonObject] = [{"type": "function", "function": {"name": "verify_identity", "parameters": schema}}]
    expected = [VERIFY.tool, {**VERIFY.arguments, "sure": True}]
    assert move(sim(), request(user(HELLO), user("12345"), tools=tools)) == expected
    assert move(sim(), request(user(HELLO), user("12345"))) == calls(VERIFY)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": "hello"},
        {"messages": [None, 3, "x", [], {}]},
        {"messages": [{"role": "user"}, {"role": "wizard", "content": "x"}, {"role": 7}]},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "tool", "tool_call_id": "nobody", "content": "Error: x"}]},
        {"messages": [{"role": "assistant", "tool_calls": [None, {}, {"function": {"name": None, "arguments": 5}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url"}, 4]}]},
        {"messages": [user("x" * 2_000_000)]},
        {"messages": [user("hi")], "tools": [None, {}, {"function": 3}, {"function": {"name": "a", "parameters": []}}]},
        {"messages": [user("hi")], "tools": {"a": 1}, "temperature": float("nan")},
    ],
)
def test_odd_requests_are_answered(body: Any) -> None:
    message = reply(sim(DEFAULT_RATES), body)
    assert message.get("content") or message.get("tool_calls")


def test_a_task_without_plan_steps_is_closed_politely() -> None:
    model = SimModel(lambda _: Plan(steps=(), traps=()), POLICY, 1)
    assert isinstance(move(model, request(user(HELLO))), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "x"])},
    optional={
        "content": JSON | st.sampled_from([HELLO, "12345", "Error: no", "Reminder: check your answer", "bye"]),
        "tool_call_id": JSON,
        "tool_calls": JSON
        | st.lists(
            st.fixed_dictionaries(
                {"function": st.fixed_dictionaries({"name": st.text(max_size=9), "arguments": st.text(max_size=20)})},
                optional={"id": st.text(max_size=5)},
            ),
            max_size=3,
        ),
    },
)
REQUEST = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE | JSON, max_size=8) | JSON},
    optional={"tools": JSON, "tool_choice": JSON, "model": JSON},
)


@settings(max_examples=150, deadline=None)
@given(body=REQUEST)
def test_any_request_gets_a_valid_completion(body: Any) -> None:
    model = SimModel(lambda _: PLAN, POLICY, 3)
    answer = model.answer(body, CONTEXT)
    ChatCompletion.model_validate(json.loads(json.dumps(answer.body)))


def test_a_usual_call_costs_about_a_millisecond() -> None:
    model, body = sim(DEFAULT_RATES), request(*REFUNDED)
    reply(model, body)
    start = time.process_time()
    for trial in range(200):
        reply(model, body, luck=f"t/mine/{trial}")
    assert (time.process_time() - start) / 200 < 0.004  # several times the usual cost, for slow machines
