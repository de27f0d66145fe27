"""A batch becomes failures and clusters: redacted, asked about, looked at by a model, and the same after a resume."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from optimizer.campaign.curating import Curator, Sources
from optimizer.campaign.diagnosing import DiagnosisRules, Diagnostician
from optimizer.campaign.journal import Journal
from optimizer.campaign.mining import Lens, Mined, Miner
from optimizer.campaign.paying import Account
from optimizer.campaign.redacting import redacting
from optimizer.campaign.reviewing import ReviewDesk
from optimizer.campaign.steering import Steering
from optimizer.cli.datasets import chosen, write_export
from optimizer.config.load import load
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.dataset import Pedigree
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Check, Opening, Task
from optimizer.domain.trace import Span, Trace
from optimizer.evaluate.evaluator import Evaluator, EvaluatorSettings
from optimizer.evaluate.executor import Executed
from optimizer.ledger.control import ReviewPayload, send
from optimizer.ledger.digest import content_digest
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from optimizer.mining.cluster_entry import MergeProposal
from optimizer.mining.diagnose import diagnose
from optimizer.mining.diagnosis_prompt import known_classes
from optimizer.mining.induction import base_of
from optimizer.mining.taxonomy import default_taxonomy, shipped_text
from optimizer.propose.model_request import request_text
from optimizer.propose.protocol import ProposalRequest
from optimizer.telemetry.pseudonyms import PSEUDONYM, project_key
from optimizer.telemetry.redact import REDACTION_VERSION, Redactor
from tests.campaign.toy import HARNESS, ToyBenchmark, ToyEnvironment
from tests.evaluate.fakes import rollout_of
from tests.ledger import samples
from tests.mining.cases import said
from tests.models.own_models import PRICE, TURN_USD, call, heard_text, own_model
from tests.models.wire_server import WireServer, wire_server

pytestmark = pytest.mark.anyio

BASE, BETTER = "b" * 40, "n" * 40
MAIL, CARD = "jane.roe@example.com", "4111 1111 1111 1111"
PERSONAL = (MAIL, CARD, "Jane", "Roe")
DIAGNOSIS = "submit_diagnosis"
QUOTED = "I do it for you at once."


class DeskEnvironment(ToyEnvironment):
    def opening(self) -> Opening:
        return replace(super().opening(), first_message=f"Something is wrong with item {self._task.id}.")


class DeskBenchmark(ToyBenchmark):
    def tasks(self) -> tuple[Task, ...]:
        return tuple(Task(id=f"train-{n}", split="train", group=f"g{n}", slices=("all",)) for n in range(2))

    async def open(self, task: Task, *, trial: str) -> DeskEnvironment:
        return DeskEnvironment(task)


@dataclass
class DeskExecutor:
    """Jane's request is refused by the base in every task; the better version helps her."""

    has_two_kinds: bool = False

    async def execute(self, job: RolloutJob) -> Executed:
        is_right = job.tree == BETTER
        name = "house_rule" if self.has_two_kinds and job.task.id == "train-1" else "final_state"
        check = Check(name=name, is_passed=is_right, detail=f"told {MAIL}, Jane Roe, card {CARD}")
        user = {"first_name": "Jane", "last_name": "Roe", "email": MAIL}
        spans = (
            Span(index=0, kind="user_turn", name="user", input="Hello?", output=f"I am Jane Roe, {MAIL}, {CARD}."),
            Span(index=1, kind="tool_call", name="get_user", input={"email": MAIL}, output=user),
            Span(index=2, kind="submit", name="submit", input=f"{QUOTED} Bye, Jane, {MAIL}", output=""),
            Span(index=3, kind="check", name=name, input=check.detail, output=is_right),
        )
        rollout = replace(rollout_of(job, "passed" if is_right else "failed"), checks=(check,))
        return Executed(rollout=rollout, trace=Trace(spans=spans))


