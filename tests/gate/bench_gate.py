"""Play the shipped gate against other rules in simulated campaigns and hold it to its bars.

`python -m tests.gate.bench_gate` is the short form; `--full` plays what the tables in docs/gate.md show,
`--calibration` prints what the simulator was fitted to, `--knobs` what the settings of the gate cost. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, replace

from tests.gate.sim import bars
from tests.gate.sim.bars import Bar, Seasons
from tests.gate.sim.calibration import calibrated
from tests.gate.sim.campaign import Contender
from tests.gate.sim.fleet import (
    GEPA,
    HALVING,
    KNOBS,
    LITERAL,
    PAIRED,
    PUBLISHED,
    TRIAL,
    Cell,
    played,
    summary,
)
from tests.gate.sim.world import BUDGETS, REGIMES, drawn

FIRST_SEED = 2_000_000
"""Untouched by any fit or comparison of variants."""
EVERYONE = (TRIAL, PUBLISHED, LITERAL, PAIRED, GEPA, HALVING)


def main() -> None:
    arguments = _arguments()
    started, cpu = time.monotonic(), _cpu_s()
    found: dict[str, object]
    if arguments.calibration:
        found = {"calibration": calibrated(arguments.campaigns or 100, n_processes=arguments.processes)}
    elif arguments.knobs:
        found = {"knobs": _knobs(arguments.campaigns or 100, arguments.processes)}
    else:
        n = arguments.campaigns or (100 if arguments.full else 16)
        found = _bench(n, arguments.worlds or (60 if arguments.full else 10), arguments)
    wall, cpu = time.monotonic() - started, _cpu_s() - cpu
    print(f"\n{wall:.0f} s of wall time, {cpu:.0f} s of CPU, {arguments.processes} processes")
    print(json.dumps({**found, "wall_s": round(wall, 1), "cpu_s": round(cpu, 1)}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="100 campaigns per cell, 60 random worlds")
    parser.add_argument("--calibration", action="store_true", help="what the simulator was fitted to, and how well")
    parser.add_argument("--knobs", action="store_true", help="what confidence, strictness and effort cost in gain")
    parser.add_argument("--campaigns", type=int, default=0, help="campaigns per cell")
    parser.add_argument("--worlds", type=int, default=0, help="random worlds")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def _bench(n: int, n_worlds: int, arguments: argparse.Namespace) -> dict[str, object]:
    cells = _cells(n, n_worlds, is_full=arguments.full)
    results = played(list(cells.values()), n_processes=arguments.processes)
    seasons: Seasons = dict(zip(cells, results, strict=True))
    table = _table(seasons)
    for regime in ("typ", "noisy"):
        print(f"type-I of the target test within campaigns, {regime}: {bars.type_one(seasons, regime):.1f} %")
    found = _bars(seasons, cells, n_worlds, n_null=20_000 if arguments.full else 3_000)
    print(f"\n{n} campaigns per cell, {n_worlds} random worlds\n")
    for bar in found:
        verdict = "met" if bar.is_met else "MISSED"
        value = f"{bar.value:.3g}" if bar.value < 1e-3 else f"{bar.value:.2f}"
        print(f"{bar.id:4} {bar.what:52} {value:>9} {bar.op} {bar.bar:<6g} {verdict:7} study: {bar.study}")
    return {"gains": table, "bars": [{**asdict(bar), "met": bool(bar.is_met)} for bar in found]}


def _cells(n: int, n_worlds: int, *, is_full: bool) -> dict[str, Cell]:
    """Everything to play, by `regime/rule`."""
    cells: dict[str, Cell] = {}

    def add(regime: str, cell: Cell, *contenders: Contender) -> None:
        for contender in contenders:
            cells[f"{regime}/{contender.name}"] = replace(cell, contender=contender)

    seeds = range(FIRST_SEED, FIRST_SEED + n)
    for regime, world in REGIMES.items():
        rivals = EVERYONE if is_full or regime in {"typ", "noisy"} else (TRIAL, PUBLISHED)
        cell = Cell(world=world, contender=TRIAL, seeds=seeds, budget=BUDGETS[regime])
        add(regime, cell, *rivals)
        if regime in {"typ", "noisy", "v40"}:
            add(f"{regime}, N=96", replace(cell, budget=None, candidates=96), TRIAL, PUBLISHED)
        if regime in {"typ", "noisy"}:
            add(f"{regime}, B/4", replace(cell, budget=BUDGETS[regime] / 4), TRIAL, PUBLISHED)
            add(f"{regime}, replay", replace(cell, world=replace(world, local=0.4)), TRIAL)
            if is_full:
                add(f"{regime}, 3B", replace(cell, budget=BUDGETS[regime] * 3), TRIAL, PUBLISHED)
    for i in range(n_worlds):
        world, budget = drawn(i)
        few = seeds[: max(4, n // 4)]
        add(f"world {i}", Cell(world=world, contender=TRIAL, seeds=few, budget=budget), TRIAL, PUBLISHED)
    return cells


def _table(seasons: Seasons) -> dict[str, dict[str, float]]:
    """True gain with its 95 % half-width and the share of false accepts, rule by rule."""
    rows = {key: asdict(summary(each)) for key, each in seasons.items()}
    header = f"{'regime':18} {'rule':20} {'gain':>12} {'FA':>4} {'harm':>4} {'missed':>6}"
    print(f"{header} {'accepted':>10} {'claim-val':>9} {'claim-truth':>11} {'gate rollouts':>13}")
    for key, row in rows.items():
        regime, rule = key.split("/")[0], key.rsplit("/", 1)[1]
        if regime.startswith("world"):
            continue
        regime = key.rsplit("/", 1)[0]
        print(
            f"{regime:18} {rule:20} {row['gain']:6.1f} ± {1.96 * row['se']:3.1f} {row['false_accepts']:4.0f}"
            f" {row['harmful']:4.0f} {row['missed']:6.0f} {row['n_accepted']:4.0f} of {row['n_candidates']:3.0f}"
            f" {row['claim_minus_val']:+9.1f} {row['claim_minus_truth']:+11.1f} {row['gate_rollouts']:13.0f}"
        )
    return {key: {name: round(value, 3) for name, value in row.items()} for key, row in rows.items()}


def _bars(seasons: Seasons, cells: dict[str, Cell], n_worlds: int, *, n_null: int) -> list[Bar]:
    found = [bar for rule in bars.VERSUS for bar in bars.versus(seasons, rule)]
    found += [*bars.claims(seasons), *bars.same_candidates(seasons), *bars.null_targets(n_null)]
    found += [*bars.worlds(seasons, n_worlds), *bars.replay(seasons), *bars.coverage(seasons), *bars.vectors()]
    again = played([replace(cells["typ/trial"], seeds=cells["typ/trial"].seeds[:3])], n_processes=1)[0]
    n_different = sum(a != b for a, b in zip(again, seasons["typ/trial"], strict=False))
    found.append(Bar(id="B11", what="campaigns that differ when played again", value=n_different, op="<=", bar=0))
    return sorted(found, key=lambda bar: int(bar.id[1:]))


def _knobs(n: int, n_processes: int) -> dict[str, dict[str, float]]:
    seeds = range(FIRST_SEED, FIRST_SEED + n)
    cells = {
        f"{regime}/{contender.name}": Cell(
            world=REGIMES[regime], contender=contender, seeds=seeds, budget=BUDGETS[regime]
        )
        for regime in ("typ", "noisy")
        for contender in KNOBS
    }
    return _table(dict(zip(cells, played(list(cells.values()), n_processes=n_processes), strict=True)))


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
