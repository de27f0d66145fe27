"""Generate a large campaign and time what a reader asks of it: `python -m tests.ledger.bench_ledger [folder]`.

10,000 candidates, 480,000 task results, 25,000 rollouts with 1,000,000 trace events. Task results and traces go through
the store in large transactions, since the point is what reading costs; what writing costs is measured on 1,000 rollouts
recorded one by one. With `--live` a writer goes on recording while the reader asks.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from optimizer.domain.failure import Failure
from optimizer.domain.trace import Span, Trace, Usage
from optimizer.ledger import rows, schema
from optimizer.ledger.codec import trace_to_bytes
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.store import Store
from optimizer.ledger.totals import rollout_totals
from optimizer.ledger.views import CandidateFilter, Page
from tests.ledger import samples

N_FAILURES = 20_000
N_CANDIDATES, N_TASKS, N_ROLLOUTS, N_EVENTS_PER_TRACE = 10_000, 48, 25_000, 40
REASONS = ("noise", "suite", "val", "cost", "time", "crash", "smoke", "target", "broad")
WORDS = tuple(f"{word}{number}" for word in ("order", "refund", "policy", "customer", "tool") for number in range(200))


def text(dice: random.Random, n_words: int) -> str:
    return " ".join(dice.choices(WORDS, k=n_words))


def large_trace(dice: random.Random, number: int) -> Trace:
    kinds = ("model_call", "tool_call", "user_turn", "check")
    return Trace(
        spans=tuple(
            Span(
                index=index,
                kind=kinds[index % 4],
                name="get_order",
                input={"messages": [{"role": "user", "content": text(dice, 20)}], "n": number},
                output=text(dice, 15),
                usage=samples.CALL_USAGE if index % 4 == 0 else Usage(),
            )
            for index in range(N_EVENTS_PER_TRACE)
        )
    )


def generate(folder: Path) -> None:
    """The campaign's rows, a thousand to a transaction."""
    dice = random.Random(1)
    Ledger.create(folder, samples.HEADER).close()
    store = Store(folder)
    for first in range(0, N_ROLLOUTS, 500):
        with store.transaction():
            for number in range(first, first + 500):
                add_rollout(store, dice, number)
            totals = rollout_totals(store.database)
            row = {"n_rollouts": totals.n_rollouts, "n_unpriced": 0}
            store.insert(schema.TALLY, row | rows.usage_columns(totals.usage))
    for first in range(1, N_CANDIDATES + 1, 250):
        with store.transaction():
            for n in range(first, first + 250):
                add_candidate(store, dice, n)
    with store.transaction():
        add_clusters_cases_and_spend(store, dice)
    store.close()


def add_clusters_cases_and_spend(store: Store, dice: random.Random) -> None:
    for cluster in range(1, 121):
        for batch in range(100):
            changed = samples.cluster(cluster, n_failures=batch, state=dice.choice(("open", "resolved")))
            store.insert(schema.CLUSTER, rows.cluster_row(changed, batch, 0))
    for number in range(N_FAILURES):
        add_failure(store, number)
    for number in range(400):
        made = samples.case(
            id=f"{number:016x}", state="active", cluster_id=number % 120 + 1, failure_id=failure_of(number).id
        )
        store.insert(schema.EVAL_CASE, rows.case_row(made, 1, 0))
    for seq in range(60_000):
        store.insert(schema.SPEND, spend_row(seq))


