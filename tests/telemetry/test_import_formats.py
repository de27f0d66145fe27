"""Each format becomes the same kind of run."""

from __future__ import annotations

import json

import pytest

from optimizer.domain.json import canonical_json
from optimizer.domain.trace import Trace, Usage
from optimizer.ledger.codec import trace_to_bytes
from optimizer.telemetry.imported import ImportedRun, Problem
from optimizer.telemetry.importing import import_runs
from tests.telemetry.logs import ANTHROPIC, CHAT, HONE, ITEMS, LEDGER, LOST, TAU, TAU2, TOOLS, call, said, write


def runs(tmp_path, *values, name="log.jsonl") -> list[ImportedRun]:
    found = list(import_runs(write(tmp_path, name, *values)))
    assert not [one for one in found if isinstance(one, Problem)], found
    return found


def story(run: ImportedRun) -> list[tuple]:
    return [(s.kind, s.name, s.input, s.output, s.is_error) for s in run.trace.spans if s.kind != "model_call"]


@pytest.mark.parametrize(
    ("value", "format_"),
    [
        ({"messages": CHAT, "tools": TOOLS}, "messages"),
        (CHAT, "messages"),
        (ITEMS, "responses"),
        (TAU, "tau"),
        (TAU2, "tau2"),
        (TAU2["simulations"][0], "tau2"),
        (HONE, "hone"),
        ({"spans": HONE["spans"]}, "hone"),
        (LEDGER, "hone"),
    ],
)
@pytest.mark.parametrize("name", ["one.json", "lines.jsonl"])
def test_each_format_is_recognised_as_a_file_and_as_a_line(tmp_path, value, format_, name):
    assert {run.format for run in runs(tmp_path, value, name=name)} == {format_}


def test_a_chat_log_becomes_calls_and_turns(tmp_path):
    (run,) = runs(tmp_path, {"messages": CHAT, "tools": TOOLS, "task_id": "t", "user_id": "u"})
    assert story(run) == [
        ("tool_call", "find_order", {"order_id": "W1"}, '{"status": "sent"}', False),
        ("user_turn", "user", "It was sent.", "Thanks", False),
    ]
    assert (run.task_id, run.group, [tool.name for tool in run.tools]) == ("t", "u", ["find_order"])
    first, second = (span.input for span in run.trace.spans if span.kind == "model_call")
    assert first["tools"] == TOOLS
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert [message["role"] for message in second["messages"]] == ["tool"]
    assert [span.index for span in run.trace.spans] == list(range(4))


def test_the_last_words_of_an_agent_are_a_turn_that_nobody_answered(tmp_path):
    (run,) = runs(tmp_path, {"messages": CHAT[:-1]})
    assert story(run)[-1] == ("user_turn", "user", "It was sent.", "", False)


def test_results_go_to_their_calls_by_id_and_else_in_order(tmp_path):
    both = said("assistant", None, tool_calls=[call(call_id="a"), call(call_id="b")])
    by_id = [both, said("tool", "B", tool_call_id="b"), said("tool", "A", tool_call_id="a")]
    in_order = [both, said("tool", "A"), said("tool", "B")]
    for messages in (by_id, in_order):
        (run,) = runs(tmp_path, {"messages": messages})
        assert [span[3] for span in story(run)] == ["A", "B"]


def test_a_result_without_a_call_and_a_call_without_a_result_are_kept(tmp_path):
    (run,) = runs(
        tmp_path, {"messages": [said("assistant", None, tool_calls=[call()]), said("tool", "x", tool_call_id="other")]}
    )
    assert story(run) == [
        ("tool_call", "find_order", {"order_id": "W1"}, "", False),
        ("tool_call", "unknown", {}, "x", False),
    ]


@pytest.mark.parametrize("arguments", ["{not json", "[1]", "7", "NaN"])
def test_arguments_that_are_no_object_are_kept_as_written(tmp_path, arguments):
    (run,) = runs(tmp_path, {"messages": [said("assistant", None, tool_calls=[call(arguments=arguments)])]})
    assert story(run)[0][2] == {"_malformed": arguments}


@pytest.mark.parametrize(
    ("content", "is_error"),
    [("Error: no", True), ('{"error": "no"}', True), ('{"success": false}', True), ('{"status": "failed"}', True),
     ("Traceback (most recent call last):", True), ('{"error": null, "rows": []}', False), ("fine", False),
     ('{"success": [1]}', False)],
)  # fmt: skip
def test_a_tool_that_failed_is_recognised_by_what_it_says(tmp_path, content, is_error):
    (run,) = runs(tmp_path, {"messages": [said("assistant", None, tool_calls=[call()]), said("tool", content)]})
    assert story(run)[0][4] is is_error


