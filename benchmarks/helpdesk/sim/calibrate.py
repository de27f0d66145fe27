"""Measure the simulated model: `python -m benchmarks.helpdesk.sim.calibrate [trials]` prints what rates.py states."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import anyio

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark, load
from benchmarks.helpdesk.sim.model import LapseRecord, SimModel
from benchmarks.helpdesk.sim.rates import DEFAULT_RATES, LapseKind, Rates
from benchmarks.helpdesk.sim.rehearse import Harness, Rehearsal
from optimizer.domain.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One rehearsed rollout."""

    task_id: str
    is_pass: bool
    lapses: tuple[LapseKind, ...]
    n_calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a number of rollouts show."""

    takes: tuple[Take, ...]

    @property
    def mean(self) -> float:
        """Share of passes."""
        return sum(take.is_pass for take in self.takes) / len(self.takes)

    @property
    def flips(self) -> float:
        """Chance that two identical runs of a random task disagree, without bias for the number of trials."""
        chances = []
        for passes in self.by_task().values():
            n, k = len(passes), sum(passes)
            chances.append(2 * k * (n - k) / (n * (n - 1)))
        return sum(chances) / len(chances)

    def by_task(self) -> Mapping[str, Sequence[bool]]:
        """Outcomes of each task."""
        outcomes: dict[str, list[bool]] = {}
        for take in self.takes:
            outcomes.setdefault(take.task_id, []).append(take.is_pass)
        return outcomes

    def causes(self) -> Mapping[str, float]:
        """Share of the failures each kind of lapse had a hand in; several in one rollout share it."""
        counts: dict[str, float] = {}
        failures = [take for take in self.takes if not take.is_pass]
        for take in failures:
            kinds: set[str] = {*take.lapses} or {"no lapse"}
            for kind in kinds:
                counts[kind] = counts.get(kind, 0.0) + 1 / len(kinds)
        ranked = sorted(counts.items(), key=lambda entry: -entry[1])
        return {kind: share / max(1, len(failures)) for kind, share in ranked}


async def measure(
    harness: Harness,
    *,
    trials: int = 1,
    seed: int = 7,
    rates: Rates = DEFAULT_RATES,
    tasks: Sequence[Task] = (),
    purpose: str = "calibrate",
) -> Figures:
    """Rehearse tasks (all of them by default) and count."""
    benchmark = load()
    records: list[LapseRecord] = []
    sim = SimModel(benchmark.plan, benchmark.policy, seed, rates=rates, on_lapse=records.append)
    takes = []
    for task in tasks or benchmark.tasks():
        for trial in range(trials):
            records.clear()
            takes.append(await _take(benchmark, sim, harness, task, luck=f"{task.id}/{purpose}/{trial}", log=records))
    return Figures(takes=tuple(takes))


async def _take(
    benchmark: HelpdeskBenchmark, sim: SimModel, harness: Harness, task: Task, *, luck: str, log: list[LapseRecord]
) -> Take:
    environment = await benchmark.open(task, trial=luck)
    rehearsal = Rehearsal(environment, sim, harness)
    score = await rehearsal.run(task.id, luck)
    await environment.close()
    kinds = tuple(record.kind for record in log)
    return Take(task_id=task.id, is_pass=score.is_pass, lapses=kinds, n_calls=rehearsal.n_calls)


def report(name: str, figures: Figures) -> Iterator[str]:
    """The figures of one harness in lines."""
    n_calls = sum(take.n_calls for take in figures.takes) / len(figures.takes)
    yield f"{name}: pass {figures.mean:.3f}, flips {figures.flips:.3f}, model calls per rollout {n_calls:.1f}"
    yield "  " + ", ".join(f"{kind} {share:.0%}" for kind, share in figures.causes().items())


def main() -> None:
    """Print the figures of the baseline harness."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    figures = anyio.run(lambda: measure(Harness(), trials=trials))
    print("\n".join(report("baseline (simulated)", figures)))


if __name__ == "__main__":
    main()
