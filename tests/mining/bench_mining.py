"""How well and how fast failures are grouped: `make bench-mining`, or `python -m tests.mining.bench_mining N`.

N made-up failures (200,000 by default) of 40 modes under 10 classes, 8 % of them under a wrong class, go through all of
it (masking, embedding, grouping, the book) in one batch and again in ten. Truth is the mode; the topic is what
a failure must not be grouped by. CPU is user and system time of this process without the making of the failures, RSS
its peak. "Class alone" is what the labels give without any clustering, "no class" what clustering gives without labels.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sklearn.metrics import adjusted_rand_score, homogeneity_completeness_v_measure

from optimizer.domain.failure import Failure
from optimizer.mining.clusters import ClusterBook, ClusterRules
from tests.mining.made_failures import Made, made

N_BATCHES = 10
SEED = 2
BARS = {"cpu_s": 60.0, "rss_gb": 1.5, "v": 0.70, "v_gap": 0.02, "stable": 0.95}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """One pass over all failures."""

    ids: tuple[int, ...]
    """Cluster of each failure when all were absorbed."""
    first_ids: tuple[int, ...]
    """Cluster of each failure right after its batch."""
    n_found: tuple[int, ...]
    """New clusters of each batch."""
    n_merged: int
    cpu_s: float
    space_id: str


def grouped(failures: Sequence[Failure], n_batches: int) -> Grouped:
    """Absorb the failures in batches of equal size."""
    book = ClusterBook(ClusterRules(fruitless_limit=3, dormant_batches=3))
    size = -(-len(failures) // n_batches)
    first_ids: list[int] = []
    n_found: list[int] = []
    started = time.process_time()
    for n in range(n_batches):
        batch = failures[n * size : (n + 1) * size]
        known = len(book)
        book.absorb(n + 1, {failure.task_id: failure for failure in batch})
        n_found.append(len(book) - known)
        first_ids += (book.root(book.of(failure)) for failure in batch)
    return Grouped(
        ids=tuple(book.root(book.of(failure)) for failure in failures),
        first_ids=tuple(first_ids),
        n_found=tuple(n_found),
        n_merged=sum(cluster.parent is not None for cluster in book),
        cpu_s=time.process_time() - started,
        space_id=book.space_id,
    )


def row(name: str, everything: Sequence[Made], ids: Sequence[object], cpu_s: float | None = None) -> float:
    """Print one line of the table; the V-measure against the modes."""
    modes, topics = [each.mode for each in everything], [each.topic for each in everything]
    homogeneity, completeness, v = homogeneity_completeness_v_measure(modes, ids)
    spent = "" if cpu_s is None else f"{cpu_s:.1f}"
    print(
        f"{name:<28} {len(set(ids)):>8} {v:>7.3f} {homogeneity:>7.3f} {completeness:>7.3f}"
        f" {adjusted_rand_score(modes, ids):>9.3f} {adjusted_rand_score(topics, ids):>10.3f} {spent:>7}"
    )
    return float(v)


def main() -> int:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    everything = list(made(n, SEED))
    failures = [each.failure for each in everything]
    once = grouped(failures, 1)
    batched = grouped(failures, N_BATCHES)
    rss_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    unlabelled = grouped([replace(failure, label="any") for failure in failures[: n // 10]], 1)
    print(f"{n} failures of 40 modes, seed {SEED}, {once.space_id}")
    print(
        f"{'':<28} {'clusters':>8} {'V':>7} {'homog.':>7} {'compl.':>7} {'ARI mode':>9} {'ARI topic':>10} {'CPU s':>7}"
    )
    row("class alone", everything, [failure.label for failure in failures])
    row(f"no class, first {n // 10}", everything[: n // 10], unlabelled.ids, unlabelled.cpu_s)
    v_once = row("one batch", everything, once.ids, once.cpu_s)
    v_batched = row(f"{N_BATCHES} batches", everything, batched.ids, batched.cpu_s)
    row("medoids named without fault", everything, _named(everything, batched.ids))
    stable = sum(a == b for a, b in zip(batched.first_ids, batched.ids, strict=True)) / n
    same = adjusted_rand_score(once.ids, batched.ids)
    print(
        f"new clusters per batch {batched.n_found}, {batched.n_merged} merged, ARI of ten batches with one {same:.3f}"
    )
    figures = {
        "cpu_s": max(once.cpu_s, batched.cpu_s),
        "rss_gb": rss_gb,
        "v": min(v_once, v_batched),
        "v_gap": abs(v_once - v_batched),
        "stable": stable,
    }
    return _verdict(figures)


def _named(everything: Sequence[Made], ids: Iterable[int]) -> list[str]:
    """Each cluster under the name of its most frequent mode: what a perfect reader of medoids would merge."""
    counts: dict[int, dict[str, int]] = {}
    numbered = list(ids)
    for each, number in zip(everything, numbered, strict=True):
        of_cluster = counts.setdefault(number, {})
        of_cluster[each.mode] = of_cluster.get(each.mode, 0) + 1
    names = {number: max(of_cluster, key=lambda mode: of_cluster[mode]) for number, of_cluster in counts.items()}
    return [names[number] for number in numbered]


def _verdict(figures: dict[str, float]) -> int:
    least: dict[str, Callable[[float, float], bool]] = {"v": float.__ge__, "stable": float.__ge__}
    missed = [name for name, bar in BARS.items() if not least.get(name, float.__le__)(figures[name], bar)]
    print(", ".join(f"{name} {figures[name]:.3f} (bar {bar:g})" for name, bar in BARS.items()))
    print(f"missed: {', '.join(missed)}" if missed else "every bar is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
