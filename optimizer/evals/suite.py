"""The regression suite: train tasks that once failed and are solved now, kept for ever as checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from optimizer.domain.evalcase import EvalCase, Verification
from optimizer.domain.failure import Failure
from optimizer.domain.json import content_hash
from optimizer.evals.admission import Rules, judged, lacking_runs, objection, standing
from optimizer.evals.selection import choose, within_share, without_repeats

QUARANTINE_BELOW = 0.5
"""A case that passes less often than this on accepted versions is no witness of anything."""
READMIT_RUNS = 3
"""Runs on accepted versions that all have to pass before a flaky case counts again."""
LEAST_WEIGHT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How an accepted version did on the task of a case."""

    n: int
    """Measured runs."""
    n_passes: int
    """Runs that solved the whole task."""
    n_held: int
    """Runs in which the case's own check held, whatever else went wrong."""


class Suite:
    """All eval cases of a campaign. A change yields the superseding case, for the ledger; nothing is dropped."""

    def __init__(self, *, limit: int, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self._limit = limit
        self._cases: dict[str, EvalCase] = {}
        self._since: dict[str, tuple[int, int]] = {}
        """Passes and runs since its quarantine, of each case that was active before."""

    def __iter__(self) -> Iterator[EvalCase]:
        """Cases in the order they were made."""
        return iter(self._cases.values())

    def get(self, case_id: str) -> EvalCase | None:
        """A case as it stands; None when there is none of this id."""
        return self._cases.get(case_id)

    def of_task(self, task_id: str) -> tuple[EvalCase, ...]:
        """All cases of a task."""
        return tuple(case for case in self._cases.values() if case.task_id == task_id)

    def open_of(self, cluster_id: int) -> tuple[EvalCase, ...]:
        """Cases of a cluster that may still join."""
        return tuple(c for c in self._cases.values() if c.cluster_id == cluster_id and self._is_open(c))

    def draft(self, case: EvalCase) -> tuple[EvalCase, ...]:
        """Keep a new case in the state its findings deserve; none when it is kept already."""
        return () if case.id in self._cases else (self._put(judged(case, self.rules)),)

    def verify(self, case_id: str, found: Verification) -> tuple[EvalCase, ...]:
        """Judge a case anew that has not joined yet, by what is known of it now; none when nothing changed."""
        case = self._cases[case_id]
        if case.verification == found or not self._is_open(case):
            return ()
        return (self._put(judged(replace(case, verification=found), self.rules)),)

    def lacking(self, case: EvalCase, tally: Tally) -> int:
        """Repeat runs to pay for on the harness that failed: only of a case that would join but for them."""
        would_join = tally.n > 0 and max(tally.n_passes, tally.n_held) == tally.n
        return lacking_runs(case.verification, self.rules) if would_join and not objection(case, self.rules) else 0

    def promote(self, case_id: str, tally: Tally) -> tuple[EvalCase, ...]:
        """Judge a case that has not joined by the runs of an accepted version on its task.

        A verified case whose runs all pass becomes active. One whose own check always held while something else
        went wrong becomes active for that check alone, in the deterministic layer.
        """
        case = self._cases[case_id]
        if not tally.n or not self._is_open(case):
            return ()
        return (self._put(_promoted(case, tally, self.rules)),)

    def observe(self, runs: Mapping[str, tuple[int, int]]) -> tuple[EvalCase, ...]:
        """Update pass rates from (passes, measured runs) of accepted versions, by case id.

        A case that became flaky is set aside with the reason, and comes back when it is stable again.
        """
        changed = []
        for case_id, (passes, n) in runs.items():
            case = self._cases.get(case_id)
            if n and case is not None and (case.state == "active" or case_id in self._since):
                changed.append(self._put(self._observed(case, passes, n)))
        return tuple(changed)

    def reopened(self, cluster_id: int, words: str) -> tuple[EvalCase, ...]:
        """Say on the cases of a cluster that it was reopened."""
        mine = [case for case in self._cases.values() if case.cluster_id == cluster_id]
        return tuple(self._put(replace(case, note=f"{words}; {_without_reopening(case.note)}")) for case in mine)

    def active(self) -> tuple[EvalCase, ...]:
        """What the gate runs: at most `limit` cases, the cheap layers first, chosen by weight and slices."""
        return choose(self.kept(), limit=self._limit, synthetic_share=self.rules.synthetic_share)

    def kept(self) -> tuple[EvalCase, ...]:
        """The whole regression suite: every active case that no other covers, made-up ones up to their share."""
        cases = without_repeats(case for case in self._cases.values() if case.state == "active")
        share = self.rules.synthetic_share
        n_real = sum(case.synthetic_of is None for case in cases)
        return within_share(cases, int(share * n_real / (1 - share) + 1e-9))

    def has_room_for_synthetic(self) -> bool:
        """Whether one more made-up case stays within its share of the regression suite."""
        n_synthetic = sum(case.synthetic_of is not None for case in self._cases.values() if case.state != "quarantined")
        n_active = sum(case.state == "active" and case.synthetic_of is None for case in self._cases.values())
        return n_synthetic + 1 <= self.rules.synthetic_share * (n_active + n_synthetic + 1)

    def pinned(self, task_ids: Sequence[str]) -> tuple[EvalCase, ...]:
        """Cases for pinned tasks that no active case runs whole: they are run for every candidate all the same."""
        covered = {case.task_id for case in self.active() if case.layer == "behavioural"}
        return tuple(_pinned(task_id) for task_id in task_ids if task_id not in covered)

    def _is_open(self, case: EvalCase) -> bool:
        return case.state in {"candidate", "verified", "quarantined"} and case.id not in self._since

    def _observed(self, case: EvalCase, passes: int, n: int) -> EvalCase:
        counted = replace(case, n_runs=case.n_runs + n, n_passes=case.n_passes + passes)
        if case.state == "active":
            if (counted.pass_rate or 0.0) >= QUARANTINE_BELOW:
                return counted
            self._since[case.id] = (0, 0)
            return replace(counted, state="quarantined", note=f"flaky: {_rate(counted)} on accepted versions")
        good, all_runs = self._since[case.id]
        good, all_runs = (good + passes, all_runs + n) if passes == n else (0, 0)
        self._since[case.id] = (good, all_runs)
        if all_runs < READMIT_RUNS:
            return counted
        del self._since[case.id]
        return replace(counted, state="active", note=f"stable again: passed its last {good} of {all_runs} runs")

    def _put(self, case: EvalCase) -> EvalCase:
        self._cases[case.id] = case
        return case


def drafted(failure: Failure, cluster_id: int, slices: tuple[str, ...]) -> EvalCase:
    """A case made of one failure, of which nothing is known yet but that it happened."""
    return EvalCase(
        id=content_hash(failure.task_id, cluster_id),
        task_id=failure.task_id,
        cluster_id=cluster_id,
        failure_id=failure.id,
        rollout_id=failure.rollout_id,
        check=failure.check or failure.label,
        state="candidate",
        weight=max(LEAST_WEIGHT, failure.severity),
        slices=tuple(dict.fromkeys((*slices, failure.label))),
    )


def _without_reopening(note: str) -> str:
    """The note of a case but for an earlier reopening of its cluster."""
    return re.sub(r"^cluster \d+ was reopened [^;]*; ", "", note)


def _pinned(task_id: str) -> EvalCase:
    return EvalCase(
        id=content_hash("pinned", task_id),
        task_id=task_id,
        cluster_id=0,
        failure_id="",
        rollout_id="",
        check="pinned",
        state="active",
        n_runs=1,
        n_passes=1,
        note="pinned by a person",
    )


def _promoted(case: EvalCase, tally: Tally, rules: Rules) -> EvalCase:
    is_partial = tally.n_passes < tally.n and tally.n_held == tally.n
    good = tally.n_held if is_partial else tally.n_passes
    counted = replace(case, n_runs=case.n_runs + tally.n, n_passes=case.n_passes + good)
    deserved = standing(case, rules)
    what = f"its check held in {good}" if is_partial else f"passed {good}"
    note = f"{what} of {tally.n} on an accepted version; {deserved.note}"
    if good < tally.n or deserved.state != "verified":
        return replace(counted, state=deserved.state, note=note)
    return replace(counted, state="active", layer="deterministic" if is_partial else "behavioural", note=note)


def _rate(case: EvalCase) -> str:
    return f"passes {case.pass_rate or 0.0:.0%} of {case.n_runs} runs"
