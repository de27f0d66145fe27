"""What a diagnosing model sees of a failure: its run and its words, personal values as pseudonyms that join."""

from __future__ import annotations

from dataclasses import replace

from optimizer.campaign.diagnosing import Redact
from optimizer.mining.diagnosis_prompt import Patient
from optimizer.telemetry.redact import Redactor


def redacting(redactor: Redactor) -> Redact:
    """Redact failures under one key. The same key gives the same words, which a resumed campaign relies on."""

    def redact(patient: Patient) -> Patient:
        failure = patient.failure
        knowing = redactor.knowing(part for span in patient.trace.spans for part in (span.input, span.output))
        hidden = replace(
            failure,
            signature=knowing.text(failure.signature),
            symptom=knowing.text(failure.symptom),
            cause=knowing.text(failure.cause),
            evidence=knowing.text(failure.evidence),
            expected=knowing.text(failure.expected),
        )
        return Patient(failure=hidden, trace=knowing.trace(patient.trace))

    return redact
