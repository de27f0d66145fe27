"""Which active cases the gate runs when there are more than it should: heavy and reliable ones, over all slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from optimizer.domain.evalcase import EvalCase

LAYERS = ("deterministic", "semantic", "behavioural")
"""In the order of what a look costs."""


def without_repeats(cases: Iterable[EvalCase]) -> tuple[EvalCase, ...]:
    """Leave out what another case covers: a task that is run whole is run once, and shows every check on it."""
    ordered = sorted(cases, key=lambda case: (-LAYERS.index(case.layer), -_worth(case), case.id))
    whole: set[str] = set()
    parts: set[tuple[str, str]] = set()
    kept = []
    for case in ordered:
        if case.task_id in whole or (case.task_id, case.check) in parts:
            continue
        if case.layer == "behavioural":
            whole.add(case.task_id)
        parts.add((case.task_id, case.check))
        kept.append(case)
    return tuple(kept)


def within_share(cases: Iterable[EvalCase], n_synthetic: int) -> tuple[EvalCase, ...]:
    """Leave out made-up cases beyond a number, the first ones stay."""
    kept: list[EvalCase] = []
    for case in cases:
        if case.synthetic_of is None or sum(other.synthetic_of is not None for other in kept) < n_synthetic:
            kept.append(case)
    return tuple(kept)


def choose(cases: Sequence[EvalCase], *, limit: int, synthetic_share: float) -> tuple[EvalCase, ...]:
    """At most `limit` cases: again and again the one that adds most, where a slice counts less each time it is seen."""
    left = sorted(cases, key=lambda case: (-case.n_runs, case.id))
    chosen: list[EvalCase] = []
    seen: Counter[str] = Counter()
    while left and len(chosen) < limit:
        n_synthetic = sum(case.synthetic_of is not None for case in chosen)
        has_room = n_synthetic + 1 <= synthetic_share * (len(chosen) + 1)
        allowed = [case for case in left if has_room or case.synthetic_of is None]
        if not allowed:
            break
        best = max(allowed, key=lambda case: _worth(case) * _novelty(case, seen))
        left.remove(best)
        chosen.append(best)
        seen.update(best.slices)
    return tuple(sorted(chosen, key=lambda case: LAYERS.index(case.layer)))


def _worth(case: EvalCase) -> float:
    return case.weight * (case.pass_rate or 0.0)


def _novelty(case: EvalCase, seen: Counter[str]) -> float:
    if not case.slices:
        return 1 / (1 + seen.total())
    return sum(1 / (1 + seen[name]) for name in case.slices) / len(case.slices)
