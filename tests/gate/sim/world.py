"""A world in which the truth is known: tasks with pass probabilities, and edits with true effects.

Tasks lie in clusters; a task's logit is its cluster's plus its own. An edit is a vector of logit changes on top of the
current trunk, aimed at a cluster that was seen to fail on train. The figures are fitted to what was measured on
tau2-bench's leaderboard files (noise of a single run, spread of difficulty) and to the effects that were published for
harness edits; `python -m tests.gate.bench_gate --calibration` prints both beside their targets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


Kind = Literal["harmful", "tradeoff", "neutral", "overfit", "helpful", "systemic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Shares of the kinds of edits; the rest is helpful."""

    harmful: float = 0.35
    tradeoff: float = 0.35
    """Of the harmful: they do fix their target."""
    neutral: float = 0.32
    overfit: float = 0.08
    """Help only the train tasks of their target."""
    systemic: float = 0.12
    """Of the helpful: they help every cluster."""

    @property
    def helpful(self) -> float:
        """Share of edits that help without a catch."""
        return 1 - self.harmful - self.neutral - self.overfit


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldRule:
    """Parameters of a regime."""

    logit_sd: float = 3.63
    """Spread of task difficulty."""
    logit_mean: float = 0.71
    cluster_share: float = 0.55
    """Share of the spread that lies between clusters."""
    n_clusters: int = 30
    n_train: int = 100
    n_val: int = 100
    n_population: int = 600
    boost: float = 6.4
    """Mean logit gain of a helpful edit on its target."""
    boost_sd: float = 2.8
    lift: float = 0.088
    """What a systemic edit gains everywhere, as a share of a boost."""
    harm: float = 3.67
    """Mean logit loss of a harmful edit on a cluster it touches."""
    reach: float = 3.56
    """Mean number of clusters beyond the first that a harmful edit hurts, geometric: some hurt many."""
    side: float = 1.2
    """Mean number of further clusters that an edit touches (Poisson)."""
    drift: float = 0.65
    """Standard deviation of the logit change on each of those."""
    declared: float = 0.9
    """Chance that the declared target tasks are of the cluster the edit really changes."""
    unaffected: float = 0.15
    """Share of a cluster's tasks that an edit for it does not change."""
    fading: float = 0.72
    """What a further edit for the same cluster still gains of the one before."""
    evenness: float = 1.64
    """Of cluster sizes (Dirichlet concentration)."""
    jitter: float = 0.1
    """Standard deviation of what any edit that is not local does to the logit of every task."""
    is_structured: bool = True
    """False: effects fall on tasks at random, whatever the cluster (hostile to target tests)."""
    scatter: float = 0.082
    """Share of tasks that an effect hits where there is no structure."""
    is_blind: bool = False
    """Without structure: not even the tasks an edit was written for are hit more often than others."""
    local: float = 0.0
    """Share of edits whose requests stay byte-identical on tasks they do not touch, so that those are replayed."""
    mixture: Mixture = field(default_factory=Mixture)


TYPICAL = WorldRule()
NOISY = WorldRule(
    logit_sd=1.64,
    logit_mean=0.335,
    cluster_share=0.57,
    boost=2.9,
    boost_sd=1.51,
    lift=0.103,
    harm=2.87,
    reach=3.15,
    drift=0.62,
    fading=0.70,
    evenness=2.73,
)

REGIMES: dict[str, WorldRule] = {
    "typ": TYPICAL,
    "noisy": NOISY,
    "rare": replace(TYPICAL, mixture=Mixture(neutral=0.47)),
    "v40": replace(TYPICAL, n_val=40),
    "noisy40": replace(NOISY, n_val=40),
    "mis": replace(TYPICAL, declared=0.5),
    "glob": replace(TYPICAL, is_structured=False),
    "blind": replace(TYPICAL, is_structured=False, is_blind=True),
    "over": replace(TYPICAL, mixture=Mixture(overfit=0.25, neutral=0.15)),
    "null": replace(TYPICAL, mixture=Mixture(harmful=0.5, tradeoff=0.0, neutral=0.5, overfit=0.0)),
}

