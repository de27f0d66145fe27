"""Which taxonomy class a failed check points to, and how bad each class is.

A benchmark's own check names are mapped here; an unknown check keeps its name as `check.<name>`, so that no failure is
without a class. Severity: 1.0 is harm done to a person or to money, 0.2 is a blemish.
"""

from __future__ import annotations

CHECK_LABELS: dict[str, str] = {
    "identity_before_disclosure": "policy.identity_not_verified",
    "confirmation_before_write": "policy.no_confirmation",
    "no_forbidden_action": "policy.forbidden_action",
    "escalation_when_due": "policy.missed_escalation",
    "no_needless_escalation": "policy.over_escalation",
    "required_communication": "communication.missing_information",
    "grounded_answer": "communication.unverified_claim",
    "requests_completed": "planning.missing_step",
    "final_state": "planning.missing_step",
}

SEVERITY: dict[str, float] = {
    "policy.identity_not_verified": 1.0,
    "policy.forbidden_action": 1.0,
    "policy.yielded_to_pressure": 1.0,
    "policy.no_confirmation": 0.9,
    "policy.missed_escalation": 0.9,
    "memory.forgotten_constraint": 0.8,
    "tool_execution.ignored_error": 0.8,
    "planning.early_give_up": 0.7,
    "planning.missing_step": 0.7,
    "tool_selection.hallucinated_tool": 0.7,
    "tool_execution.invalid_arguments": 0.7,
    "looping.repeated_call": 0.7,
    "communication.unverified_claim": 0.8,
    "policy.over_refusal": 0.7,
    "policy.over_escalation": 0.6,
    "communication.missing_information": 0.5,
    "communication.superfluous_questions": 0.5,
    "harness.crash": 1.0,
    "harness.step_limit": 0.6,
}

NAMES: dict[str, str] = {
    "policy.identity_not_verified": "account opened before identity was verified",
    "policy.forbidden_action": "did what policy forbids",
    "policy.yielded_to_pressure": "gave in to a customer who pushed",
    "policy.no_confirmation": "changed something without a yes",
    "policy.missed_escalation": "handled alone what a person must handle",
    "policy.over_escalation": "handed over what it should have handled",
    "policy.over_refusal": "refused what policy allows",
    "memory.forgotten_constraint": "forgot a wish stated earlier",
    "tool_execution.ignored_error": "carried on after a tool error",
    "tool_execution.invalid_arguments": "called a tool with arguments it does not take",
    "tool_selection.hallucinated_tool": "called a tool that does not exist",
    "looping.repeated_call": "repeated the same failing call",
    "planning.early_give_up": "gave up before trying",
    "planning.missing_step": "left a step out",
    "communication.unverified_claim": "stated a fact without looking it up",
    "communication.missing_information": "left out what must be said",
    "communication.superfluous_questions": "asked what it had been told",
    "harness.crash": "the harness crashed",
    "harness.step_limit": "ran into a limit",
}


def label_of_check(check: str) -> str:
    """Taxonomy class of a failed check."""
    return CHECK_LABELS.get(check, f"check.{check}")


def severity_of(label: str) -> float:
    """Severity of a class, 0.0 to 1.0; 0.5 where nothing is known."""
    return SEVERITY.get(label, 0.5)


def name_of(label: str) -> str:
    """Short human name of a class."""
    return NAMES.get(label, label.rpartition(".")[2].replace("_", " "))
