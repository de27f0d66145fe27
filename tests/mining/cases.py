"""A failed run with something to quote, and what a model may say about it."""

from __future__ import annotations

from optimizer.domain.failure import Failure
from optimizer.domain.json import Json
from optimizer.domain.trace import Span, Trace
from optimizer.mining.diagnosis_prompt import KnownClass, Patient

CLASSES = (
    KnownClass(id="planning.missing_step", title="left a step out", severity=0.7),
    KnownClass(id="policy.no_confirmation", title="changed something without a yes", severity=0.9),
)


def trace(*, said: str = "I want my money back.", result: str = '{"refunded": 40.0}') -> Trace:
    return Trace(
        spans=(
            Span(index=0, kind="user_turn", name="user", input="How can I help?", output=said),
            Span(
                index=1,
                kind="model_call",
                name="sim",
                input={"messages": [{"role": "system", "content": "Be kind."}]},
                output={"role": "assistant", "content": "I shall refund it at once."},
            ),
            Span(index=2, kind="tool_call", name="refund", input={"order": "#7", "amount": 40}, output=result),
            Span(index=3, kind="submit", name="submit", input="Your money is on its way.", output=""),
            Span(index=4, kind="check", name="final_state", input="order #7 differs", output=False),
        )
    )


def failure(number: int = 1, *, label: str = "planning.missing_step", span: int | None = 3) -> Failure:
    return Failure(
        id=f"f{number}",
        rollout_id=f"r{number}",
        task_id=f"t{number}",
        tree="t",
        signal="check_failed",
        label=label,
        symptom="left a step out",
        cause="left a step out",
        evidence="Your money is on its way.",
        span=span,
        severity=0.7,
        signature=f"{label} |  |  | left a step out",
    )


def patient(number: int = 1, **changes: str) -> Patient:
    return Patient(failure=failure(number), trace=trace(**changes))


def said(**changes: Json) -> dict[str, Json]:
    """A good diagnosis that agrees with the detectors about nothing but the run."""
    return {
        "span": 2,
        "evidence": '"amount":40',
        "label": "policy.no_confirmation",
        "cause": "It refunds before the customer has confirmed.",
        "expected": "Read the refund back and wait for a yes.",
        "intervention": "Refuse write tools until the user has said yes.",
        "rung": "control_flow",
        **changes,
    }
