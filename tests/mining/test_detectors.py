"""Each detector on a small trace made for it, and the choice between several."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.trace import Usage
from optimizer.mining.detectors.explain import explain, findings
from optimizer.mining.detectors.wire import is_quoted
from tests.mining.traces import call, failing, model, rollout_of, say, tool, trace_of

LOOKUPS = [call("find_customer", email="a@b"), call("get_order", id="1"), call("get_item", id="2")]
MISSING = {"final_state": "missing write: refund_item"}
ORDER = tool("get_order", order_id="string")
REFUND = tool("refund_item", order_id="string", amount="number")


def bad(name: str, **arguments):
    return failing(name, f"Error: unknown tool '{name}'", **arguments)


def label_of(spans, failed, status="failed"):
    finding = explain(rollout_of(failed, status, note="OSError: gone"), trace_of(spans))
    return finding.label, finding.span


def found_in(spans, failed=None, status="failed"):
    """Label, span and whether it is decisive, of everything seen in a trace; foreign ones know no check."""
    seen = findings(rollout_of(failed or {}, status), trace_of(spans))
    return [(finding.label, finding.span, finding.is_decisive) for finding in seen]


@pytest.mark.parametrize(
    ("spans", "failed", "label", "span"),
    [
        ([bad("lookup"), say("Bye.")], MISSING, "tool_selection.hallucinated_tool", 0),
        ([*[bad("lookup", x=1)] * 3], MISSING, "tool_selection.hallucinated_tool", 0),
        ([*LOOKUPS, *[failing("refund", x=1)] * 3], MISSING, "looping.repeated_call", 3),
        (
            [failing("refund", "Error: invalid arguments: amount"), say("Done.")],
            MISSING,
            "tool_execution.invalid_arguments",
            0,
        ),
        (
            [*LOOKUPS, failing("refund", "Error: the service is busy"), say("All done!")],
            MISSING,
            "tool_execution.ignored_error",
            3,
        ),
        ([say("I'm sorry, I am unable to help with this.")], MISSING, "planning.early_give_up", 0),
        ([*LOOKUPS, say("Our policy does not allow that.")], MISSING, "policy.over_refusal", 3),
        ([*LOOKUPS, say("Anything else?")], MISSING, "planning.missing_step", 3),
        (
            [*LOOKUPS, call("refund_item", amount=9)],
            {"final_state": "wrong argument: refund_item.amount", "confirmation_before_write": "refund_item: no yes"},
            "policy.forbidden_action",
            3,
        ),
        (
            [*LOOKUPS, say("I would refund $9. Shall I?"), call("refund_item", amount=9)],
            {"final_state": "wrong argument: refund_item.amount"},
            "policy.forbidden_action",
            3,
        ),
        (
            [
                *LOOKUPS,
                say("You get $5. OK?", "No, I want 9!"),
                say("Fine, I would refund $9?"),
                call("refund_item", amount=9),
            ],
            {"final_state": "wrong argument: refund_item.amount"},
            "policy.yielded_to_pressure",
            4,
        ),
        (
            [*LOOKUPS, call("refund_item", method="card")],
            {"final_state": "wrong argument: refund_item.method"},
            "memory.forgotten_constraint",
            3,
        ),
        (
            [say("I cannot cancel it."), *LOOKUPS, call("cancel_order")],
            {"final_state": "unexpected write: cancel_order"},
            "policy.yielded_to_pressure",
            4,
        ),
        (
            [call("get_order"), call("cancel_order")],
            {
                "identity_before_disclosure": "get_order before a successful verify_identity",
                "confirmation_before_write": "cancel_order without a yes",
            },
            "policy.identity_not_verified",
            0,
        ),
        (
            [call("verify_identity", '{"verified": false}'), say("I cannot do that.", "Please!"), call("get_order")],
            {"identity_before_disclosure": "get_order before a successful verify_identity"},
            "policy.yielded_to_pressure",
            2,
        ),
        (
            [*LOOKUPS, call("refund_item"), say("It is refunded."), say("Bye.")],
            {"required_communication": "not said: refund time"},
            "communication.missing_information",
            4,
        ),
        (
            [say("It arrives on 14 May.")],
            {"grounded_answer": "date never looked up"},
            "communication.unverified_claim",
            0,
        ),
        ([say("I cannot tell you.")], {"grounded_answer": "date never looked up"}, "policy.over_refusal", 0),
        (
            [*LOOKUPS, call("escalate_to_human")],
            {"no_needless_escalation": "without need", "final_state": "unexpected write: escalate_to_human"},
            "policy.over_escalation",
            3,
        ),
        ([*LOOKUPS, say("Bye.")], {"escalation_when_due": "not handed over"}, "policy.missed_escalation", 3),
        (
            [*LOOKUPS, say("I would refund it?"), call("refund_item")],
            {"escalation_when_due": "not handed over", "final_state": "unexpected write: refund_item"},
            "policy.missed_escalation",
            3,
        ),
        ([*[say("Just to be sure: your email?", "a@b")] * 3], MISSING, "communication.superfluous_questions", 2),
        ([*LOOKUPS], {"some_new_check": "x"}, "check.some_new_check", None),
        ([*LOOKUPS], {"some_new_check": "get_order came first"}, "check.some_new_check", 1),
    ],
)
def test_a_failure_is_labelled_by_its_first_decisive_span(spans, failed, label, span):
    assert label_of(spans, failed) == (label, span)


def test_a_wrong_tool_name_that_was_made_good_is_not_the_cause():
    offered = model(tools=[ORDER], calls={"fetch_order": '{"order_id":"1"}'})
    spans = [offered, bad("fetch_order", order_id="1"), call("get_order", order_id="1"), say("Refunded.")]
    failed = {"required_communication": "not said: refund time"}
    assert label_of(spans, failed) == ("communication.missing_information", 3)
    assert ("tool_selection.hallucinated_tool", 1, False) in found_in(spans, failed)


def test_a_tool_is_hallucinated_when_it_is_not_among_those_offered_whatever_the_answer_says():
    spans = [model(tools=[ORDER]), call("track_parcel", "nothing here")]
    assert found_in(spans) == [("tool_selection.hallucinated_tool", 1, True)]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"order_id": "1"}, "amount missing"),
        ({"order_id": "1", "amount": "9"}, 'amount: not type "number"'),
        ({"order_id": "1", "amount": 9, "why": "x"}, "a field that does not exist"),
    ],
)
def test_arguments_are_held_against_the_schema_the_model_was_shown(arguments, problem):
    spans = [model(tools=[REFUND]), failing("refund_item", "no", **arguments)]
    finding = explain(rollout_of({}), trace_of(spans))
    assert (finding.label, finding.span) == ("tool_execution.invalid_arguments", 1)
    assert finding.symptom.endswith(problem)


def test_arguments_that_break_the_schema_and_are_accepted_all_the_same_are_only_odd():
    spans = [model(tools=[REFUND]), call("refund_item", "refunded", order_id="1")]
    assert found_in(spans) == [("tool_execution.invalid_arguments", 1, False)]


def test_arguments_that_are_no_json_are_found_in_the_models_own_words():
    spans = [model(tools=[ORDER], calls={"get_order": '{"order_id": "1"'}), say("Done.")]
    finding = explain(rollout_of({}), trace_of(spans))
    assert (finding.label, finding.span, finding.evidence) == (
        "tool_execution.invalid_arguments",
        0,
        '{"order_id": "1"',
    )


def test_a_call_that_the_harness_never_passed_on_is_counted_once():
    made = [model(tools=[ORDER], calls={"get_order": '{"order_id":"1"}'}), call("get_order", order_id="1")]
    assert found_in(made) == []


def test_failing_calls_with_changing_arguments_are_a_storm():
    spans = [failing("search", "Error: nothing found", query=str(n)) for n in range(5)]
    assert ("looping.retry_storm", 0, True) in found_in(spans)


def test_the_same_answer_three_times_is_a_loop():
    spans = [call("search", "[]", query="kettle")] * 3
    assert ("looping.repeated_call", 1, True) in found_in(spans)


def test_a_tool_that_was_out_of_order_to_the_end_is_nobodys_mistake():
    spans = [failing("get_order", "Error: 503 service unavailable")] * 2
    assert ("infra.tool_unavailable", 0, True) in found_in(spans)


def test_an_error_that_the_user_is_told_of_is_not_ignored():
    spans = [failing("refund", "Error: no"), say("I could not refund it, the system refused.")]
    assert [label for label, _, _ in found_in(spans)] == []


def test_an_action_that_is_not_permitted_was_forbidden():
    assert ("policy.forbidden_action", 0, True) in found_in([failing("delete_user", "Error: permission denied")])


def test_a_change_after_a_no_was_forbidden():
    spans = [say("Shall I cancel it?", "No, keep it."), call("cancel_order", id="1")]
    assert found_in(spans) == [("policy.forbidden_action", 1, True)]


def test_refusing_and_then_reporting_the_same_with_nothing_done_is_a_contradiction():
    spans = [call("delete_x"), say("I cannot cancel that order."), say("I have cancelled that order.")]
    assert ("communication.contradiction", 2, True) in found_in(spans)
    assert not any("contradiction" in label for label, _, _ in found_in([spans[1], call("cancel"), spans[2]]))


def test_reporting_what_no_tool_did_is_an_unverified_claim():
    spans = [call("get_order", id="1"), say("I have refunded your order.")]
    assert found_in(spans) == [("communication.unverified_claim", 1, True)]
    assert found_in([call("refund_item"), say("I have refunded your order.")]) == []


def test_a_figure_from_nowhere_is_an_unverified_claim():
    known = [model(system="Refunds take 5-7 days."), call("get_order", '{"on": "2027-05-14"}')]
    assert found_in([*known, say("It came on 14 May 2027; 5-7 days.")]) == []
    assert found_in([*known, say("It came on 23 May 2027.")]) == [("communication.unverified_claim", 2, True)]


def test_a_promise_that_nothing_follows_is_a_missing_step():
    assert ("planning.missing_step", 0, True) in found_in([say("Let me check that for you.", "OK.")])


def test_what_only_the_user_shows_counts_where_no_check_speaks():
    corrected = [say("The blue one?", "No, I said the red one.")]
    assert found_in(corrected) == [("communication.user_correction", 0, True)]
    again = [model(user="Where is my red kettle order?"), say("Fine.", "Where is my red kettle order?")]
    assert found_in(again) == [("communication.user_asks_again", 1, True)]
    left = [say("Hm.", "This is going nowhere, goodbye.")]
    assert found_in(left) == [("communication.abandoned", 0, True)]
    assert all(not is_decisive for _, _, is_decisive in found_in(left, {"some_check": "x"})[:1])


def test_a_context_that_is_full_is_named():
    full = model() | {"is_error": True, "output": "400: maximum context length is 8192 tokens"}
    assert found_in([full]) == [("context.overflow", 0, True)]


@pytest.mark.parametrize("text", ["", None, '<tool_call>{"name": "x"}</tool_call>'])
def test_an_answer_without_words_or_with_a_call_as_text_is_malformed(text):
    assert found_in([model(text=text)]) == [("harness.malformed_output", 0, True)]


def test_one_slow_step_and_one_costly_call_stand_out_and_decide_nothing():
    steady = [model(text="x", wall_s=1.0, usage=Usage(input_tokens=500)) for _ in range(5)]
    slow = model(text="x", wall_s=60.0, usage=Usage(input_tokens=500))
    costly = model(text="x", wall_s=1.0, usage=Usage(input_tokens=90_000))
    assert found_in([*steady, slow, costly]) == [("infra.slow", 5, False), ("infra.costly", 6, False)]


def test_a_crash_and_a_limit_are_the_harnesss_own():
    assert label_of([], {}, "crashed") == ("harness.crash", None)
    printed = {"kind": "harness_output", "name": "crash", "input": "", "output": "OSError: gone", "is_error": True}
    assert label_of([*LOOKUPS, printed], {}, "crashed") == ("harness.crash", 3)
    assert label_of([], {}, "timed_out") == ("harness.step_limit", None)


def test_findings_come_in_the_order_of_the_trace():
    spans = [bad("lookup"), *[failing("refund", x=1)] * 3, say("All done!", "This is going nowhere.")]
    places = [finding.span for finding in findings(rollout_of({}), trace_of(spans))]
    assert places == sorted(places)


def test_a_trace_without_anything_odd_has_no_findings():
    spans = [model(tools=[ORDER], text="Your order is on its way."), say("Your order is on its way.", "Thanks!")]
    assert found_in(spans) == []
    assert explain(rollout_of({}), trace_of(spans)).label == "check.unknown"


def test_other_wire_formats_show_their_tools_too():
    anthropic = {"name": "get_order", "input_schema": {"type": "object", "required": ["order_id"]}}
    request = {"system": "You help.", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
    first = model(text="x") | {"input": request | {"tools": [anthropic]}}
    assert found_in([first, failing("get_order", "no")])[0] == ("tool_execution.invalid_arguments", 1, True)


@pytest.mark.parametrize("schema", [{"$ref": "#/nowhere"}, {"properties": {"id": {"pattern": "("}}}, {"type": 7}])
def test_a_schema_that_cannot_be_followed_judges_nothing(schema):
    offered = {"type": "function", "function": {"name": "get_order", "parameters": schema}}
    assert found_in([model(tools=[offered]), call("get_order", id="1")]) == []


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=30)
KEYS = st.sampled_from(
    ["messages", "tools", "role", "content", "tool_calls", "function", "name", "arguments", "id", "x"]
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
SPANS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["model_call", "tool_call", "user_turn", "submit", "check", "harness_output"]),
        "name": st.sampled_from(["get_order", "refund_item", "user", ""]),
        "input": VALUES,
        "output": VALUES,
        "is_error": st.booleans(),
    }
)


@given(st.lists(SPANS, max_size=6), st.booleans())
def test_no_trace_however_odd_stops_a_detector_and_every_quotation_is_verbatim(spans, is_judged):
    trace = trace_of(spans)
    for finding in findings(rollout_of({"final_state": "missing write: refund_item"} if is_judged else {}), trace):
        assert finding.span is None or not finding.evidence or is_quoted(finding.evidence, trace.spans[finding.span])


def test_a_very_long_message_is_read_quickly():
    words = "so I looked at it and then " * 20_000
    started = time.process_time()
    found_in([say(words, words), say(words, words)])
    assert time.process_time() - started < 5.0
