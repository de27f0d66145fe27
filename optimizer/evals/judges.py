"""A judge made of a model and a rubric: pass, fail or unsure, with a quotation that is checked against the run.

It never sees what the benchmark's checks said. A verdict whose quotation does not stand in the run is refused; refused
twice it counts as unsure, and unsure never counts as a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from optimizer.domain.json import content_hash
from optimizer.domain.model import LanguageModel, ModelReply, ModelTool
from optimizer.domain.trace import Trace, Usage
from optimizer.evals.judging import Calibration, Opinion, Rubric
from optimizer.models.asking import ANSWER_SHAPE, DATA_RULE, Question, UnusableAnswerError, answer_of, put, quoted
from optimizer.models.transcript import MAX_CHARACTERS, is_verbatim, transcript

Label = Literal["pass", "fail", "unsure"]
Order = tuple[Literal["pass", "fail"], Literal["pass", "fail"]]
USUAL_ORDER: Order = ("pass", "fail")
PROMPT_VERSION = "1"
"""Part of a judge's identity: changes with the words below, which makes every calibration stale."""
TOOL_NAME = "submit_verdict"
SYSTEM = f"""\
You judge a recorded run of a language model agent by one rubric, and by nothing else: not by length, politeness or
confidence. Quote, word for word, the words of one span that decide. Say "unsure" when the run does not show it.

Your quotation is compared with the span in code; one that does not stand there word for word is refused.

{DATA_RULE}"""


class _Submitted(BaseModel):
    model_config = ANSWER_SHAPE

    span: Annotated[int, Field(ge=0, lt=10**6)]
    evidence: Annotated[str, Field(min_length=1, max_length=2000)]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    verdict: Label
    confidence: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a judge says about a run."""

    label: Label
    evidence: str
    """Words of the run, verbatim; '' when unsure because every answer was refused."""
    span: int | None
    reason: str
    confidence: float
    """0.0 to 1.0, as the judge says."""
    usage: Usage = Usage()
    """What asking cost, refused answers included."""


class ModelJudge:
    """Judges by asking a model; satisfies `optimizer.evals.judging.Judge`."""

    def __init__(
        self,
        model: LanguageModel,
        *,
        calibrations: Mapping[str, Calibration] | None = None,
        order: Order = USUAL_ORDER,
        max_output_tokens: int = 1024,
    ) -> None:
        """`calibrations`: by rubric name, those that still hold; without its own a judge may not gate.

        `order` is the order in which the two verdicts are offered, which a judge should not care about.
        """
        self.name = judge_name(model.name)
        self._model = model
        self._calibrations = dict(calibrations or {})
        self._order = order
        self._max_output_tokens = max_output_tokens

    def identity(self, rubric: Rubric) -> str:
        """What a calibration is a calibration of."""
        return judge_identity(self.name, rubric)

    def calibration(self, rubric: Rubric) -> Calibration | None:
        """Its agreement with people on this rubric; None when there is none that holds."""
        return self._calibrations.get(rubric.name)

    async def judge(self, rubric: Rubric, trace: Trace) -> Opinion:
        """Judge one run; an unsure one does not hold, with confidence 0. Raises ModelUnavailableError."""
        verdict = await self.verdict(rubric, trace)
        return Opinion(
            holds=verdict.label == "pass",
            confidence=0.0 if verdict.label == "unsure" else verdict.confidence,
            evidence=verdict.evidence,
            usage=verdict.usage,
        )

    async def verdict(self, rubric: Rubric, trace: Trace) -> Verdict:
        """Judge one run, with reasons. Raises ModelUnavailableError."""
        shown = without_checks(trace)
        given = await put(
            self._model,
            verdict_question(rubric, shown, self._order),
            lambda reply: _read(reply, shown, self._order),
            max_output_tokens=self._max_output_tokens,
        )
        if given.answer is not None:
            return replace(given.answer, usage=given.usage)
        reasons = "; ".join(one.reason for one in given.refused)
        return Verdict(label="unsure", evidence="", span=None, reason=reasons[:1000], confidence=0.0, usage=given.usage)


def judge_name(model: str) -> str:
    """Name of the judge that asks this model."""
    return f"model/{model}"


def judge_identity(judge: str, rubric: Rubric) -> str:
    """16 hex digits of judge, prompt and rubric text: a calibration of another identity is void."""
    return content_hash(judge, PROMPT_VERSION, rubric.name, rubric.text)


def without_checks(trace: Trace) -> Trace:
    """The run as a judge may see it: the benchmark's own verdicts would give the answer away."""
    return Trace(spans=tuple(span for span in trace.spans if span.kind != "check"))


def verdict_question(rubric: Rubric, trace: Trace, order: Order = USUAL_ORDER) -> Question:
    """Write the question about one run."""
    run = transcript(trace)
    mark = content_hash("judge", rubric.name, run, length=8)
    meaning = {"pass": '"pass" if the rubric holds', "fail": '"fail" if it does not'}
    user = "\n\n".join(
        [
            f"# Rubric {rubric.name}\n\n{rubric.text.strip()}",
            f"# The run\n\n{quoted(mark, 'run', run, limit=2 * MAX_CHARACTERS)}",
            f'Judge with {TOOL_NAME}: {", ".join(meaning[one] for one in order)}, or "unsure".',
        ]
    )
    return Question(system=SYSTEM, user=user, tool=_tool(order))


def _tool(order: Order) -> ModelTool:
    return ModelTool(
        name=TOOL_NAME,
        description="Hand in your verdict.",
        parameters={
            "type": "object",
            "properties": {
                "span": {"type": "integer", "minimum": 0, "description": "Number of the deciding span."},
                "evidence": {"type": "string", "description": "Words of that span, verbatim, 8 to 500 characters."},
                "reason": {"type": "string", "description": "Why these words decide, one sentence."},
                "verdict": {"type": "string", "enum": [*order, "unsure"]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["span", "evidence", "reason", "verdict", "confidence"],
            "additionalProperties": False,
        },
    )


def _read(reply: ModelReply, trace: Trace, order: Order) -> Verdict:
    said = answer_of(reply, _tool(order), _Submitted)
    if not is_verbatim(trace, said.span, said.evidence):
        raise UnusableAnswerError(
            "misquoted", f"span {said.span} does not say {said.evidence[:200]!r}; quote it word for word"
        )
    return Verdict(
        label=said.verdict, evidence=said.evidence, span=said.span, reason=said.reason, confidence=said.confidence
    )
