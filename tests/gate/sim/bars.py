"""The acceptance bars of the gate's study, each with its measured value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from optimizer.gate.guard import posterior
from optimizer.gate.target import Pair, TargetRule, judge_target
from tests.gate.sim.campaign import Season
from tests.gate.sim.fleet import budget_to_match, summary
from tests.gate.sim.world import BUDGETS

Seasons = Mapping[str, Sequence[Season]]
"""By `regime/rule`."""

VECTORS = (
    ((0.5,) * 6 + (-0.5,) * 4, 0.0, (0.1, 0.026, 0.003346, 0.545158)),
    ((0.25,) * 40 + (-0.25,) * 60, 0.0, (-0.05, 0.0008, -0.026471, 0.099180)),
    ((0.4,) * 30 + (-0.1,) * 70, -0.005, (0.05, 0.000725, 0.025462, 0.898071)),
)
"""Differences, prior mean, and (d, v, mu, P) of the study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One comparison of a measured value with its bar."""

    id: str
    what: str
    value: float
    op: str
    bar: float
    study: str = ""
    """What the study measured."""

    @property
    def is_met(self) -> bool:
        """The measured value, unrounded, is on the right side."""
        return self.value >= self.bar if self.op == ">=" else self.value <= self.bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """Bars of one regime at equal budget: TRIAL against `published`."""

    id: str
    regime: str
    gain: tuple[float, str]
    ratio: tuple[float, str]
    match: tuple[float, str] | None = None
    false_accepts: tuple[float, str] | None = None
    harmful: tuple[float, str] | None = None


VERSUS = (
    Versus(
        id="B1",
        regime="typ",
        gain=(25, "27.0"),
        ratio=(1.9, "2.19"),
        match=(0.38, ".30"),
        false_accepts=(30, "26"),
        harmful=(11, "9"),
    ),
    Versus(
        id="B2",
        regime="noisy",
        gain=(16.5, "18.4"),
        ratio=(2.4, "2.88"),
        match=(0.34, ".26"),
        false_accepts=(31, "27"),
        harmful=(14, "12"),
    ),
    Versus(id="B3", regime="v40", gain=(19, "21.2"), ratio=(2.2, "2.63"), match=(0.36, ".28")),
    Versus(id="B4", regime="glob", gain=(23, "25.5"), ratio=(1.4, "1.58")),
)


def versus(seasons: Seasons, rule: Versus) -> list[Bar]:
    """Gain, ratio, budget to match and error shares of one regime."""
    ours, theirs = seasons[f"{rule.regime}/trial"], seasons[f"{rule.regime}/published"]
    mine, other = summary(ours), summary(theirs)
    at = rule.regime
    bars = [
        Bar(id=rule.id, what=f"{at}: true gain, pts", value=mine.gain, op=">=", bar=rule.gain[0], study=rule.gain[1]),
        Bar(
            id=rule.id,
            what=f"{at}: gain over published's",
            value=mine.gain / max(other.gain, 1e-9),
            op=">=",
            bar=rule.ratio[0],
            study=rule.ratio[1],
        ),
    ]
    if rule.match:
        share = budget_to_match(ours, theirs, BUDGETS[at])
        what = f"{at}: budget to match published"
        bars.append(Bar(id=rule.id, what=what, value=share, op="<=", bar=rule.match[0], study=rule.match[1]))
    for name, limit, value in (
        ("false accepts", rule.false_accepts, mine.false_accepts),
        ("harmful accepts", rule.harmful, mine.harmful),
    ):
        if limit:
            bars.append(Bar(id=rule.id, what=f"{at}: {name}, %", value=value, op="<=", bar=limit[0], study=limit[1]))
    return bars


def claims(seasons: Seasons) -> list[Bar]:
    """How far what is shown lies from what is."""
    ours, theirs = summary(seasons["typ/trial"]), summary(seasons["typ/published"])
    null = summary(seasons["null/trial"])
    return [
        Bar(id="B1", what="typ: |claim - val|, pts", value=abs(ours.claim_minus_val), op="<=", bar=1, study="+0.1"),
        Bar(id="B1", what="typ: published's claim - val", value=theirs.claim_minus_val, op=">=", bar=4, study="6.1"),
        Bar(id="B5", what="null: true change, pts", value=null.gain, op=">=", bar=-1.4, study="-0.9"),
        Bar(id="B5", what="null: claim - truth, pts", value=null.claim_minus_truth, op="<=", bar=1.5, study="+0.7"),
    ]


def same_candidates(seasons: Seasons) -> list[Bar]:
    """96 candidates each, no limit on rollouts."""
    bars = []
    for regime, share, study in (("typ", 60, "48"), ("noisy", 60, "43"), ("v40", 70, "60")):
        ours, theirs = (summary(seasons[f"{regime}, N=96/{rule}"]) for rule in ("trial", "published"))
        rollouts = 100 * ours.gate_rollouts / theirs.gate_rollouts
        ratio = ours.gain / max(theirs.gain, 1e-9)
        what = f"{regime}, N=96: gate rollouts, % of published's"
        bars.append(Bar(id="B6", what=what, value=rollouts, op="<=", bar=share, study=study))
        bars.append(
            Bar(id="B6", what=f"{regime}, N=96: gain over published's", value=ratio, op=">=", bar=1.45, study="1.6-2.1")
        )
    return bars


def null_targets(n: int) -> list[Bar]:
    """How often an edit that fixes nothing passes the target test."""
    return [
        Bar(id="B7", what=f"null edit passes, k={k}, %", value=100 * _pass_rate(k, n), op="<=", bar=10, study=study)
        for k, study in ((1, "7.2"), (2, "6.4"), (4, "5.3"), (6, "4.6"))
    ]


def _pass_rate(k: int, n: int) -> float:
    """With pass probability .5 on both sides, the worst case; rounds to spare, so that the test stops itself."""
    dice, rule = Random(k), TargetRule()

    def toss() -> Pair:
        return Pair(task_id="t", candidate=dice.random() < 0.5, trunk=dice.random() < 0.5)

    n_rounds = -(-rule.max_rollouts // k)
    tests = (judge_target(tuple(tuple(toss() for _ in range(k)) for _ in range(n_rounds)), rule) for _ in range(n))
    return sum(test.state == "passed" for test in tests) / n


def type_one(seasons: Seasons, regime: str) -> float:
    """Share of edits without effect on their targets that pass the target test within campaigns, per cent."""
    null = [each for season in seasons[f"{regime}/trial"] for each in season.judged if each.is_null]
    return 100 * sum(each.is_through for each in null) / max(1, len(null))


def worlds(seasons: Seasons, n_worlds: int) -> list[Bar]:
    """Worlds with every parameter drawn at random."""
    n_better = n_worse = 0
    for i in range(n_worlds):
        ours, theirs = summary(seasons[f"world {i}/trial"]), summary(seasons[f"world {i}/published"])
        error = (ours.se**2 + theirs.se**2) ** 0.5
        n_better += ours.gain > theirs.gain
        n_worse += ours.gain < theirs.gain - 2 * error
    return [
        Bar(
            id="B8",
            what=f"better of {n_worlds} random worlds",
            value=n_better,
            op=">=",
            bar=0.95 * n_worlds,
            study="60/60",
        ),
        Bar(id="B8", what="significantly worse worlds", value=n_worse, op="<=", bar=0, study="0"),
    ]


def replay(seasons: Seasons) -> list[Bar]:
    """What it is worth that untouched tasks are replayed."""
    return [
        Bar(
            id="B9",
            what=f"{regime}: 40 % local edits replayed, pts more",
            value=summary(seasons[f"{regime}, replay/trial"]).gain - summary(seasons[f"{regime}/trial"]).gain,
            op=">=",
            bar=1.5,
            study=study,
        )
        for regime, study in (("typ", "2.3"), ("noisy", "3.2"))
    ]


def coverage(seasons: Seasons) -> list[Bar]:
    """How often the last comparison's interval holds the truth."""
    played = [season for key, each in seasons.items() if key.endswith("/trial") for season in each]
    bars = []
    for at, name in enumerate(("tasks alone", "grouped tasks")):
        share = sum(season.is_covered[at] for season in played) / len(played)
        what = f"95 % interval covers, {name} (n={len(played)})"
        bars.append(Bar(id="B10", what=what, value=share, op=">=", bar=0.92, study=".93-.97"))
        bars.append(Bar(id="B10", what=what, value=share, op="<=", bar=0.98, study=".93-.97"))
    return bars


def vectors() -> list[Bar]:
    """The posterior against the study's own numbers."""
    worst = 0.0
    for differences, prior_mean, expected in VECTORS:
        post = posterior(differences, prior_mean)
        found = (post.mean, post.variance, post.shrunk, post.p_better)
        worst = max(worst, *(abs(a - b) for a, b in zip(found, expected, strict=True)))
    return [Bar(id="B11", what="largest error of the three vectors", value=worst, op="<=", bar=1e-6)]
