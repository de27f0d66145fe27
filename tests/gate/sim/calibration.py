"""What the simulator's free parameters were fitted to, beside what they give.

The targets are measurements on tau2-bench's leaderboard files (noise of a run), the effects of edits the study assumes,
and what the published rule came to in the study's own simulator. What the default rule came to there is no target.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.gate.sim.fleet import PUBLISHED, Cell, played, summary
from tests.gate.sim.world import BUDGETS, REGIMES, World, WorldRule, chance

STATIC = {
    "typ": {
        "start": 0.571,
        "noise E[p(1-p)]": 0.096,
        "harmful": -2.9,
        "harmful sd": 3.3,
        "tradeoff": -1.3,
        "tradeoff sd": 3.4,
        "neutral": 0.0,
        "neutral sd": 0.4,
        "helpful": 1.6,
        "helpful sd": 1.5,
        "systemic": 5.5,
        "share >= 1 pt, %": 20.0,
        "effect on targets": 48.0,
        "effect on targets sd": 22.0,
        "targets per edit": 4.0,
    },
    "noisy": {
        "start": 0.552,
        "noise E[p(1-p)]": 0.168,
        "harmful": -3.1,
        "harmful sd": 3.0,
        "tradeoff": -1.7,
        "tradeoff sd": 3.2,
        "neutral": 0.0,
        "neutral sd": 0.5,
        "helpful": 1.3,
        "helpful sd": 1.4,
        "systemic": 4.3,
        "share >= 1 pt, %": 18.0,
        "effect on targets": 35.0,
        "effect on targets sd": 17.0,
        "targets per edit": 4.0,
    },
}
"""Of the world itself, before any rule: score, edits' true effects on the population and on their targets in points."""

GAINS = {
    "typ": 12.3,
    "typ, B/4": 4.5,
    "typ, 3B": 21.6,
    "noisy": 6.4,
    "noisy, B/4": 2.7,
    "noisy, 3B": 10.9,
    "v40": 8.1,
    "noisy40": 3.5,
    "rare": 5.5,
    "mis": 12.2,
    "glob": 16.2,
    "over": 12.6,
    "null": -1.2,
}
"""True gain of `published` by regime, points."""

PROFILE = {
    "typ": {
        "false_accepts": 30.0,
        "harmful": 11.0,
        "missed": 76.0,
        "n_accepted": 10.0,
        "claim_minus_val": 6.1,
        "claim_minus_truth": 7.3,
        "below_start": 4.0,
    },
    "noisy": {
        "false_accepts": 32.0,
        "harmful": 14.0,
        "missed": 84.0,
        "n_accepted": 7.0,
        "claim_minus_val": 8.4,
        "below_start": 12.0,
    },
    "v40": {"claim_minus_val": 10.7, "claim_minus_truth": 13.1},
    "typ, N=96": {"gate_rollouts": 10_533.0},
    "noisy, N=96": {"gate_rollouts": 9_719.0},
    "v40, N=96": {"gate_rollouts": 5_046.0},
}
"""Of `published`."""

FIRST_SEED = 1_000_000


def calibrated(n: int, *, n_processes: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Print fitted beside target; returns (fitted, target) by regime and quantity."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for regime, targets in STATIC.items():
        fitted = measured(REGIMES[regime], n_worlds=40)
        found[f"{regime}, world"] = {name: (fitted[name], target) for name, target in targets.items()}
    for key, row in _published(n, n_processes).items():
        targets = {**({"gain": GAINS[key]} if key in GAINS else {}), **PROFILE.get(key, {})}
        found[f"{key}, published"] = {name: (row[name], target) for name, target in targets.items()}
    print(f"{'':20} {'quantity':24} {'fitted':>10} {'target':>10}")
    for key, pairs in found.items():
        for name, (value, target) in pairs.items():
            print(f"{key:20} {name:24} {value:10.3f} {target:10.3f}")
    return found


def _published(n: int, n_processes: int) -> dict[str, dict[str, float]]:
    cells = {}
    for key in dict.fromkeys([*GAINS, *PROFILE]):
        regime, _, size = key.partition(", ")
        budget = BUDGETS[regime] * {"B/4": 0.25, "3B": 3.0}.get(size, 1.0)
        is_counted = size == "N=96"
        cells[key] = Cell(
            world=REGIMES[regime],
            contender=PUBLISHED,
            seeds=range(FIRST_SEED, FIRST_SEED + n),
            budget=None if is_counted else budget,
            candidates=96 if is_counted else None,
        )
    results = played(list(cells.values()), n_processes=n_processes)
    rows = {}
    for key, seasons in zip(cells, results, strict=True):
        one = summary(seasons)
        rows[key] = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return rows


def measured(rule: WorldRule, *, n_worlds: int, n_edits: int = 40) -> dict[str, float]:
    """A world's start, its noise, and the true effects of the edits that are proposed at first."""
    starts, noise, fixes, n_targets = [], [], [], []
    effects: dict[str, list[float]] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + n_worlds):
        world = World(replace(rule, jitter=0.0), seed)
        p = chance(world.logits)
        starts.append(p.mean())
        noise.append((p * (1 - p)).mean())
        for _ in range(n_edits):
            edit = world.propose()
            change = 100 * (chance(world.logits + edit.change) - p)
            effects.setdefault(edit.kind, []).append(change[world.population].mean())
            targets = list(edit.targets)
            n_targets.append(len(targets))
            if edit.kind == "helpful" and world.cluster[targets[0]] == edit.cluster:
                fixes.append(change[targets].mean())
    everything = np.concatenate([np.array(each) for each in effects.values()])
    found = {
        "start": np.mean(starts),
        "noise E[p(1-p)]": np.mean(noise),
        "share >= 1 pt, %": 100 * np.mean(everything >= 1),
        "effect on targets": np.mean(fixes),
        "effect on targets sd": np.std(fixes),
        "targets per edit": np.mean(n_targets),
    }
    for kind, values in effects.items():
        found |= {kind: np.mean(values), f"{kind} sd": np.std(values)}
    return {name: float(value) for name, value in found.items()}
