"""Whole campaigns on helpdesk with the simulated model: the default rule beside `published`, and A/A campaigns.

`python -m tests.gate.bench_helpdesk [--seeds 20] [--rollouts 600] [--keep FILE]`. Per seed the same harness, tasks,
model, playbook and number of rollouts; truth is the pass rate of base and heads on val, replayed with luck no decision
has seen (the same luck for the three of them). In an A/A campaign every edit adds a comment to agent.py, and luck is
not shared between versions, so that candidate and trunk differ by luck alone. `--check` compares one campaign with the
same one in the sandbox. See `tests.gate.on_stage` for what is real. The last line is JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, redirect_stderr
from dataclasses import asdict, dataclass, replace
from functools import partial
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

import anyio

from optimizer.cli.compose import Workplace, open_workplace
from optimizer.cli.progress import Narrator
from optimizer.cli.session import begin, work
from optimizer.cli.starting import start_harness
from optimizer.config.settings import BudgetSection
from optimizer.domain.budget import BudgetLimits
from optimizer.domain.candidate import FileEdit, Proposal
from optimizer.domain.recording import IntendedCall, RecordedCall
from optimizer.domain.rollout import RolloutJob
from optimizer.ledger.connection import FILE_NAME
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.views import Page
from optimizer.propose.protocol import ProposalRequest
from tests.gate.on_stage import campaign, executor_of

FIRST_SEED = 500
"""No choice was made on this seed or a later one."""
ALPHA = 0.1
"""An edit that does not help its targets passes the target test at most this often."""
COMPARED = ("id", "status", "score")
Rule = Literal["trial", "published"]


class NullProposer:
    """Edits that change nothing but a comment."""

    name = "null"

    async def propose(self, request: ProposalRequest) -> Proposal | None:
        note = f"\n# note {len(request.tried)}\n".encode()
        return Proposal(
            title=f"note {len(request.tried)}",
            hypothesis="None: the edit changes nothing.",
            edits=(FileEdit(path="agent.py", content=request.files["agent.py"] + note),),
            target_tasks=request.target_tasks,
            rung="prompt",
            proposer=self.name,
        )


class NoRecords:
    """Of runs outside a campaign nothing is kept; the simulated model answers the same again."""

    def recorded(self, luck: str, request_hash: str, occurrence: int) -> RecordedCall | None:
        return None

    def intend(self, call: IntendedCall) -> int:
        return 0

    def withdraw(self, intent: int) -> None:
        pass

    def lose(self, intent: int) -> None:
        pass

    def record(self, call: RecordedCall, *, intent: int | None = None) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run for one seed."""

    seed: int
    rollouts: int
    trials: int
    is_null: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a campaign says of itself."""

    claim: float
    """Internal estimate of the head on val, as `hone status` shows it."""
    base_claim: float
    n_judged: int
    """Candidates that rollouts were spent on."""
    n_accepted: int
    reasons: tuple[str, ...]
    """Reason codes of all decisions, in order."""
    n_rollouts: int
    n_capped: int
    """Rollouts that a cap ended."""
    ending: str
    head: str
    base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One campaign and the truth."""

    seed: int
    rule: str
    told: Told
    true_base: float
    true_head: float

    @property
    def gain(self) -> float:
        return 100 * (self.true_head - self.true_base)

    @property
    def excess(self) -> float:
        return 100 * (self.told.claim - self.true_head)


def workplace_of(folder: Path, plan: Plan, rule: Rule) -> Workplace:
    start_harness(folder, name="bench", seed=plan.seed)
    place = open_workplace(folder)
    old = place.settings
    settings = old.model_copy(
        update={
            "budget": BudgetSection(rollouts=plan.rollouts),
            "gate": old.gate.model_copy(update={"rule": rule}),
            "loop": old.loop.model_copy(update={"concurrency": 1, "shared_luck": not plan.is_null}),
        }
    )
    place = replace(place, settings=settings)
    return replace(place, proposers=lambda: (NullProposer(),)) if plan.is_null else place


def told_by(place: Workplace) -> Told:
    base, head = place.repo.base(), place.repo.trunk()
    assert base is not None
    assert head is not None
    with LedgerReader.open(place.ledger_folder) as reader:
        status = reader.status()
        rows = reader.candidates(page=Page(limit=10_000))
    assert status.val_now is not None
    assert status.val_baseline is not None
    judged = [row for row in rows if row.verdict is not None and row.n_rollouts]
    return Told(
        claim=status.val_now,
        base_claim=status.val_baseline,
        n_judged=len(judged),
        n_accepted=sum(row.verdict == "accept" for row in judged),
        reasons=tuple(f"{row.verdict}:{row.reason_code}" for row in judged),
        n_rollouts=status.n_rollouts,
        n_capped=sum(status == "over_budget" for status, _ in outcomes(place).values()),
        ending=status.end_code or "",
        head=head,
        base=base,
    )


