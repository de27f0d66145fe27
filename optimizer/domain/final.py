"""The last comparison of a campaign, on tasks that nothing was ever chosen by."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.domain.trace import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalSeal:
    """Leave to run the test split for two versions. It is recorded before the first rollout: the split is spent."""

    n: int
    """1, 2, ... within the campaign."""
    benchmark: str
    benchmark_version: str
    split_manifest_hash: str
    base_commit: str
    base_tree: str
    head_commit: str
    head_tree: str
    n_trials: int
    is_untouched: bool
    """Whether nothing had been compared on this split before; otherwise the result is labelled."""

    @property
    def trees(self) -> frozenset[str]:
        """The only harness trees that this seal lets run."""
        return frozenset((self.base_tree, self.head_tree))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalSlice:
    """The comparison within one slice of the tasks."""

    name: str
    n_tasks: int
    base: float
    """Pass rates, 0.0 to 1.0."""
    head: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalResult:
    """What came of it: head less baseline, mean over tasks of the mean over trials."""

    base: float
    """Pass rates, 0.0 to 1.0."""
    head: float
    difference: float
    low: float
    """95 % interval of the difference, robust to tasks of a group going together."""
    high: float
    n_tasks: int
    """Tasks measured on both sides."""
    n_groups: int
    n_trials: int
    n_rollouts: int
    n_unmeasured: int
    """Rollouts lost to infrastructure; they count for nobody."""
    usage: Usage
    sandbox_levels: tuple[str, ...]
    slices: tuple[FinalSlice, ...]
    n_val_candidates: int
    """Candidates that had been judged on validation by then."""
    is_simulated: bool
