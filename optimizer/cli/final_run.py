"""Run the sealed test in the foreground: narration on stderr."""

from __future__ import annotations

import anyio

from optimizer.cli.compose import Watchers, Workplace
from optimizer.cli.finalizing import FinalPlan, finalize
from optimizer.cli.progress import Narrator
from optimizer.cli.running import unwrapped
from optimizer.domain.budget import BudgetLimits
from optimizer.domain.final import FinalResult


def announce(plan: FinalPlan) -> str:
    """What it takes, before it is taken."""
    dollars = "simulated $" if plan.notes.is_simulated else "$"
    money = "at an unknown price" if plan.usd is None else f"about {dollars}{plan.usd:.2f}"
    most = "" if plan.max_usd is None else f", never more than {dollars}{plan.max_usd:.2f}"
    begun = "goes on with a test that was begun" if plan.is_begun else "breaks the seal of the test split"
    return f"this {begun}: {plan.n_rollouts} rollouts, {money}{most}; afterwards the split is spent"


def conduct(workplace: Workplace, plan: FinalPlan) -> FinalResult:
    """The recorded result, or the one of what is run now."""
    if plan.result is not None:
        return plan.result
    limits = BudgetLimits(rollouts=plan.n_rollouts, usd=plan.max_usd)
    narrator = Narrator(limits=limits, is_simulated=workplace.is_simulated)
    watchers = Watchers(note=narrator.note, rollout=narrator.rollout)
    try:
        with unwrapped():
            return anyio.run(lambda: finalize(workplace, plan, watchers))
    finally:
        narrator.close()
