"""OTLP/JSON Lines become runs, whichever convention and spelling."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.telemetry.imported import ImportedRun, Origin, Problem, Record
from optimizer.telemetry.importing import import_file, import_runs
from optimizer.telemetry.read_otlp import OtlpFile
from tests.telemetry.logs import write


def export(*spans, snake: bool = False):
    names = ("resource_spans", "scope_spans") if snake else ("resourceSpans", "scopeSpans")
    return {names[0]: [{names[1]: [{"spans": list(spans)}]}]}


def span(trace, attributes, *, parent="", code=0, snake: bool = False):
    string = "string_value" if snake else "stringValue"
    spelled = [{"key": key, "value": {string: value}} for key, value in attributes.items()]
    ids = ("trace_id", "parent_span_id") if snake else ("traceId", "parentSpanId")
    return {ids[0]: trace, ids[1]: parent, "attributes": spelled, "status": {"code": code}}


OPEN_INFERENCE = {
    "openinference.span.kind": "LLM",
    "session.id": "s-1",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.contents.0.message_content.text": "Where is W1?",
    "llm.input_messages.1.message.role": "assistant",
    "llm.input_messages.1.message.tool_calls.0.tool_call.id": "c",
    "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "find_order",
    "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments": '{"order_id": "W1"}',
    "llm.input_messages.2.message.role": "tool",
    "llm.input_messages.2.message.tool_call_id": "c",
    "llm.input_messages.2.message.content": "Error: none",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "There is none.",
    "llm.tools.0.tool.json_schema": json.dumps({"type": "function", "function": {"name": "find_order"}}),
}
GEN_AI = {
    "gen_ai.conversation.id": "s-1",
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "You help."}]),
    "gen_ai.input.messages": json.dumps(
        [
            {"role": "user", "parts": [{"type": "text", "content": "Where is W1?"}]},
            {"role": "assistant",
             "parts": [{"type": "tool_call", "id": "c", "name": "find_order", "arguments": {"order_id": "W1"}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "Error: none"}]},
        ]
    ),
    "gen_ai.output.messages": json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": "There is none."}]}]
    ),
    "gen_ai.tool.definitions": json.dumps([{"type": "function", "name": "find_order", "parameters": {}}]),
}  # fmt: skip


@pytest.mark.parametrize("attributes", [OPEN_INFERENCE, GEN_AI], ids=["openinference", "gen_ai"])
@pytest.mark.parametrize("snake", [False, True])
def test_the_longest_model_call_gives_the_conversation(tmp_path, attributes, snake):
    first = {
        k: v for k, v in attributes.items() if "messages.1" not in k and "messages.2" not in k and "gen_ai" not in k
    }
    lines = [
        export(span("t1", attributes, parent="p", snake=snake), snake=snake),
        export(span("t2", {"x": "y"}, snake=snake), span("t1", first, parent="p", snake=snake), snake=snake),
        export(span("t1", {}, code=2, snake=snake), snake=snake),
    ]
    found = list(import_runs(write(tmp_path, "spans.jsonl", *lines)))
    (run,) = [one for one in found if isinstance(one, ImportedRun)]
    (problem,) = [one for one in found if isinstance(one, Problem)]
    assert [(s.kind, s.input, s.output, s.is_error) for s in run.trace.spans if s.kind != "model_call"] == [
        ("tool_call", {"order_id": "W1"}, "Error: none", True),
        ("user_turn", "There is none.", "", False),
    ]
    assert (run.verdict.outcome, run.group, run.format) == ("failed", "s-1", "otlp")
    assert [tool.name for tool in run.tools] == ["find_order"]
    assert str(problem) == "spans.jsonl:2: trace t2: no model call with messages"


JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(sorted(OPEN_INFERENCE)),
    lambda below: st.lists(below, max_size=3)
    | st.dictionaries(
        st.sampled_from(["scopeSpans", "spans", "attributes", "key", "value", "stringValue", "arrayValue", "values",
                         "status", "code", "traceId"]),
        below,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(JUNK, st.dictionaries(st.sampled_from(sorted(OPEN_INFERENCE | GEN_AI)), JUNK, max_size=8))
def test_whatever_an_export_holds_it_is_runs_or_problems(value, attributes):
    spelled = [{"key": key, "value": value} for key, value in attributes.items()]
    lines = [{"resourceSpans": [value]}, export({"traceId": "t", "attributes": spelled})]
    file = OtlpFile()
    for line in lines:
        assert not list(file.add(Record(value=line, sha="0", origin=Origin(file="f", line=1))))
    assert all(isinstance(one, ImportedRun | Problem) for one in file.runs())


def test_spans_and_other_records_may_share_a_file(tmp_path):
    chat = {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}
    path = write(tmp_path, "mixed.jsonl", export(span("t1", OPEN_INFERENCE)), chat)
    assert {run.format for run in import_file(path, "mixed.jsonl")} == {"otlp", "messages"}