@dataclass
class Session:
    """One session over a ledger: batches, questions, and the suite; nothing else of a campaign."""

    folder: Path
    ledger: Ledger
    mode: str = "auto"
    doctor: Diagnostician | None = None
    has_two_kinds: bool = False
    budget: Budget = field(default_factory=lambda: Budget(BudgetLimits()))

    def __post_init__(self) -> None:
        settings, taxonomy = load(HARNESS / "campaign.toml"), default_taxonomy()
        self.redact = redacting(Redactor(project_key(self.folder / "redaction.key")))
        journal = Journal(self.ledger, lambda _: None)
        self.desk = ReviewDesk(journal, mode=self.mode)  # type: ignore[arg-type]
        self.steering = Steering(journal, self.desk, lambda _: None)
        limits = EvaluatorSettings(concurrency=2, infra_retries=0, max_usd=1, max_tokens=1)
        self.evaluator = Evaluator(DeskExecutor(self.has_two_kinds), self.ledger, self.budget, limits)
        lens = Lens(taxonomy=taxonomy, base=base_of(shipped_text()), redact=self.redact, diagnostician=self.doctor)
        self.miner = Miner(journal, self.desk, lens, settings, self.budget)
        pedigree = Pedigree(splits="s", taxonomy=taxonomy.sha, redaction=REDACTION_VERSION)
        sources = Sources(benchmark=DeskBenchmark(), pedigree=pedigree)
        self.curator = Curator(journal, self.evaluator, sources, settings)

    async def batch(self, n: int) -> Mined:
        self.steering.read()
        rollouts = await self.runs(n)
        mined = await self.miner.mine(n, "c" * 40, rollouts)
        await self.curator.curate(BASE, rollouts, mined.found, mined.cluster_of)
        return mined

    async def runs(self, n: int) -> tuple[Rollout, ...]:
        tasks = DeskBenchmark().tasks()
        return await self.evaluator.run([RolloutJob(tree=BASE, task=t, purpose="mine", trial=n) for t in tasks])


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with wire_server() as server:
        yield server


@asynccontextmanager
async def diagnosing(folder: Path, wire: WireServer, ledger: Ledger, mode: str = "auto") -> AsyncIterator[Session]:
    """A session in which a model looks at one failure per batch."""
    budget = Budget(BudgetLimits())
    async with own_model(wire) as model:
        account = Account(answers=ledger.answers, budget=budget, price=PRICE)
        doctor = Diagnostician(
            model,
            account,
            classes=known_classes(default_taxonomy()),
            redact=redacting(Redactor(project_key(folder / "redaction.key"))),
            rules=DiagnosisRules(per_batch=1, names_clusters=False, review=mode),  # type: ignore[arg-type]
        )
        yield Session(folder, ledger, mode, doctor, budget=budget)


def begin(folder: Path) -> Ledger:
    return Ledger.create(folder / "night", samples.HEADER)


def resume(folder: Path) -> Ledger:
    return Ledger.open(folder / "night")


def disagrees() -> object:
    return call(DIAGNOSIS, said(span=2, evidence=QUOTED, label="policy.forbidden_action"))


def labels(mined: Mined) -> list[str]:
    return sorted(failure.label for failure in mined.found)


async def test_personal_values_reach_no_failure_proposer_reviewer_or_export(tmp_path: Path):
    with begin(tmp_path) as ledger:
        session = Session(tmp_path, ledger)
        mined = await session.batch(1)
        (raw, *_) = [diagnose(run, ledger.trace(run.trace_sha or "")) for run in await session.runs(1)]
        assert MAIL in repr(raw), "what is redacted below does stand in the run"
        (cluster,) = session.miner.book
        shown = session.curator.cleared(session.miner.book.recent[cluster.id])
        await session.curator.promote(BETTER, cluster, (cluster.id,))
    request = ProposalRequest(
        cluster=cluster,
        failures=shown,
        files={},
        editable=("a",),
        tried=(),
        target_tasks=(),
        seed=1,
        guidance="",
        parent=BASE,
    )
    with LedgerReader.open(tmp_path / "night") as reader:
        latest = chosen(reader.dataset_rows(), "latest")
        assert write_export(reader, latest, tmp_path / "suite.jsonl", is_forced=False) == (2, 0)
        kept = repr((reader.failures(), reader.clusters(), reader.suite(), reader.reviews()))
    exported = (tmp_path / "suite.jsonl").read_text()
    for text in (request_text(request), repr(request), kept, exported):
        assert [value for value in PERSONAL if value in text] == []
    assert '"redaction":"1"' in exported
    first, second = (PSEUDONYM.findall(failure.symptom) for failure in mined.found)
    assert len(first) >= 3
    assert first == second, "one person has one pseudonym"
    assert (tmp_path / "redaction.key").stat().st_mode & 0o777 == 0o600


async def test_a_model_that_wins_by_rule_moves_a_failure_which_counts_once(tmp_path: Path, wire: WireServer):
    wire.script.append(disagrees())  # type: ignore[arg-type]
    with begin(tmp_path) as ledger:
        async with diagnosing(tmp_path, wire, ledger) as session:
            mined = await session.batch(1)
    assert "policy.forbidden_action" in labels(mined)
    assert len(mined.found) == 2
    clusters = list(session.miner.book)
    assert sorted(cluster.n_failures for cluster in clusters) == [1, 1]
    assert sorted(task for cluster in clusters for task in cluster.failing_tasks) == ["train-0", "train-1"]
    assert [value for value in PERSONAL if value in heard_text(wire.heard[0])] == []
    with LedgerReader.open(tmp_path / "night") as reader:
        (question,) = reader.reviews()
        (batch,) = reader.batches()
        assert reader.status().spent.usd >= TURN_USD
    assert question.item.kind == "label"
    assert [answer.answer.by for answer in question.answers] == ["auto"]
    assert [value for value in PERSONAL if value in repr(question)] == []
    assert batch.n_failures == 2