def run_on_stage(place: Workplace, scratch: Path) -> Told:
    async def session() -> None:
        with begin(place) as ledger:
            await campaign(place, ledger, scratch / "trees")

    with redirect_stderr(StringIO()):
        anyio.run(session)
    return told_by(place)


async def true_rate(place: Workplace, tree: str, folder: Path, trials: int) -> float:
    """Mean over val of the share passed, with luck no decision has seen."""
    executor = executor_of(place, NoRecords(), folder, is_direct=True)
    tasks = [task for task in place.benchmark.tasks() if task.split == "val"]
    jobs = [RolloutJob(tree=tree, task=task, purpose="replay", trial=n) for task in tasks for n in range(trials)]
    return fmean([(await executor.execute(job)).rollout.is_pass for job in jobs])


def played(plan: Plan) -> list[Row]:
    """One seed: both rules, or the A/A campaign, each in a folder of its own."""
    gc.set_threshold(50_000)  # traces are trees: little to collect, much to look through
    with tempfile.TemporaryDirectory() as name:
        if plan.is_null:
            told = run_on_stage(workplace_of(Path(name) / "harness", plan, "trial"), Path(name))
            return [Row(seed=plan.seed, rule="A/A", told=told, true_base=math.nan, true_head=math.nan)]
        return _rivals(plan, Path(name))


def _rivals(plan: Plan, folder: Path) -> list[Row]:
    rates: dict[str, float] = {}
    rows: list[Row] = []
    rules: tuple[Rule, ...] = ("trial", "published")
    for rule in rules:
        scratch = folder / rule
        scratch.mkdir()
        place = workplace_of(scratch / "harness", plan, rule)
        told = run_on_stage(place, scratch)
        rate = partial(true_rate, place, folder=scratch / "replayed", trials=plan.trials)
        base, head = (place.repo.describe(commit).harness_tree for commit in (told.base, told.head))
        for tree in {base, head} - rates.keys():
            rates[tree] = anyio.run(rate, tree)
        rows.append(Row(seed=plan.seed, rule=rule, told=told, true_base=rates[base], true_head=rates[head]))
    return rows


def checked(plan: Plan) -> dict[str, object]:
    """The same campaign on the stage and in the sandbox: do they record the same?"""
    with tempfile.TemporaryDirectory() as name:
        place = workplace_of(Path(name) / "stage", plan, "trial")
        there = run_on_stage(place, Path(name))
        boxed = workplace_of(Path(name) / "sandbox", plan, "trial")

        async def session() -> None:
            narrator = Narrator(limits=BudgetLimits(), is_simulated=True, is_terminal=False)
            with begin(boxed) as ledger:
                await work(boxed, ledger, narrator)

        with redirect_stderr(StringIO()):
            anyio.run(session)
        here = told_by(boxed)
        one, other = outcomes(place), outcomes(boxed)
    return {
        "rollouts": len(one),
        "same rollouts": one.keys() == other.keys(),
        "different outcomes": sum(one[key] != other.get(key) for key in one),
        "decisions": len(there.reasons),
        "same decisions": there.reasons == here.reasons,
        "same estimate": there.claim == here.claim,
    }


def outcomes(place: Workplace) -> dict[str, tuple[object, ...]]:
    """By rollout: how it ended, its score and what it used."""
    with closing(sqlite3.connect(place.ledger_folder / FILE_NAME)) as database:
        rows = database.execute(f"SELECT {', '.join(COMPARED)} FROM rollout").fetchall()
    return {row[0]: row[1:] for row in rows}


def mean_se(values: Sequence[float]) -> tuple[float, float]:
    return fmean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan


def line_of(row: Row) -> str:
    told = row.told
    truth = "" if math.isnan(row.gain) else f" gain {row.gain:+6.1f}  claim - true {row.excess:+6.1f}"
    accepted = f"accepted {told.n_accepted:2} of {told.n_judged:2}"
    return f"seed {row.seed} {row.rule:9} {accepted}, {told.n_rollouts} rollouts ({told.ending}),{truth}"


