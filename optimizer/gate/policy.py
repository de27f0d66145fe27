"""The settings of the gate that a person may turn, as the rules read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from optimizer.gate.contract import Contract
from optimizer.gate.guard import BROAD_ROUTE, TARGET_ROUTE, GuardRule
from optimizer.gate.target import TargetRule, TargetTest

RuleName = Literal["trial", "published", "paired-kse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How much evidence an edit needs, and of which kind."""

    rule: RuleName = "trial"
    target: TargetRule = field(default_factory=TargetRule)
    target_route: GuardRule = TARGET_ROUTE
    broad_route: GuardRule = BROAD_ROUTE
    regression_rate: float = 0.8
    """Share of the suite's stable cases that must hold, 0.0 to 1.0."""
    max_infra_share: float = 0.2
    """Share of unmeasured rollouts above which the verdict is inconclusive."""
    val_passes: int = 1
    """How often the whole of validation is run for an edit that gets that far."""
    k_se: float = 1.0
    """`paired-kse`: standard errors by which the mean paired difference must lie above zero."""

    contract: Contract = field(default_factory=Contract)
    """What is wanted beside success, and what no gain may buy."""

    def route(self, test: TargetTest | None) -> GuardRule:
        """The validation rule that the target test has opened."""
        return self.target_route if test is None or test.state == "passed" else self.broad_route