def add_rollout(store: Store, dice: random.Random, number: int) -> None:
    trace = large_trace(dice, number)
    sha = store.put_blob(trace_to_bytes(trace), "trace")
    store.insert_new(schema.TRACE_EVENT, rows.trace_event_rows(sha, trace))
    of = samples.job(number % 300, number // 300)
    store.insert(schema.TASK, rows.task_row(of.task))
    store.insert(schema.ROLLOUT, rows.rollout_row(samples.rollout(of), sha, float(number)))


def add_candidate(store: Store, dice: random.Random, n: int) -> None:
    candidate = samples.candidate(n)
    record = samples.ProposalRecord(n=n, batch=n // 3, cluster_id=n % 120 + 1, proposal=samples.proposal(text(dice, 6)))
    store.insert(schema.PROPOSAL, rows.proposal_row(record, [], 0.0))
    diff_sha = store.put_blob(candidate.diff.encode(), "diff")
    parent_n = max(1, n - n % 35) if n > 35 else None
    store.insert(schema.CANDIDATE, rows.candidate_row(candidate, parent_n, diff_sha, 0.0))
    is_accepted = n % 35 == 0
    decision = samples.decision(n, "accept" if is_accepted else "reject")
    row = rows.decision_row(decision, 0.0) | {"val_after": dice.gauss(0.6, 0.05), "reason": text(dice, 10)}
    store.insert(schema.DECISION, row | {"reason_code": "target" if is_accepted else dice.choice(REASONS)})
    for position, check in enumerate(decision.checks * 2):
        store.insert(schema.GATE_CHECK, rows.check_row(n, position, check))
    if is_accepted:
        row = {"candidate": n, "commit_sha": candidate.commit, "position": n // 35, "recorded_at": 0.0}
        store.insert(schema.ACCEPTED, row)
    store.insert(
        schema.EVENT, {"seq": n, "kind": "decided", "candidate": n, "text": text(dice, 12), "recorded_at": 0.0}
    )
    store.insert_new(schema.TASK_RESULT, [result_row(dice, n, task) for task in range(N_TASKS)])


def result_row(dice: random.Random, n: int, task: int) -> rows.Columns:
    passed = dice.random() < 0.6
    flipped = dice.random() < 0.1
    return {
        "candidate": n,
        "split": "train",
        "task_id": f"t{task:04d}",
        "purpose": "suite",
        "trial": 0,
        "is_passed": passed,
        "base_passed": passed != flipped,
        "rollout_id": f"{n * 100 + task:016x}",
    }


def failure_of(number: int) -> Failure:
    return replace(samples.failure(samples.job(number % 300, number // 300)), id=f"{number:08x}{number:08x}")


def add_failure(store: Store, number: int) -> None:
    """Half of all failures fall into the first cluster."""
    failure = failure_of(number)
    store.insert(schema.FAILURE, rows.failure_row(failure, number // 10))
    cluster = 1 if number % 2 else number % 119 + 2
    store.insert(schema.CLUSTER_MEMBER, {"cluster_id": cluster, "failure_id": failure.id})


def spend_row(seq: int) -> rows.Columns:
    return {"seq": seq, "usd": 0.001 * seq, "tokens": seq, "rollouts": seq, "candidates": seq // 6, "recorded_at": 0.0}


def write_one_by_one(folder: Path, n_rollouts: int = 1000) -> None:
    dice = random.Random(2)
    traces = [large_trace(dice, 10**6 + number) for number in range(n_rollouts)]
    times: dict[str, list[float]] = {"rollout": [], "call": [], "lookup": []}
    body = '{"choices":[{"message":{"content":"' + text(dice, 80) + '"}}]}'
    with Ledger.open(folder) as ledger:
        for number, trace in enumerate(traces):
            of = samples.job(number % 300, 10_000 + number)
            for request in range(10):
                call = samples.call(of, request, body=body)
                times["call"].append(timed(lambda call=call: ledger.record(call)))
                key = (call.luck, call.request_hash, 0)
                times["lookup"].append(timed(lambda key=key: ledger.recorded(*key)))
            times["rollout"].append(timed(lambda of=of, trace=trace: ledger.record_rollout(samples.rollout(of), trace)))
    for name, each in times.items():
        show(f"write: {name}", each, 1)
    seconds = [timed(lambda trace=trace: trace_to_bytes(trace)) for trace in traces]
    show("  of a rollout: trace as JSON bytes", seconds, len(trace_to_bytes(traces[0])))


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def show(name: str, seconds: list[float], n_rows: int) -> None:
    p95 = statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    print(f"{name:<52} {n_rows:>7}  {1000 * statistics.median(seconds):>9.3f} {1000 * p95:>9.3f}", flush=True)


def read(folder: Path) -> None:
    with LedgerReader.open(folder) as reader:
        sha = reader.search_traces("order1")[0].trace_sha
        newest = Page(is_newest_first=True)
        asked: dict[str, tuple[int, Callable[[], object]]] = {
            "pragma data_version": (300, reader.version),
            "events since seq": (100, lambda: reader.events(5000)),
            "all candidates id, parent, status": (9, reader.tree),
            "ids ordered by val": (9, reader.numbers_by_val),
            "ids with reason_code = ?": (50, lambda: reader.numbers_by_reason("suite")),
            "one page of candidates": (100, lambda: reader.candidates(page=Page(after=5000))),
            "one page of candidates with a reason": (
                50,
                lambda: reader.candidates(CandidateFilter(reason_code="cost")),
            ),
            "candidate in full": (100, lambda: reader.candidate(5001)),
            "flips of a candidate": (100, lambda: reader.flips(5001)),
            "history of a task": (50, lambda: reader.task_history("t0007")),
            "accepted only": (50, reader.accepted),
            "score scatter": (9, reader.scores),
            "reason histogram": (20, reader.reasons),
            "cluster list": (20, reader.clusters),
            "one cluster with history": (50, lambda: reader.cluster(7)),
            "suite list": (20, reader.suite),
            "budget series over 60k ticks": (20, reader.budget_series),
            "status": (20, reader.status),
            "lineage of a commit": (20, lambda: lineage(reader, samples.candidate(35 * 120).commit)),
            "lineage of the largest cluster": (20, lambda: lineage(reader, "k1")),
            "lineage of a trace": (20, lambda: lineage(reader, sha)),
            "lineage of a case": (20, lambda: lineage(reader, f"case:{7:016x}")),
            "lineage of a beginning of an id": (20, lambda: reader.choices("00001")),
            "events of a trace": (100, lambda: reader.trace_events(sha)),
            "one trace": (50, lambda: reader.trace(sha)),
            "LIKE over titles and reasons": (9, lambda: reader.candidates(CandidateFilter(text="nowhere"), newest)),
            "LIKE over 1M previews": (3, lambda: reader.search_traces("nowhere")),
        }
        for name, (repeats, action) in asked.items():
            answer = action()
            seconds = [timed(action) for _ in range(repeats)]
            show(name, seconds, len(answer) if isinstance(answer, tuple) else 1)


def lineage(reader: LedgerReader, asked: str) -> object:
    (subject,) = reader.choices(asked).items
    return reader.lineage(subject)


def live(folder: Path) -> None:
    """Commit about forty rows every 20 ms until stdin closes."""
    dice = random.Random(time.time_ns())
    with Ledger.open(folder) as ledger:
        ledger.start_session(1, "bench")
        print("writing", flush=True)
        number = time.time_ns()
        while True:
            number += 1
            ledger.record_rollout(samples.rollout(samples.job(1, number)), large_trace(dice, number))
            ledger.record_event(number, "note", None, text(dice, 12))
            time.sleep(0.02)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", nargs="?", type=Path)
    options.add_argument("--live", action="store_true")
    options.add_argument("--as-writer", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.as_writer:
        live(chosen.folder)
    folder = chosen.folder or Path(tempfile.mkdtemp()) / "bench"
    try:
        if not folder.exists():
            print(f"generated in {timed(lambda: generate(folder)):.0f} s", flush=True)
        for path in sorted(folder.iterdir()):
            print(f"  {path.name}: {path.stat().st_size / 2**20:.1f} MiB")
        print(f"{'':<52} {'rows':>7}  {'p50 ms':>9} {'p95 ms':>9}")
        read_beside_writer(folder) if chosen.live else read(folder)
        if not chosen.live:
            write_one_by_one(folder)
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder.parent)


def read_beside_writer(folder: Path) -> None:
    command = [sys.executable, "-m", "tests.ledger.bench_ledger", str(folder), "--as-writer"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        read(folder)
        writer.kill()


if __name__ == "__main__":
    main()
