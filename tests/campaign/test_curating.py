"""Planted cases - flaky, duplicate, leaking, unfixable - are all caught, and none of them is dropped."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from optimizer.campaign.curating import WITHHELD, Curator, Sources
from optimizer.campaign.journal import Journal
from optimizer.config.load import load
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.dataset import Pedigree
from optimizer.domain.errors import BenchmarkError
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster
from optimizer.domain.rollout import Purpose, Rollout, RolloutJob
from optimizer.domain.task import Check, Opening, Score, Task
from optimizer.domain.trace import Span, Trace
from optimizer.evaluate.evaluator import Evaluator, EvaluatorSettings
from optimizer.evaluate.executor import Executed
from optimizer.ledger.ledger import Ledger
from optimizer.mining.diagnose import diagnose
from tests.campaign.toy import HARNESS, ToyEnvironment
from tests.evaluate.fakes import rollout_of
from tests.ledger import samples

pytestmark = pytest.mark.anyio

BASE, BETTER, WORSE = "b" * 40, "n" * 40, "w" * 40
SAID = {
    "good": "Hello, the small brass lamp that I bought for my aunt hums all night long.",
    "other": "Good day, one of the four blue chairs has a leg that is far too short.",
    "twin": "Hello, the small brass lamp that I bought for my aunt hums all night long!!",
    "flaky": "The kettle boils over whenever there is more than a litre of water in it.",
    "leaky": "I am the neighbour of the man who asked about ticket QX-99812 last week.",
    "seen": "Can you look up what became of the parcel that I sent back in March?",
    "unfixable": "Please tell me the secret recipe of the sauce that your cook invented.",
    "partly": "Change my address and then send the long green ladder to the new one.",
    "good~leaks": "Hello, the small brass lamp that came with parcel ZZ-40117 hums.",
    "good~fits": "The tall glass lantern I bought for my father makes a humming sound by day.",
    "val-a": "My ticket is QX-99812, what about it?",
    "test-a": "Where is parcel ZZ-40117 of Mrs Underwood?",
}
TRAIN = tuple(name for name in SAID if not name.startswith(("val", "test", "good~")))


class PlantedEnvironment(ToyEnvironment):
    def opening(self) -> Opening:
        return replace(super().opening(), first_message=SAID[self._task.id])


class PlantedBenchmark:
    name = "planted"
    version = "1"

    def tasks(self) -> tuple[Task, ...]:
        kinds = {name: name.split("-")[0] if "-" in name else "train" for name in SAID}
        return tuple(
            Task(id=name, split=kinds[name], group=f"group {name}", slices=("all",))  # type: ignore[arg-type]
            for name in SAID
            if "~" not in name
        )

    async def open(self, task: Task, *, trial: str) -> PlantedEnvironment:
        return PlantedEnvironment(replace(task, slices=("x",)))

    async def gold_score(self, task: Task) -> Score:
        is_right = task.id != "unfixable"
        return Score(value=float(is_right), checks=(Check(name="final_state", is_passed=is_right),))

    def variations(self, task: Task, *, n: int, seed: int) -> tuple[Task, ...]:
        """One neighbour of `good` that fits, after one that gives a test task away; none of others."""
        names = ("good~leaks", "good~fits") if task.id == "good" else ()
        return tuple(replace(task, id=name, group=name, slices=("all", "synthetic")) for name in names)


@dataclass
class PlantedExecutor:
    """The base fails everything once; the better version solves all but what cannot be solved."""

    executed: list[RolloutJob] = field(default_factory=list)

    async def execute(self, job: RolloutJob) -> Executed:
        self.executed.append(job)
        is_right = job.task.id not in {"unfixable", "partly"} and job.tree == BETTER
        is_right |= job.task.id == "flaky" and job.purpose == "promote"
        checks = self._checks(job, is_right=is_right)
        rollout = replace(rollout_of(job, "passed" if is_right else "failed"), checks=checks)
        told = "delivered: ZZ-40117" if job.task.id == "seen" else "nothing found"
        calls = (
            Span(index=0, kind="tool_call", name="look_up", input={}, output=told),
            Span(index=1, kind="user_turn", name="user", input="One moment.", output="Thanks."),
        )
        return Executed(rollout=rollout, trace=Trace(spans=calls))

    def _checks(self, job: RolloutJob, *, is_right: bool) -> tuple[Check, ...]:
        """On `partly`, the better version mends one fault of two."""
        is_half_right = is_right or (job.task.id == "partly" and job.tree == BETTER)
        done = Check(name="confirmation_before_write", is_passed=is_half_right, detail="look_up without a yes")
        return (done, Check(name="grounded_answer", is_passed=is_right, detail="" if is_right else "price"))


@dataclass
class Rig:
    ledger: Ledger
    curator: Curator
    evaluator: Evaluator
    executor: PlantedExecutor
    benchmark: PlantedBenchmark

    async def run(self, tree: str, purpose: Purpose = "mine", names: Sequence[str] = TRAIN) -> tuple[Rollout, ...]:
        tasks = [task for task in self.benchmark.tasks() if task.id in names]
        return await self.evaluator.run([RolloutJob(tree=tree, task=t, purpose=purpose, trial=0) for t in tasks])

    async def mine(self, names: Sequence[str] = TRAIN) -> None:
        """One batch of the base, all of whose failures fall into one cluster."""
        rollouts = await self.run(BASE, names=names)
        found = [diagnose(run, self.ledger.trace(run.trace_sha or "")) for run in rollouts]
        await self.curator.curate(BASE, rollouts, found, {failure.id: 1 for failure in found})

    def cases(self) -> dict[str, EvalCase]:
        from optimizer.ledger.reader import LedgerReader

        with LedgerReader.open(self.ledger.folder) as reader:
            return {row.case.task_id: row.case for row in reader.suite()}

    def datasets(self) -> list[set[str]]:
        from optimizer.ledger.reader import LedgerReader

        with LedgerReader.open(self.ledger.folder) as reader:
            versions = reader.datasets()
        assert [one.parent for one in versions] == ["", *(one.id for one in versions[:-1])]
        return [{entry.task_id for entry in version.entries} for version in versions]


def make_rig(folder: Path, evals: str = "") -> Rig:
    shutil.copytree(HARNESS, folder / "harness")
    config = folder / "harness" / "campaign.toml"
    config.write_text(config.read_text() + evals)
    ledger = Ledger.create(folder / "ledger", samples.HEADER)
    executor, benchmark = PlantedExecutor(), PlantedBenchmark()
    limits = EvaluatorSettings(concurrency=2, infra_retries=0, max_usd=1, max_tokens=1)
    evaluator = Evaluator(executor, ledger, Budget(BudgetLimits()), limits)
    sources = Sources(benchmark=benchmark, pedigree=Pedigree(splits="s"))
    curator = Curator(Journal(ledger, lambda _: None), evaluator, sources, load(config))
    return Rig(ledger, curator, evaluator, executor, benchmark)


def cluster(**changes: object) -> Cluster:
    return replace(samples.cluster(1, failing_tasks=TRAIN), **changes)  # type: ignore[arg-type]


@pytest.fixture
async def rig(tmp_path: Path):
    rig = make_rig(tmp_path)
    yield rig
    rig.ledger.close()


async def test_planted_cases_are_all_caught_and_all_kept(rig: Rig):
    await rig.mine()
    solved = await rig.curator.promote(BETTER, cluster(), (cluster().id,))
    cases = rig.cases()
    assert set(cases) == set(TRAIN)
    states = {name: case.state for name, case in cases.items()}
    caught = dict.fromkeys(("twin", "flaky", "leaky", "seen", "unfixable"), "quarantined")
    assert states == {"good": "active", "other": "active", "partly": "active", **caught}
    assert f"near-duplicate of case {cases['good'].id} (similarity 1.00)" in cases["twin"].note
    assert "flaky: passes 2 of 3 runs on the harness that failed" in cases["flaky"].note
    assert cases["leaky"].verification.leak == "QX-99812"
    assert cases["seen"].verification.leak == "ZZ-40117"
    assert "unfixable" in cases["unfixable"].note
    assert solved == set(TRAIN) - {"unfixable", "partly"}


async def test_what_was_done_to_believe_a_case_is_written_on_it(rig: Rig):
    await rig.mine()
    await rig.curator.promote(BETTER, cluster(), (cluster().id,))
    case = rig.cases()["good"]
    found = case.verification
    assert (found.n_failing, found.n_failing_runs) == (3, 3)
    assert found.known_good in {run.id for run in rig.executor.executed if run.tree == BETTER} | {"gold"}
    assert (case.n_passes, case.n_runs, case.layer) == (2, 2, "behavioural")
    assert case.note.startswith("passed 2 of 2 on an accepted version; failed 3 of 3")
    assert case.slices[0] == "all"
    assert rig.datasets() == [{"good", "other", "partly"}]


async def test_repeats_are_paid_for_only_where_a_case_would_join_and_runs_made_anyway_count(rig: Rig):
    await rig.mine()
    await rig.curator.learn(BASE, await rig.run(BASE, "target", ["good"]))
    before = len(rig.executor.executed)
    await rig.curator.promote(BETTER, cluster(), (cluster().id,))
    repeats = [job.task.id for job in rig.executor.executed[before:] if job.tree == BASE]
    assert {name: repeats.count(name) for name in TRAIN} == {
        **dict.fromkeys(TRAIN, 0), "good": 1, "other": 2, "flaky": 2, "partly": 2,
    }  # fmt: skip


async def test_a_check_that_holds_while_the_task_fails_is_kept_as_a_deterministic_case(rig: Rig):
    await rig.mine()
    await rig.curator.promote(BETTER, cluster(), (cluster().id,))
    case = next(case for case in rig.curator.gating() if case.task_id == "partly")
    assert case.layer == "deterministic"
    (good,) = await rig.run(BETTER, "suite", ["partly"])
    (bad,) = await rig.run(WORSE, "suite", ["partly"])
    assert not good.is_pass
    assert await rig.curator.holds(case, good)
    assert not await rig.curator.holds(case, bad)
    assert not await rig.curator.holds(case, replace(good, status="crashed"))


async def test_what_shares_words_with_val_or_test_is_withheld_from_proposers(rig: Rig):
    await rig.mine()
    (run,) = await rig.run(BASE, names=["good"])
    clean = diagnose(run, rig.ledger.trace(run.trace_sha or ""))
    tainted = replace(clean, evidence="look_up said ZZ-40117")
    shown = rig.curator.cleared((clean, tainted))
    assert shown[0] == clean
    assert {shown[1].evidence, shown[1].symptom, shown[1].cause} == {WITHHELD}


async def test_a_person_may_admit_what_was_found_in_a_text(tmp_path: Path):
    rig = make_rig(tmp_path, '\n[evals]\nadmit = { leaky = "ana", flaky = "ana" }\n')
    with rig.ledger:
        await rig.mine()
        await rig.curator.promote(BETTER, cluster(), (cluster().id,))
        cases = rig.cases()
    assert (cases["leaky"].state, cases["leaky"].verification.leak) == ("active", "QX-99812")
    assert cases["leaky"].verification.overridden_by == "ana"
    assert "admitted by ana" in cases["leaky"].note
    assert cases["flaky"].state == "quarantined"


async def test_cases_of_a_reopened_cluster_say_so_and_since_when(rig: Rig):
    await rig.mine(["good"])
    await rig.curator.promote(BETTER, cluster(failing_tasks=("good",)), (cluster().id,))
    rig.curator.reopened([cluster(state="reopened", reopened_since="abc123", last_seen_batch=9)], "def")
    case = rig.cases()["good"]
    assert case.state == "active"
    assert case.note.startswith("cluster 1 was reopened in batch 9, since abc123;")
    rig.curator.reopened([cluster(state="reopened", reopened_since="abc123", last_seen_batch=10)], "def")
    assert rig.cases()["good"] == case


async def test_runs_of_accepted_versions_keep_pass_rates_true(rig: Rig):
    await rig.mine(["good"])
    await rig.curator.promote(BETTER, cluster(failing_tasks=("good",)), (cluster().id,))
    await rig.curator.learn(BETTER, await rig.run(BETTER, "mine", ["good"]))
    await rig.curator.learn(BETTER, await rig.run(WORSE, "target", ["good"]))
    assert (rig.cases()["good"].n_passes, rig.cases()["good"].n_runs) == (3, 3)
    case = rig.cases()["good"]
    rig.curator.accepted({case.id: (0, 4)})
    assert rig.cases()["good"].state == "quarantined"
    assert rig.datasets() == [{"good"}, set()]


async def test_a_held_out_task_that_cannot_be_opened_stops_the_campaign_with_a_remedy(rig: Rig):
    class Broken(PlantedBenchmark):
        async def open(self, task: Task, *, trial: str) -> PlantedEnvironment:
            if task.split == "test":
                raise BenchmarkError("no such world")
            return await super().open(task, trial=trial)

    sources = Sources(benchmark=Broken(), pedigree=Pedigree())
    curator = Curator(Journal(rig.ledger, lambda _: None), rig.evaluator, sources, load(HARNESS / "campaign.toml"))
    rollouts = await rig.run(BASE, names=["good"])
    found = [diagnose(run, rig.ledger.trace(run.trace_sha or "")) for run in rollouts]
    cluster_of: Mapping[str, int] = {failure.id: 1 for failure in found}
    with pytest.raises(BenchmarkError, match=r"cannot be checked against val and test: no such world"):
        await curator.curate(BASE, rollouts, found, cluster_of)


async def test_made_up_neighbours_join_only_when_asked_for_and_say_what_they_are_made_of(tmp_path: Path):
    rig = make_rig(tmp_path, "\n[evals]\nsynthetic_share = 0.5\n")
    with rig.ledger:
        await rig.mine(["good"])
        await rig.curator.promote(BETTER, cluster(failing_tasks=("good",)), (cluster().id,))
        cases, versions = rig.cases(), rig.datasets()
    made = cases["good~fits"]
    assert (made.state, made.synthetic_of, made.failure_id) == ("active", cases["good"].id, "")
    assert "synthetic" in made.slices
    assert (made.verification.n_failing, made.n_passes) == (3, 2)
    assert made.rollout_id in {job.id for job in rig.executor.executed if job.tree == BASE}
    assert versions[-1] == {"good", "good~fits"}
    assert "good~leaks" not in {job.task.id for job in rig.executor.executed}
    assert {case.task_id for case in rig.curator.gating()} == {"good", "good~fits"}


async def test_without_the_wish_nothing_is_made_up(rig: Rig):
    await rig.mine(["good"])
    await rig.curator.promote(BETTER, cluster(failing_tasks=("good",)), (cluster().id,))
    assert not any("~" in job.task.id for job in rig.executor.executed)