async def test_a_resumed_campaign_pays_no_diagnosis_twice_and_is_the_same(tmp_path: Path, wire: WireServer):
    wire.script.extend([disagrees(), disagrees()])  # type: ignore[list-item]
    with begin(tmp_path) as ledger:
        async with diagnosing(tmp_path, wire, ledger) as session:
            before = [await session.batch(n) for n in (1, 2)]
    n_heard, digest = len(wire.heard), content_digest(tmp_path / "night")
    with resume(tmp_path) as ledger:
        async with diagnosing(tmp_path, wire, ledger) as again:
            assert [await again.batch(n) for n in (1, 2)] == before
    assert len(wire.heard) == n_heard > 0
    assert again.budget.spent.usd == session.budget.spent.usd > 0
    assert content_digest(tmp_path / "night") == digest


async def test_with_a_person_in_charge_a_label_waits_and_a_ruling_moves_the_failure(tmp_path: Path, wire: WireServer):
    wire.script.append(disagrees())  # type: ignore[arg-type]
    with begin(tmp_path) as ledger:
        async with diagnosing(tmp_path, wire, ledger, "human") as session:
            mined = await session.batch(1)
            assert "policy.forbidden_action" not in labels(mined)
            assert len(session.miner.book) == 1
            (item,) = session.desk._items.values()
            send(ledger.folder, "review", ReviewPayload(item=item.id, answer="policy.forbidden_action"), who="ann")
            await session.batch(2)
            moved = {cluster.label: cluster.n_failures for cluster in session.miner.book}
    digest = content_digest(tmp_path / "night")
    assert moved["policy.forbidden_action"] == 1
    assert sum(moved.values()) == 4
    with resume(tmp_path) as ledger:
        async with diagnosing(tmp_path, wire, ledger, "human") as again:
            await again.batch(1)
            assert len(again.miner.book) == 1
            await again.batch(2)
            assert {cluster.label: cluster.n_failures for cluster in again.miner.book} == moved
    assert content_digest(tmp_path / "night") == digest


async def alike(session: Session, n_batches: int) -> list[int | None]:
    """Parents of cluster 2 after each batch, the first of which leads the book to find it like cluster 1."""
    parents = []
    for n in range(1, n_batches + 1):
        await session.batch(n)
        if n == 1:
            session.miner.book.pending = (MergeProposal(child=2, into=1, similarity=0.9),)
        parents.append(session.miner.book.get(2).parent)
    return parents


async def test_a_merge_waits_for_a_person_and_a_resume_repeats_the_answer_at_its_step(tmp_path: Path):
    with begin(tmp_path) as ledger:
        session = Session(tmp_path, ledger, "human", has_two_kinds=True)
        assert await alike(session, 2) == [None, None]
        with LedgerReader.open(tmp_path / "night") as reader:
            (question,) = reader.reviews()
        assert (question.item.kind, question.answers) == ("cluster_merge", ())
        assert [value for value in PERSONAL if value in repr(question)] == []
        send(ledger.folder, "review", ReviewPayload(item=question.item.id, answer="yes"), who="ann")
        await session.batch(3)
        assert session.miner.book.get(2).parent == 1
        send(ledger.folder, "review", ReviewPayload(item=question.item.id, answer="no"), who="ben")
        await session.batch(4)
        assert session.miner.book.get(2).parent is None, "a later answer parts them again"
    digest = content_digest(tmp_path / "night")
    with resume(tmp_path) as ledger:
        assert await alike(Session(tmp_path, ledger, "human", has_two_kinds=True), 4) == [None, None, 1, None]
    assert content_digest(tmp_path / "night") == digest


async def test_where_nobody_is_waited_for_a_merge_applies_at_once_and_says_by_whom(tmp_path: Path):
    with begin(tmp_path) as ledger:
        assert await alike(Session(tmp_path, ledger, has_two_kinds=True), 2) == [None, 1]
    with LedgerReader.open(tmp_path / "night") as reader:
        (question,) = reader.reviews()
    assert [(each.answer.answer, each.answer.by) for each in question.answers] == [("yes", "auto")]
