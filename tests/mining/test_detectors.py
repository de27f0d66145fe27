"""Each detector on a small trace made for it, and the choice between several."""

from __future__ import annotations

import pytest

from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Check, Task
from optimizer.domain.trace import Span, Trace, Usage
from optimizer.mining.detectors import explain
from optimizer.mining.taxonomy import NAMES, SEVERITY

TASK = Task(id="train-1", split="train", group="g")


def call(name: str, output: str, *, is_error: bool = False, **arguments: object):
    return {"kind": "tool_call", "name": name, "input": arguments, "output": output, "is_error": is_error}


def say(words: str, reply: str = "Yes."):
    return {"kind": "user_turn", "name": "user", "input": words, "output": reply}


def bad(name: str, **arguments: object):
    return call(name, f"Error: unknown tool '{name}'", is_error=True, **arguments)


def label_of(spans, failed: dict[str, str], status: str = "failed") -> tuple[str, int | None]:
    trace = Trace(spans=tuple(Span(index=i, **span) for i, span in enumerate(spans)))
    rollout = Rollout(
        job=RolloutJob(tree="t" * 40, task=TASK, purpose="mine", trial=0),
        status=status,
        score=0.0,
        checks=tuple(Check(name=name, is_passed=False, detail=detail) for name, detail in failed.items()),
        usage=Usage(),
        trace_sha=None,
        note="OSError: gone",
        sandbox_level="fake",
        wall_s=0.0,
        cpu_s=0.0,
    )
    finding = explain(rollout, trace)
    return finding.label, finding.span


LOOKUPS = [call("find_customer", "{}", email="a@b"), call("get_order", "{}", id="1"), call("get_item", "{}", id="2")]
MISSING = {"final_state": "missing write: refund_item"}


@pytest.mark.parametrize(
    ("spans", "failed", "label", "span"),
    [
        ([bad("lookup"), say("Bye.")], MISSING, "tool_selection.hallucinated_tool", 0),
        ([*[bad("lookup", x=1)] * 3], MISSING, "looping.repeated_call", 0),
        (
            [call("refund", "Error: invalid arguments: amount", is_error=True), say("Done.")],
            MISSING,
            "tool_execution.invalid_arguments",
            0,
        ),
        (
            [*LOOKUPS, call("refund", "Error: the service is busy", is_error=True), say("All done!")],
            MISSING,
            "tool_execution.ignored_error",
            3,
        ),
        ([say("I'm sorry, I am unable to help with this.")], MISSING, "planning.early_give_up", 0),
        ([*LOOKUPS, say("Our policy does not allow that.")], MISSING, "policy.over_refusal", 3),
        ([*LOOKUPS, say("Anything else?")], MISSING, "planning.missing_step", None),
        (
            [*LOOKUPS, call("refund_item", "{}", amount=9)],
            {"final_state": "wrong argument: refund_item.amount", "confirmation_before_write": "refund_item: no yes"},
            "policy.forbidden_action",
            3,
        ),
        (
            [*LOOKUPS, call("refund_item", "{}", method="card")],
            {"final_state": "wrong argument: refund_item.method"},
            "memory.forgotten_constraint",
            3,
        ),
        (
            [say("I cannot cancel it."), *LOOKUPS, call("cancel_order", "{}")],
            {"final_state": "unexpected write: cancel_order"},
            "policy.yielded_to_pressure",
            4,
        ),
        (
            [call("get_order", "{}"), call("cancel_order", "{}")],
            {
                "identity_before_disclosure": "get_order before a successful verify_identity",
                "confirmation_before_write": "cancel_order without a yes",
            },
            "policy.identity_not_verified",
            0,
        ),
        ([*LOOKUPS], {"required_communication": "not said: refund time"}, "communication.missing_information", None),
        ([*LOOKUPS], {"grounded_answer": "carrier"}, "communication.unverified_claim", None),
        (
            [*LOOKUPS, call("escalate_to_human", "{}")],
            {"no_needless_escalation": "without need", "final_state": "unexpected write: escalate_to_human"},
            "policy.over_escalation",
            3,
        ),
        ([*LOOKUPS], {"escalation_when_due": "not handed over"}, "policy.missed_escalation", None),
        ([*[say("Just to be sure: your email?", "a@b")] * 3], MISSING, "communication.superfluous_questions", 2),
        ([*LOOKUPS], {"some_new_check": "x"}, "check.some_new_check", None),
    ],
)
def test_a_failure_is_labelled_by_its_first_decisive_span(spans, failed, label, span):
    assert label_of(spans, failed) == (label, span)


def test_a_wrong_tool_name_that_was_made_good_is_not_the_cause():
    spans = [bad("lookup"), *LOOKUPS, say("Refunded.")]
    assert (
        label_of(spans, {"required_communication": "not said: refund time"})[0] == "communication.missing_information"
    )


def test_a_crash_and_a_limit_are_the_harnesss_own():
    assert label_of([], {}, "crashed")[0] == "harness.crash"
    assert label_of([], {}, "timed_out")[0] == "harness.step_limit"


def test_every_named_class_has_a_severity_between_zero_and_one():
    assert set(NAMES) == set(SEVERITY)
    assert all(0 < severity <= 1 for severity in SEVERITY.values())