def test_parallel_calls_of_the_responses_api_get_their_own_results(tmp_path):
    (run,) = runs(tmp_path, ITEMS)
    assert story(run) == [
        ("tool_call", "find_order", {"order_id": "W1"}, "sent", False),
        ("tool_call", "find_order", {"order_id": "W2"}, "Error: no order W2", True),
        ("user_turn", "user", "It was sent.", "", False),
    ]


def test_tool_blocks_inside_messages_are_calls_and_results(tmp_path):
    (run,) = runs(
        tmp_path, {"messages": ANTHROPIC, "tools": [{"name": "find_order", "input_schema": {"type": "object"}}]}
    )
    assert story(run)[0] == ("tool_call", "find_order", {"order_id": "W1"}, "no such order", True)
    assert story(run)[1][2] == "There is none."
    assert run.tools[0].parameters == {"type": "object"}


def test_a_request_with_its_reply_is_one_run(tmp_path):
    (run,) = runs(tmp_path, {"messages": CHAT[:2], "response": {"choices": [{"message": said("assistant", "Sent.")}]}})
    assert story(run) == [("user_turn", "user", "Sent.", "", False)]


@pytest.mark.parametrize(
    ("fields", "outcome", "score"),
    [
        ({"passed": False}, "failed", None), ({"success": True}, "passed", None), ({"score": 0.2}, "failed", 0.2),
        ({"reward": 1}, "passed", 1.0), ({"outcome": "FAILED"}, "failed", None),
        ({"status": "completed"}, "unknown", None),
        ({"metadata": {"feedback": "thumbs_down"}}, "failed", None), ({"score": "high"}, "unknown", None),
        ({"checks": [{"name": "polite", "passed": False}]}, "failed", None), ({}, "unknown", None),
        ({"score": 7, "passed": False}, "failed", 1.0),
    ],
)  # fmt: skip
def test_the_verdict_of_a_log_is_read_from_its_fields(tmp_path, fields, outcome, score):
    (run,) = runs(tmp_path, {"messages": CHAT, **fields})
    assert (run.verdict.outcome, run.verdict.score) == (outcome, score)


def test_a_tau_run_says_what_is_missing_and_no_gold_value(tmp_path):
    (run,) = runs(tmp_path, [TAU], name="results.json")
    assert run.verdict.outcome == "failed"
    assert [check.detail for check in run.verdict.checks] == ["missing write: cancel_order"]
    everything = canonical_json([[s.input, s.output] for s in run.trace.spans]) + str(run.verdict)
    assert "GOLD" not in everything
    assert "SECRET" not in everything


def test_tau2_simulations_are_runs_with_their_checks_and_no_gold_value(tmp_path):
    failed, passed, capped, broken = runs(tmp_path, TAU2, name="results.json")
    assert [check.name for check in failed.verdict.checks] == ["final_state", "required_communication"]
    assert (passed.verdict.outcome, capped.verdict.status, broken.verdict.status) == (
        "passed",
        "over_budget",
        "infra_error",
    )
    assert story(failed)[0] == ("user_turn", "user", "Hi! How can I help?", "Cancel W1", False)
    assert story(failed)[1][4] is True
    assert story(failed)[2][3] == "[the user does 1 things]"
    assert failed.trace.usage == Usage(input_tokens=10, output_tokens=2, usd=None, n_calls=3)
    assert "GOLD" not in canonical_json([[s.input, s.output] for s in failed.trace.spans]) + str(failed.verdict)
    assert len({run.id for run in (failed, passed, capped, broken)}) == 4


def test_our_own_trace_comes_back_as_it_was(tmp_path):
    (run,) = runs(tmp_path, HONE)
    assert [(s.kind, s.name, s.input, s.output) for s in run.trace.spans] == [
        (s["kind"], s["name"], s["input"], s["output"]) for s in HONE["spans"]
    ]
    assert (run.task_id, run.group, run.verdict.status, run.tools[0].name) == ("t-1", "g", "failed", "find_order")
    assert run.verdict.checks[0].detail == "missing write: cancel_order"


def test_what_a_ledger_keeps_comes_back_as_it_was(tmp_path):
    (run,) = runs(tmp_path, {"messages": LOST})
    kept = json.loads(trace_to_bytes(run.trace))
    (again,) = runs(tmp_path, kept)
    assert again.trace == Trace(spans=run.trace.spans)


def test_the_same_run_in_two_files_has_one_id(tmp_path):
    write(tmp_path, "a/one.jsonl", CHAT, LOST)
    write(tmp_path, "b/two.jsonl", LOST)
    assert len({run.id for run in import_runs(tmp_path)}) == 2
