"""When a case is believed: pure rules from what was found out about it to the state it is in, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from optimizer.domain.evalcase import CaseState, EvalCase, Verification

_SHOWN = 160
"""Characters of a matched text that a note repeats; the verification holds all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a case needs to be believed."""

    verify_runs: int = 2
    """Repeat runs on the harness that failed, beside the run that was found failing."""
    flaky_rate: float = 0.5
    """Share of repeats, 0.0 to 1.0, above which going against the grain makes a case flaky."""
    duplicate_at: float = 0.8
    """Jaccard similarity of openings, 0.0 to 1.0, from which a case is a near-duplicate."""
    synthetic_share: float = 0.0
    """Most made-up variations in any suite, as a share below 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The state a case deserves, and why."""

    state: CaseState
    note: str


def standing(case: EvalCase, rules: Rules) -> Standing:
    """Judge a case by its verification alone: `candidate`, `verified` or `quarantined`."""
    found = objection(case, rules)
    if found:
        return Standing(state="quarantined", note=found)
    gap = missing(case.verification, rules)
    if gap:
        return Standing(state="candidate", note=gap)
    return Standing(state="verified", note=_believed(case.verification))


def objection(case: EvalCase, rules: Rules) -> str:
    """What speaks against a case; '' when nothing does. A person may override what was found in its text."""
    found = case.verification
    if not found.overridden_by:
        if found.leak:
            return f"occurs in val or test: {_quoted(found.leak)}; a person may admit it under [evals] admit"
        if found.similarity >= rules.duplicate_at and found.nearest_case:
            return f"near-duplicate of case {found.nearest_case} (similarity {found.similarity:.2f})"
    if found.known_good == REFUSED:
        return "unfixable: its check refuses the benchmark's own gold run"
    if is_flaky(found, rules):
        against = found.n_failing_runs - found.n_failing
        return f"flaky: passes {against} of {found.n_failing_runs} runs on the harness that failed"
    return ""


REFUSED = "gold refused"
"""`Verification.known_good` of a case whose check does not even accept the benchmark's gold run."""


def is_flaky(found: Verification, rules: Rules) -> bool:
    """Whether the repeats contradict the failure too often. The run that was found failing is no evidence of it."""
    repeats = found.n_failing_runs - 1
    if repeats < rules.verify_runs or repeats < 1:
        return False
    return (found.n_failing_runs - found.n_failing) / repeats > rules.flaky_rate


def missing(found: Verification, rules: Rules) -> str:
    """What is not known yet of a case that nothing speaks against; '' when it can be believed."""
    repeats = found.n_failing_runs - 1
    if repeats < rules.verify_runs:
        return f"failed {found.n_failing} of {found.n_failing_runs}; {rules.verify_runs} repeats are needed"
    if not found.known_good:
        return "no run is known that its check accepts"
    return ""


def lacking_runs(found: Verification, rules: Rules) -> int:
    """Repeat runs that are still to be made on the harness that failed."""
    return max(0, rules.verify_runs - (found.n_failing_runs - 1))


def judged(case: EvalCase, rules: Rules) -> EvalCase:
    """The case in the state it deserves."""
    deserved = standing(case, rules)
    return replace(case, state=deserved.state, note=deserved.note)


def _believed(found: Verification) -> str:
    by = f"; admitted by {found.overridden_by}" if found.overridden_by else ""
    return f"failed {found.n_failing} of {found.n_failing_runs}, its check accepts {found.known_good}{by}"


def _quoted(text: str) -> str:
    return f"“{text if len(text) <= _SHOWN else text[:_SHOWN] + '...'}”"
