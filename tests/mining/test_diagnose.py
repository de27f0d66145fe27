"""Failure records: complete, quoted, and on helpdesk near the truth."""

from __future__ import annotations

import pytest

from optimizer.domain.trace import Usage
from optimizer.mining.detectors.wire import is_quoted
from optimizer.mining.diagnose import diagnose
from optimizer.mining.taxonomy import default_taxonomy
from tests.mining.bench_helpdesk import BARS, leakage, rows_of, share, v_measure
from tests.mining.rehearsed import stage
from tests.mining.traces import call, failing, model, rollout_of, say, tool, trace_of

TOOLS = [tool("get_order", order_id="string"), tool("refund_item", order_id="string")]


def record(spans, failed=None, status="failed", note=""):
    return diagnose(rollout_of(failed or {}, status, note), trace_of(spans))


def test_a_record_says_what_where_why_and_what_should_have_been():
    first = model(tools=TOOLS, usage=Usage(input_tokens=700))
    spans = [first, call("get_order", order_id="1"), say("A moment.", "OK."), call("refund_item", order_id="1")]
    failure = record(spans, {"confirmation_before_write": "refund_item without the customer's yes"})
    assert failure.label == "policy.no_confirmation"
    assert (failure.span, failure.evidence, failure.check) == (3, '{"order_id":"1"}', "confirmation_before_write")
    assert failure.signature == "policy.no_confirmation |  |  | no yes before the change"
    assert (failure.signal, failure.rung, failure.diagnosed_by) == ("check_failed", "control_flow", "detectors")
    assert failure.expected == default_taxonomy().expected_of("policy.no_confirmation")
    assert (failure.context.n_messages, failure.context.n_tool_calls) == (2, 1)
    assert failure.context.n_prompt_tokens == 700
    assert failure.context.tools == ("get_order", "refund_item")


@pytest.mark.parametrize(
    ("spans", "failed", "status", "signal"),
    [
        ([], {"final_state": "missing write: x"}, "failed", "check_failed"),
        ([], {"final_state": "missing write: x"}, "timed_out", "hard_error"),
        ([failing("get_order", "Error: unknown tool"), say("Bye.")], {}, "failed", "hard_error"),
        ([say("It is blue.", "No, I said red.")], {}, "failed", "user_correction"),
        ([say("Hm.", "Forget it.")], {}, "failed", "abandonment"),
        ([say("It costs $4711.")], {}, "failed", "judge_fail"),
    ],
)
def test_the_signal_is_how_the_failure_came_to_notice(spans, failed, status, signal):
    assert record(spans, failed, status).signal == signal


def test_equal_causes_have_equal_signatures_whatever_the_task_is_about():
    one = record([failing("get_it", "Error: unknown tool 'get_it'"), say("Bye.")], {"final_state": "missing write: a"})
    two = record([failing("send_x", "Error: unknown tool 'send_x'"), say("Bye.")], {"final_state": "missing write: b"})
    assert one.signature == two.signature


def test_a_failure_without_a_single_clue_is_still_a_record():
    failure = record([], {}, note="nothing")
    assert (failure.label, failure.span, failure.evidence) == ("check.unknown", None, "")


@pytest.mark.anyio
async def test_every_helpdesk_failure_quotes_its_span_word_for_word():
    with stage(seed=3) as scene:
        takes = [await scene.run(task, 0) for task in scene.train()]
    failed = [take for take in takes if not take.rollout.is_pass]
    assert len(failed) > 20
    for take in failed:
        failure = diagnose(take.rollout, take.trace)
        assert failure.span is not None
        assert is_quoted(failure.evidence, take.trace.spans[failure.span]), failure


@pytest.mark.anyio
async def test_the_first_decisive_step_is_found_on_helpdesk():
    rows = await rows_of(seed=3, trials=1)
    labels = [row.failure.label for row in rows]
    assert share([row.distance is not None and row.distance <= 1 for row in rows]) >= BARS["within one step"]
    assert v_measure(rows, labels) >= BARS["V-measure"]
    assert leakage(rows, labels) <= BARS["ARI to family"]
