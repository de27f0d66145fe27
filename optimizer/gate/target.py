"""The target test: does the edit fix the tasks it promised to fix?

A test by betting on paired runs. Each round runs every target once with the candidate and once with the trunk (the
version it was made from); a win multiplies the evidence E by 1 + stake, a loss by 1 - stake. If the edit does not
raise the mean pass probability of its targets, then P(E ever reaches 1/alpha at a round's end) <= alpha: over a
round E[prod(1 + L d)] <= (1 + L mean d)^k <= 1, so E is a supermartingale, and Ville's inequality applies
(Waudby-Smith & Ramdas, arXiv 2010.09686). It is only looked at when a round is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One target task, run once by both versions with the same trial number."""

    task_id: str
    candidate: bool | None
    """Whether it passed; None when it was not measured (infrastructure)."""
    trunk: bool | None
    is_replayed: bool = False
    """The candidate's run was answered wholly from recordings: here the edit never mattered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """Settings of the test."""

    alpha: float = 0.10
    """Bound on the chance that an edit that fixes nothing passes; in (0, 1)."""
    stake: float = 0.8
    """Share of the evidence bet on each pair; in (0, 1)."""
    floor: float = 0.30
    """Evidence at or below this ends the test."""
    broad: float = 0.5
    """With at least this much evidence a failed test leaves the way over validation open."""
    look_after: int = 8
    """Candidate rollouts after which it is settled whether the broad way is open."""
    needed: float = 0.9
    """From that look on, evidence below this ends the test."""
    max_rollouts: int = 18
    """Candidate rollouts at most."""
    inert_after: int = 8
    """An edit that never mattered in this many runs of its own targets is taken for one that does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTest:
    """Where the test stands after some complete rounds."""

    state: Literal["continue", "passed", "broad", "failed"]
    """`broad`: not passed, but not refuted; validation alone may still admit the edit."""
    e_value: float
    n_candidate_passes: int
    n_trunk_passes: int
    n_pairs: int
    """Pairs with both sides measured."""
    n_rollouts: int
    """Candidate rollouts made, measured or not."""
    n_replayed: int = 0
    """Candidate rollouts in which the edit never mattered."""
    is_open: bool | None = None
    """Whether validation alone may still admit the edit; None before the look that settles it."""


def judge_target(rounds: tuple[tuple[Pair, ...], ...], rule: TargetRule) -> TargetTest:
    """Read the test off all complete rounds so far; unmeasured pairs move nothing.

    The evidence is looked at after every round, so the verdict is that of the first round that ended the test.
    """
    test = TargetTest(state="continue", e_value=1.0, n_candidate_passes=0, n_trunk_passes=0, n_pairs=0, n_rollouts=0)
    for pairs in rounds:
        test = _after_round(test, pairs, rule)
        if test.state != "continue":
            break
    return test


def _after_round(test: TargetTest, pairs: tuple[Pair, ...], rule: TargetRule) -> TargetTest:
    measured = [p for p in pairs if p.candidate is not None and p.trunk is not None]
    e_value = test.e_value
    for pair in measured:
        if pair.candidate and not pair.trunk:
            e_value *= 1 + rule.stake
        elif pair.trunk and not pair.candidate:
            e_value *= 1 - rule.stake
    n_rollouts = test.n_rollouts + len(pairs)
    n_replayed = test.n_replayed + sum(pair.is_replayed for pair in pairs)
    is_first_look = test.is_open is None and n_rollouts >= rule.look_after
    after = TargetTest(
        state="continue",
        e_value=e_value,
        n_candidate_passes=test.n_candidate_passes + sum(bool(p.candidate) for p in measured),
        n_trunk_passes=test.n_trunk_passes + sum(bool(p.trunk) for p in measured),
        n_pairs=test.n_pairs + len(measured),
        n_rollouts=n_rollouts,
        n_replayed=n_replayed,
        is_open=e_value >= rule.broad if is_first_look else test.is_open,
    )
    return replace(after, state=_state(after, rule, round_size=len(pairs)))


def _state(test: TargetTest, rule: TargetRule, *, round_size: int) -> Literal["continue", "passed", "broad", "failed"]:
    """Where the evidence stands.

    Every bound depends on the number of rollouts alone, and whether the broad way is open is settled at one look. So a
    candidate with more passes is never stopped sooner, and never without the way that one with fewer would have had.
    """
    bar = 1 / rule.alpha
    if test.n_replayed == test.n_rollouts >= rule.inert_after:
        return "failed"
    if test.e_value >= bar:
        return "passed"
    n_left = rule.max_rollouts - test.n_rollouts
    is_over = n_left < round_size or test.e_value * (1 + rule.stake) ** n_left < bar or test.e_value <= rule.floor
    if test.is_open is None:
        return "failed" if is_over else "continue"
    if is_over or test.e_value < rule.needed:
        return "broad" if test.is_open else "failed"
    return "continue"
