"""Runs that people have labelled, and a provider that judges them by script."""

from __future__ import annotations

from typing import Literal

from optimizer.domain.json import Json
from optimizer.domain.trace import Span, Trace
from optimizer.evals.calibration import LabelledRun
from optimizer.evals.judging import Rubric
from tests.models.own_models import call
from tests.models.wire_server import Scripted

RUBRIC = Rubric(name="polite", text="Does the agent thank the customer?")


def run(number: int, label: Literal["pass", "fail"] = "pass") -> LabelledRun:
    words = f"Thank you for case {number}." if label == "pass" else f"Bye, case {number}."
    spans = (
        Span(index=0, kind="user_turn", name="user", input=words, output="Fine."),
        Span(index=1, kind="check", name="final_state", input="the gold answer differs", output=False),
    )
    return LabelledRun(id=f"r{number}", trace=Trace(spans=spans), label=label)


def runs(n_good: int, n_bad: int) -> tuple[LabelledRun, ...]:
    good = tuple(run(n) for n in range(n_good))
    return good + tuple(run(n_good + n, "fail") for n in range(n_bad))


def verdict(label: str, **changes: Json) -> Scripted:
    said: dict[str, Json] = {"span": 0, "evidence": "Fine.", "reason": "so it is", "verdict": label, "confidence": 0.9}
    return call("submit_verdict", {**said, **changes})
