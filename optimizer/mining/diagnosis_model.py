"""Diagnosis by a model, on top of the detectors: asked at most twice, believed only with a quotation that is there."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.domain.model import LanguageModel
from optimizer.mining.diagnosis_prompt import KnownClass, Patient, diagnosis_question
from optimizer.mining.diagnosis_reply import Diagnosis, read_diagnosis
from optimizer.models.asking import Answered, put


async def diagnose_by_model(
    model: LanguageModel, patient: Patient, classes: Sequence[KnownClass], *, max_output_tokens: int = 2048
) -> Answered[Diagnosis]:
    """Ask a model for the root cause of one failure. Raises ModelUnavailableError."""
    return await put(
        model,
        diagnosis_question(patient, classes),
        lambda reply: read_diagnosis(reply, patient.trace, classes),
        max_output_tokens=max_output_tokens,
    )
