"""What a campaign pays its diagnosing model, and that a resumed one pays nothing twice and takes the same turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.campaign.diagnosing import DiagnosisRules, Diagnostician, Examined
from optimizer.campaign.paying import Account, PaidModel, worst_case
from optimizer.campaign.redacting import redacting
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import BudgetExhaustedError, ModelUnavailableError
from optimizer.domain.failure import Failure
from optimizer.domain.model import Message
from optimizer.domain.trace import Trace
from optimizer.ledger.digest import content_digest
from optimizer.ledger.ledger import Ledger
from optimizer.mining.diagnosis_prompt import Patient
from optimizer.mining.induction import Base
from optimizer.mining.sampling import ClusterView
from optimizer.telemetry.redact import Redactor
from tests.ledger.samples import HEADER
from tests.mining.cases import CLASSES, failure, said, trace
from tests.models.own_models import PRICE, TURN_USD, call, heard_text, own_model
from tests.models.wire_server import Fault, WireServer, wire_server

TOOL = "submit_diagnosis"
RULES = DiagnosisRules(per_batch=2, names_clusters=True)


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with wire_server() as server:
        yield server


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "night", HEADER) as opened:
        yield opened


def view(n_failures: int = 3, *failures: Failure) -> ClusterView:
    shown = failures or (failure(1), failure(2), failure(3))
    return ClusterView(
        id=1, label="planning.missing_step", name="left a step out", n_failures=n_failures, medoids=shown
    )


def unredacted(patient: Patient) -> Patient:
    return patient


def trace_of(_: Failure) -> Trace:
    return trace()


class Night:
    """A diagnostician with its own account on a given ledger, as one session of a campaign has it."""

    def __init__(self, wire: WireServer, ledger: Ledger, *, limits: BudgetLimits | None = None) -> None:
        self.budget = Budget(limits or BudgetLimits())
        self._wire = wire
        self._ledger = ledger

    async def examine(self, *views: ClusterView, rules: DiagnosisRules = RULES) -> tuple[Examined, ...]:
        async with own_model(self._wire) as model:
            account = Account(answers=self._ledger.answers, budget=self.budget, price=PRICE)
            doctor = Diagnostician(model, account, classes=CLASSES, redact=unredacted, rules=rules)
            found: tuple[Examined, ...] = ()
            for batch, each in enumerate(views or (view(),), start=1):
                found += await doctor.examine(batch, (each,), trace_of)
            return found


@pytest.mark.anyio
async def test_failures_are_looked_at_up_to_the_limit_and_settled_to_the_cent(wire, ledger):
    wire.script.extend([call(TOOL, said()), call(TOOL, said(label="planning.missing_step"))])
    night = Night(wire, ledger)
    found = await night.examine()
    assert [(one.before.id, one.record.outcome) for one in found] == [("f1", "conflict"), ("f2", "agrees")]
    assert found[0].after is not None
    assert found[0].after.diagnosed_by == "model/m-x"
    assert found[0].record.superseded_by == found[0].after.id
    assert night.budget.spent.usd == pytest.approx(2 * TURN_USD)
    assert night.budget.spent.tokens == wire.n_tokens
    assert (night.budget.reserved.usd, night.budget.reserved.tokens) == (0, 0)


@pytest.mark.anyio
async def test_a_resumed_campaign_pays_nothing_twice_and_comes_to_the_same(wire, ledger, tmp_path):
    wrong = call(TOOL, said(evidence="words nobody said"))
    wire.script.extend([wrong, call(TOOL, said()), Fault(status=400)])
    first = Night(wire, ledger)
    before = await first.examine()
    n_heard, digest = len(wire.heard), content_digest(tmp_path / "night")
    second = Night(wire, ledger)
    assert await second.examine() == before
    assert len(wire.heard) == n_heard == 3
    assert second.budget.spent == first.budget.spent
    assert content_digest(tmp_path / "night") == digest
    assert [one.record.outcome for one in before] == ["conflict", "refused"]


@pytest.mark.anyio
async def test_refused_answers_are_on_record_with_their_reason_and_cost(wire, ledger):
    wrong = call(TOOL, said(evidence="words nobody said"))
    wire.script.extend([wrong, wrong])
    night = Night(wire, ledger)
    (found,) = await night.examine(view(1, failure(1)))
    assert found.after is None
    assert found.record.outcome == "refused"
    assert [code for code, _ in found.record.refused] == ["misquoted", "misquoted"]
    assert found.record.usage.usd == pytest.approx(2 * TURN_USD)
    assert night.budget.spent.usd == pytest.approx(2 * TURN_USD)


@pytest.mark.anyio
async def test_a_model_out_of_reach_ends_the_batch_not_the_campaign_and_a_resume_takes_the_same_turn(wire, ledger):
    wire.script.extend([Fault(status=429)] * 3)
    before = await Night(wire, ledger).examine()
    assert [one.record.outcome for one in before] == ["unavailable"]
    wire.script.extend([call(TOOL, said())] * 4)  # it is back, but the campaign went on without it
    assert await Night(wire, ledger).examine() == before
    assert len(wire.heard) == 3


@pytest.mark.anyio
async def test_a_look_that_is_not_affordable_ends_the_campaign_as_planned_before_it_is_paid(wire, ledger):
    wire.script.extend([call(TOOL, said())] * 2)
    night = Night(wire, ledger, limits=BudgetLimits(usd=1e-6))
    with pytest.raises(BudgetExhaustedError, match="usd"):
        await night.examine()
    assert wire.heard == []
    assert (night.budget.spent.usd, night.budget.reserved.usd) == (0, 0)


@pytest.mark.anyio
async def test_no_call_takes_more_than_was_set_aside(wire, ledger):
    messages = (Message(role="user", text="žluťoučký kůň " * 50),)
    worst = worst_case(messages, (), 100, PRICE)
    assert worst.tokens >= 100 + len(messages[0].text.encode())
    assert worst.usd == pytest.approx(((worst.tokens - 100) * 1.0 + 100 * 10.0) / 1e6)


@pytest.mark.anyio
async def test_a_cluster_is_looked_at_again_only_once_it_has_doubled(wire, ledger):
    wire.script.extend([call(TOOL, said())] * 9)
    shown = [failure(n) for n in range(8)]
    views = (view(2, *shown[:2]), view(3, *shown[:3]), view(4, *shown[:4]))
    found = await Night(wire, ledger).examine(*views)
    assert [(one.before.id, one.record.batch) for one in found] == [("f0", 1), ("f1", 1), ("f2", 3), ("f3", 3)]


@pytest.mark.anyio
async def test_a_model_sees_and_leaves_behind_only_what_redaction_lets_through(wire, ledger):
    address = "jane.roe@example.com"
    personal = replace(failure(1), evidence=f"I am {address}, hello", symptom=f"wrote to {address}")
    redact = redacting(Redactor(b"k" * 32))
    shown = redact(Patient(failure=personal, trace=trace(said=f"I am {address}, hello")))
    words = str(shown.trace.spans[0].output)
    assert address not in words
    wire.script.append(call(TOOL, said(span=0, evidence=words)))
    async with own_model(wire) as model:
        account = Account(answers=ledger.answers, budget=Budget(BudgetLimits()), price=PRICE)
        doctor = Diagnostician(model, account, classes=CLASSES, redact=redact, rules=RULES)
        (found,) = await doctor.examine(1, (view(1, personal),), lambda _: trace(said=f"I am {address}, hello"))
    assert found.record.outcome == "conflict"
    assert address not in heard_text(wire.heard[0])
    assert address not in repr((found.after, found.conflict, found.record))


@pytest.mark.anyio
async def test_clusters_are_named_once_and_again_when_they_have_doubled(wire, ledger):
    wire.script.extend([call("submit_name", {"name": name}) for name in ("skipped a step", "skipped the refund")])
    async with own_model(wire) as model:
        account = Account(answers=ledger.answers, budget=Budget(BudgetLimits()), price=PRICE)
        doctor = Diagnostician(model, account, classes=CLASSES, redact=unredacted, rules=RULES)
        given = [await doctor.names((view(n, failure(n)),), trace_of) for n in (1, 2, 3, 4)]
    assert [[one.name for one in each] for each in given] == [[], ["skipped a step"], [], ["skipped the refund"]]


@pytest.mark.anyio
async def test_failures_no_class_fits_lead_to_proposed_classes_once_there_are_enough(wire, ledger):
    wire.script.extend([call(TOOL, said(label="unknown"))] * 2)
    wire.script.append(call("submit_classes", {"classes": []}))
    base = Base(text='version = "1"\n', classes=CLASSES, groups=("policy",))
    async with own_model(wire) as model:
        account = Account(answers=ledger.answers, budget=Budget(BudgetLimits()), price=PRICE)
        rules = replace(RULES, induce_from=2, names_clusters=False)
        doctor = Diagnostician(model, account, classes=CLASSES, redact=unredacted, rules=rules)
        assert await doctor.induced(base) is None
        await doctor.examine(1, (view(),), trace_of)
        found = await doctor.induced(base)
        assert await doctor.induced(base) is None
        assert await doctor.names((view(),), trace_of) == ()
    assert found is not None
    assert (found.state, found.n_failures, found.taxonomy_text) == ("empty", 2, None)


@pytest.mark.anyio
async def test_the_same_question_about_the_same_subject_is_paid_once(wire, ledger):
    account = Account(answers=ledger.answers, budget=Budget(BudgetLimits()), price=PRICE)
    question = (Message(role="user", text="well?"),)
    async with own_model(wire) as model:
        paid = PaidModel(model, account, purpose="judge", subject="r1")
        assert await paid.complete(question) == await paid.complete(question)
        await PaidModel(model, account, purpose="judge", subject="r2").complete(question)
    assert len(wire.heard) == 2
    assert account.budget.spent.usd == pytest.approx(2 * TURN_USD)


@pytest.mark.anyio
async def test_an_absence_that_nothing_went_on_without_is_asked_again(wire, ledger):
    wire.script.extend([Fault(status=503)] * 3)
    account = Account(answers=ledger.answers, budget=Budget(BudgetLimits()), price=PRICE)
    async with own_model(wire) as model:
        paid = PaidModel(model, account, purpose="judge", subject="r1", keeps_absence=False)
        with pytest.raises(ModelUnavailableError):
            await paid.complete((Message(role="user", text="well?"),))
        assert (await paid.complete((Message(role="user", text="well?"),))).text == "again"
