"""A short name for a cluster, by a model that reads its most typical failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from optimizer.domain.failure import Failure
from optimizer.domain.json import content_hash
from optimizer.domain.model import LanguageModel, ModelReply, ModelTool
from optimizer.models.asking import (
    ANSWER_SHAPE,
    DATA_RULE,
    Answered,
    Question,
    UnusableAnswerError,
    answer_of,
    put,
    quoted,
)

MAX_NAME_CHARACTERS = 60
MAX_SHOWN = 5
SYSTEM = f"""\
You name a cluster of failures of a language model agent. Say in at most eight words what the agent does wrong, in the
past tense and lower case, such as "changed something without a yes". Name what the failures share, never a customer, a
product, a number or the topic of the conversation.

{DATA_RULE}"""
SUBMIT_NAME = ModelTool(
    name="submit_name",
    description="Hand in the cluster's name.",
    parameters={
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": MAX_NAME_CHARACTERS}},
        "required": ["name"],
        "additionalProperties": False,
    },
)


class _Submitted(BaseModel):
    model_config = ANSWER_SHAPE

    name: Annotated[str, Field(min_length=3, max_length=MAX_NAME_CHARACTERS)]


def naming_question(label: str, title: str, medoids: Sequence[Failure]) -> Question:
    """Write the question about one cluster; what is quoted of the failures must be redacted."""
    shown = medoids[:MAX_SHOWN]
    mark = content_hash("name", *(failure.id for failure in shown), length=8)
    quotes = [
        quoted(mark, "failure", f"seen: {one.symptom}\ncause: {one.cause}\nquoted: {one.evidence}", limit=800)
        for one in shown
    ]
    user = "\n\n".join([f"# The cluster: class {label} ({title})", *quotes, "Name it with submit_name."])
    return Question(system=SYSTEM, user=user, tool=SUBMIT_NAME)


async def name_by_model(
    model: LanguageModel, label: str, title: str, medoids: Sequence[Failure], *, max_output_tokens: int = 256
) -> Answered[str]:
    """Ask a model for a name. Raises ModelUnavailableError."""
    question = naming_question(label, title, medoids)
    return await put(model, question, _read, max_output_tokens=max_output_tokens)


def _read(reply: ModelReply) -> str:
    name = answer_of(reply, SUBMIT_NAME, _Submitted).name
    if "\n" in name or not name.isprintable() or any(mark in name for mark in "<>{}`"):
        raise UnusableAnswerError("shape", "a name is one line of plain words")
    return name
