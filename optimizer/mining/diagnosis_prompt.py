"""What a diagnosing model is told: the run, the classes, and what the detectors think."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.domain.failure import Failure
from optimizer.domain.json import JsonObject, content_hash
from optimizer.domain.model import ModelTool
from optimizer.domain.trace import Trace
from optimizer.mining.taxonomy import Taxonomy
from optimizer.models.asking import DATA_RULE, Question, quoted
from optimizer.models.transcript import MAX_CHARACTERS, transcript

UNKNOWN = "unknown"
"""What a model answers when no class fits; such failures are what new classes are made from."""
SYSTEM = f"""\
You find out why a run of a language model agent failed. You are shown the recorded run, the classes of failures this
team knows, and what simple detectors made of it, which may be wrong.

Find the FIRST decisive step: the earliest span after which the run could not end well unless something was made good.
Quote it word for word. Say why it went wrong, what the agent should have done, and what small change of the harness
around the model (never the model itself) would most cheaply prevent it in general. Hand in one diagnosis.

Your quotation is compared with the span in code; one that does not stand there word for word is refused. Use a class
from the list, or "{UNKNOWN}" when none fits.

{DATA_RULE}"""
_LINE: JsonObject = {"type": "string", "maxLength": 400}
SUBMIT_DIAGNOSIS = ModelTool(
    name="submit_diagnosis",
    description="Hand in your diagnosis of this run.",
    parameters={
        "type": "object",
        "properties": {
            "span": {"type": "integer", "minimum": 0, "description": "Number of the first decisive span."},
            "evidence": {"type": "string", "description": "Words of that span, verbatim, 8 to 500 characters."},
            "label": {"type": "string", "description": f"Id of a class from the list, or {UNKNOWN}."},
            "cause": {**_LINE, "description": "Root cause, one sentence, without names, numbers or ids of this run."},
            "expected": {**_LINE, "description": "What the agent should have done, one sentence."},
            "intervention": {**_LINE, "description": "Smallest change of the harness that prevents it, one sentence."},
            "rung": {
                "type": "string",
                "enum": ["prompt", "tool", "context", "control_flow", "fine_tune"],
                "description": "Cheapest place for that change: wording; a tool; what is kept and shown of context and "
                "memory; code around the calls; or only training the model.",
            },
        },
        "required": ["span", "evidence", "label", "cause", "expected", "intervention", "rung"],
        "additionalProperties": False,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownClass:
    """A class of the taxonomy, as far as a model needs it."""

    id: str
    title: str
    expected: str = ""
    severity: float = 0.5


def known_classes(taxonomy: Taxonomy) -> tuple[KnownClass, ...]:
    """The classes of a taxonomy, in its order."""
    return tuple(
        KnownClass(id=one.id, title=one.title, expected=one.expected, severity=one.severity)
        for one in taxonomy.classes.values()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A failure that is to be diagnosed."""

    failure: Failure
    trace: Trace
    """Redacted: what is shown, and what quotations are checked against."""


def diagnosis_question(patient: Patient, classes: Sequence[KnownClass]) -> Question:
    """Write the question about one failure."""
    failure = patient.failure
    mark = content_hash("diagnosis", failure.id, length=8)
    run = transcript(patient.trace, focus=failure.span)
    finding = (
        f"class: {failure.label}\nspan: {'unknown' if failure.span is None else failure.span}\n"
        f"seen: {failure.symptom}\npresumed cause: {failure.cause}\nquoted: {failure.evidence}"
    )
    listed = "\n".join(f"- {one.id}: {one.title}" for one in classes)
    sections = (
        f"# The run\n\n{quoted(mark, 'run', run, limit=2 * MAX_CHARACTERS)}",
        f"# What the detectors think\n\n{quoted(mark, 'finding', finding, limit=3000)}",
        f"# Classes\n\n{quoted(mark, 'classes', listed, limit=16_000)}",
        "Diagnose this run with submit_diagnosis.",
    )
    return Question(system=SYSTEM, user="\n\n".join(sections), tool=SUBMIT_DIAGNOSIS)