def compared(rows: Sequence[Row]) -> Iterable[tuple[str, tuple[float, float]]]:
    """Figures of the two rules over the seeds both have played."""
    by = {(row.rule, row.seed): row for row in rows}
    seeds = sorted({row.seed for row in rows if ("trial", row.seed) in by and ("published", row.seed) in by})
    if not seeds:
        return
    for rule in ("trial", "published"):
        own = [by[rule, seed] for seed in seeds]
        yield f"{rule}: true gain, points", mean_se([row.gain for row in own])
        yield f"{rule}: claim - true val, points", mean_se([row.excess for row in own])
        yield f"{rule}: accepted", mean_se([row.told.n_accepted for row in own])
        yield f"{rule}: judged", mean_se([row.told.n_judged for row in own])
        yield f"{rule}: rollouts", mean_se([row.told.n_rollouts for row in own])
        yield f"{rule}: rollouts ended by a cap", mean_se([row.told.n_capped for row in own])
    bases = [by["trial", seed] for seed in seeds]
    yield "base: claim - true val, points", mean_se([100 * (row.told.base_claim - row.true_base) for row in bases])
    gaps = [by["trial", seed].gain - by["published", seed].gain for seed in seeds]
    yield "trial - published, same seed: true gain, points", mean_se(gaps)


def null_figures(rows: Sequence[Row]) -> dict[str, float]:
    """Share of null edits that were accepted, by route, over all campaigns."""
    own = [row.told for row in rows if row.rule == "A/A"]
    n = sum(told.n_judged for told in own)
    if not n:
        return {}
    routes = {reason for told in own for reason in told.reasons if reason.startswith("accept:")}
    counted = {route: sum(told.reasons.count(route) for told in own) / n for route in sorted(routes)}
    claimed, se = mean_se([100 * (told.claim - told.base_claim) for told in own])
    return {
        "campaigns": len(own),
        "judged": n,
        "accepted": sum(told.n_accepted for told in own),
        "share accepted": sum(told.n_accepted for told in own) / n,
        **counted,
        "bound on the target test": ALPHA,
        "claimed change, points": claimed,
        "claimed change, se": se,
    }


def main() -> None:
    arguments = _arguments()
    plan = Plan(seed=arguments.first, rollouts=arguments.rollouts, trials=arguments.trials)
    if arguments.check:
        print(json.dumps(checked(plan)))
        return
    rows = kept(arguments.keep)
    if not arguments.report:
        rows += _played(arguments, plan, {(row.seed, row.rule == "A/A") for row in rows})
    _report(rows)


def kept(file: Path | None) -> list[Row]:
    """What an earlier run has finished."""
    lines = file.read_text().splitlines() if file and file.exists() else []
    found = [json.loads(line) for line in lines]
    told = [Told(**{**row["told"], "reasons": tuple(row["told"]["reasons"])}) for row in found]
    return [Row(**{**row, "told": one}) for row, one in zip(found, told, strict=True)]


def _played(arguments: argparse.Namespace, plan: Plan, done: set[tuple[int, bool]]) -> list[Row]:
    started = time.monotonic()
    nulls = replace(plan, rollouts=arguments.null_rollouts, is_null=True)
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    plans = [replace(nulls if is_null else plan, seed=seed) for seed in seeds for is_null in _kinds(arguments)]
    todo = [one for one in plans if (one.seed, one.is_null) not in done]
    rows: list[Row] = []
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for finished in as_completed([pool.submit(played, one) for one in todo]):
            rows += finished.result()
            for row in finished.result():
                print(f"{line_of(row)}  [{time.monotonic() - started:.0f} s]", flush=True)
                if arguments.keep:
                    with arguments.keep.open("a") as file:
                        file.write(json.dumps(asdict(row)) + "\n")
    return rows


def _kinds(arguments: argparse.Namespace) -> tuple[bool, ...]:
    """Whether a seed is played with the null proposer, without, or both."""
    return {"rules": (False,), "null": (True,)}.get(arguments.only, (False, True))


def _report(rows: Sequence[Row]) -> None:
    figures = dict(compared(rows))
    print(f"\n{len({row.seed for row in rows})} seeds")
    for name, (value, se) in figures.items():
        print(f"{name:52} {value:8.2f} +- {se:.2f}")
    null = null_figures(rows)
    for name, share in null.items():
        print(f"A/A {name:48} {share:8.3f}")
    found = {name: [round(value, 4), round(se, 4)] for name, (value, se) in figures.items()}
    print(json.dumps({"rules": found, "null": null, "rows": [asdict(row) for row in rows]}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="first seed")
    parser.add_argument("--rollouts", type=int, default=600, help="of each campaign")
    parser.add_argument("--null-rollouts", type=int, default=300, help="of each A/A campaign")
    parser.add_argument("--keep", type=Path, help="file for finished campaigns; those in it are not played again")
    parser.add_argument("--report", action="store_true", help="only show what --keep holds")
    parser.add_argument("--trials", type=int, default=4, help="per val task, for the truth")
    parser.add_argument("--only", choices=("rules", "null"), help="leave the other part out")
    parser.add_argument("--check", action="store_true", help="compare one campaign with the same one in the sandbox")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
