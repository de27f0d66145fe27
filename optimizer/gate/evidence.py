"""All that was measured of a candidate, as far as its course went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.domain.trace import Usage
from optimizer.gate.contract import SUCCESS
from optimizer.gate.guard import Posterior
from optimizer.gate.measures import Measure
from optimizer.gate.policy import RuleName
from optimizer.gate.suite import SuiteVerdict
from optimizer.gate.target import TargetTest


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Numbers of one candidate; None means not reached."""

    candidate: int
    rule: RuleName = "trial"
    crash: str | None = None
    """Why the smoke run crashed; None when it did not."""
    target: TargetTest | None = None
    suite: SuiteVerdict | None = None
    suite_runs: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Passes and measured runs of each case, by case id."""
    validation: Posterior | None = None
    """After the last block; None before the first. Of `weighs`."""
    weighs: str = SUCCESS
    """What validation was decided by: success, `utility`, or another metric of the contract."""
    success: Posterior | None = None
    """What validation says of success; None where `validation` says it, or before the first block."""
    measures: tuple[Measure, ...] = ()
    """The metrics of the contract on validation, and the cost."""
    is_val_complete: bool = False
    """Whether every validation task was asked for."""
    val: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Passes and measured runs of the candidate itself by validation task; replayed runs are not among them."""
    is_admitted: bool = False
    """Whether validation ended with acceptance."""
    n_val_tasks: int = 0
    """Validation tasks in the split."""
    n_replayed: int = 0
    """Validation tasks answered wholly from recordings: a difference of exactly zero, at no cost."""
    trunk_estimate: float | None = None
    """Pooled trunk estimate before this candidate."""
    score: float | None = None
    """`published`: validation score of the candidate's single runs."""
    best_val: float | None = None
    """`published`: the best score any accepted version was ever seen with."""
    fixed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    n_rollouts: int = 0
    n_unmeasured: int = 0
    """Rollouts lost to infrastructure after all retries."""
    usage: Usage = field(default_factory=Usage)

    @property
    def on_success(self) -> Posterior | None:
        """What validation says of success, whatever it was decided by."""
        return self.validation if self.weighs == SUCCESS else self.success