BUDGETS = {name: {"noisy": 11_730.0, "v40": 7_070.0, "noisy40": 6_760.0}.get(name, 12_540.0) for name in REGIMES}
"""Rollout equivalents: what `published` spends on 96 candidates."""


def drawn(seed: int) -> tuple[WorldRule, float]:
    """A world with every parameter drawn at random, and the budget that goes with it."""
    rng = np.random.default_rng([seed, 7])
    noise = rng.uniform(0, 1)
    harmful, helpful = rng.uniform(0.15, 0.55), rng.uniform(0.06, 0.40)
    overfit = rng.uniform(0, 0.5) * (1 - harmful - helpful)
    base = {name: (1 - noise) * getattr(TYPICAL, name) + noise * getattr(NOISY, name) for name in ("logit_sd", "harm")}
    boost = rng.uniform(0.5, 1.2) * ((1 - noise) * TYPICAL.boost + noise * NOISY.boost)
    rule = WorldRule(
        logit_sd=base["logit_sd"],
        logit_mean=rng.uniform(-0.3, 1.2),
        cluster_share=rng.uniform(0.3, 0.8),
        n_clusters=int(rng.integers(8, 41)),
        n_train=int(rng.integers(50, 151)),
        n_val=int(rng.integers(40, 121)),
        boost=boost,
        boost_sd=boost * rng.uniform(0.25, 0.55),
        harm=base["harm"] * rng.uniform(0.6, 1.4),
        reach=rng.uniform(1, 4.5),
        side=rng.uniform(0.3, 2.5),
        declared=rng.uniform(0.4, 1),
        unaffected=rng.uniform(0, 0.4),
        fading=rng.uniform(0.5, 1),
        evenness=rng.uniform(0.7, 4),
        mixture=Mixture(
            harmful=harmful,
            tradeoff=rng.uniform(0.1, 0.7),
            neutral=1 - harmful - helpful - overfit,
            overfit=overfit,
            systemic=rng.uniform(0, 0.25),
        ),
    )
    return rule, 96 * (1.1 * rule.n_val + 20) + rule.n_val


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One proposed edit with its truth."""

    change: Vector
    """Logit change per task, all splits."""
    cluster: int
    targets: tuple[int, ...]
    """Declared train tasks, by index."""
    is_local: bool
    kind: Kind

    @property
    def is_helpful(self) -> bool:
        """Whether it fades what a further edit for its cluster can gain."""
        return self.kind in {"helpful", "systemic"}


class World:
    """Tasks, the trunk's true logits, and a proposer that knows only what a mining run saw."""

    def __init__(self, rule: WorldRule, seed: int) -> None:
        self.rule = rule
        self.rng, self.luck = (np.random.default_rng([seed, stream]) for stream in (0, 1))
        """What is proposed, and what comes of runs: rules that differ are offered the same edits at first."""
        n = rule.n_train + rule.n_val + rule.n_population
        sizes = self.rng.dirichlet(np.full(rule.n_clusters, rule.evenness))
        self.cluster: NDArray[np.int64] = self.rng.choice(rule.n_clusters, size=n, p=sizes)
        between = self.rng.normal(0, rule.logit_sd * rule.cluster_share**0.5, rule.n_clusters)
        within = self.rng.normal(0, rule.logit_sd * (1 - rule.cluster_share) ** 0.5, n)
        self.logits: Vector = rule.logit_mean + between[self.cluster] + within
        self.train = slice(0, rule.n_train)
        self.val = slice(rule.n_train, rule.n_train + rule.n_val)
        self.population = slice(rule.n_train + rule.n_val, n)
        self.gained = np.zeros(rule.n_clusters)
        """How many edits for a cluster the trunk holds."""
        self.failed: NDArray[np.bool_] = np.zeros(rule.n_train, dtype=bool)
        self.mine()

    def mine(self) -> None:
        """Run the trunk once on train; proposals are aimed at what failed."""
        self.failed = self.luck.random(self.rule.n_train) >= chance(self.logits[self.train])

    def true_score(self, part: slice, logits: Vector | None = None) -> float:
        """Mean true pass probability of a part."""
        return float(chance((self.logits if logits is None else logits)[part]).mean())

    def propose(self) -> Edit:
        """An edit for a failing cluster, drawn by how often it was seen to fail."""
        rule, rng = self.rule, self.rng
        failing = np.flatnonzero(self.failed)
        if not len(failing):
            failing = np.arange(rule.n_train)
        aimed = int(self.cluster[rng.choice(failing)])
        cluster = aimed if rng.random() < rule.declared else int(self.cluster[rng.choice(failing)])
        of_cluster = [int(task) for task in failing if self.cluster[task] == aimed]
        targets = tuple(sorted(rng.permutation(of_cluster)[:6].tolist()))
        change, kind = self._effect(cluster, targets if cluster == aimed else ())
        is_local = bool(rng.random() < rule.local)
        wobble = rng.normal(0, rule.jitter, len(change))
        return Edit(
            change=change if is_local else change + wobble,
            cluster=cluster,
            targets=targets,
            is_local=is_local,
            kind=kind,
        )

    def adopt(self, edit: Edit) -> None:
        """The edit becomes part of the trunk."""
        self.logits = self.logits + edit.change
        if edit.is_helpful and self.rule.is_structured:
            self.gained[edit.cluster] += 1
        self.mine()

    def _effect(self, cluster: int, targets: tuple[int, ...]) -> tuple[Vector, Kind]:
        rule, rng, mix = self.rule, self.rng, self.rule.mixture
        change = np.zeros(len(self.logits))
        draw = rng.random()
        if draw < mix.harmful:
            is_tradeoff = rng.random() < mix.tradeoff
            if is_tradeoff:
                change += self._fix(cluster, targets)
            for _ in range(rng.geometric(1 / (1 + rule.reach))):
                change -= self._on(self._any_cluster(), rng.exponential(rule.harm))
            return change, "tradeoff" if is_tradeoff else "harmful"
        if draw < mix.harmful + mix.neutral:
            return self._side_effects(change, rule.drift), "neutral"
        if draw < mix.harmful + mix.neutral + mix.overfit:
            only_train = self._fix(cluster, targets)
            only_train[self.rule.n_train :] = 0
            return self._side_effects(change + only_train, rule.drift), "overfit"
        if rng.random() < mix.systemic:
            return change + self._everywhere(cluster), "systemic"
        return self._side_effects(change + self._fix(cluster, targets), rule.drift), "helpful"

    def _fix(self, cluster: int, targets: tuple[int, ...]) -> Vector:
        """What an edit does for the tasks it was written for, and for those like them."""
        return self._on(cluster, self._boost(cluster), () if self.rule.is_blind else targets)

    def _boost(self, cluster: int) -> float:
        drawn = max(0.2, self.rng.normal(self.rule.boost, self.rule.boost_sd))
        return float(drawn * self.rule.fading ** self.gained[cluster])

    def _everywhere(self, cluster: int) -> Vector:
        lift = self.rule.lift * self._boost(cluster)
        return np.where(self.rng.random(len(self.logits)) < 1 - self.rule.unaffected, lift, 0.0)

    def _side_effects(self, change: Vector, size: float) -> Vector:
        for _ in range(self.rng.poisson(self.rule.side)):
            change = change + self._on(self._any_cluster(), self.rng.normal(0, size))
        return change

    def _any_cluster(self) -> int:
        return int(self.rng.integers(self.rule.n_clusters))

    def _on(self, cluster: int, size: float, targets: tuple[int, ...] = ()) -> Vector:
        """A logit change on the tasks of a cluster, with the spread between tasks that real edits show."""
        if self.rule.is_structured:
            touched = self.cluster == cluster
        else:
            touched = self.rng.random(len(self.logits)) < self.rule.scatter
            touched[list(targets)] = True
        hits = touched & (self.rng.random(len(self.logits)) >= self.rule.unaffected)
        spread = self.rng.lognormal(-0.125, 0.5, len(self.logits))
        return np.where(hits, size * spread, 0.0)


def chance(logits: Vector) -> Vector:
    """Pass probabilities of logits."""
    result: Vector = 1 / (1 + np.exp(-logits))
    return result
