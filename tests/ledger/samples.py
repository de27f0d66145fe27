"""A small campaign as a sequence of records, and single nouns to vary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from optimizer.domain.budget import Spend
from optimizer.domain.candidate import Candidate, Decision, FileEdit, GateCheck, Proposal
from optimizer.domain.dataset import DatasetEntry, DatasetVersion, Pedigree
from optimizer.domain.evalcase import EvalCase
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.final import FinalResult, FinalSeal, FinalSlice
from optimizer.domain.model import ModelReply, ModelToolCall
from optimizer.domain.recording import RecordedCall
from optimizer.domain.review import ReviewAnswer, ReviewItem
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import Check, Task
from optimizer.domain.trace import Span, Trace, Usage
from optimizer.ledger.answers import DiagnosisRecord, RecordedAnswer
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.records import ProposalRecord, Refusal, TaskResult, TrunkEstimate

HEADER = CampaignHeader(
    campaign="night",
    benchmark="helpdesk",
    benchmark_version="1",
    base_commit="c" * 40,
    base_tree="b" * 40,
    seed=7,
    settings_json='{"budget":{"usd":5}}',
    settings_hash="5e77",
    split_manifest_hash="5911",
    started_at="2026-01-02T03:04:05Z",
    hone_version="0.1.0",
    is_simulated=True,
)
CALL_USAGE = Usage(input_tokens=900, output_tokens=40, usd=0.0015, n_calls=1)


def answer(text: str = "") -> RecordedAnswer:
    call = ModelToolCall(id="c1", name="submit_diagnosis", arguments={"span": 1, "evidence": "Error: no \ud800"})
    reply = ModelReply(text=text, tool_calls=(call,), stop="tool_use", usage=CALL_USAGE)
    return RecordedAnswer(purpose="diagnosis", subject="f0001", question_hash="9" * 32, model="m", reply=reply)


def diagnosis(cause: str = "it does not look") -> DiagnosisRecord:
    return DiagnosisRecord(
        failure_id="f0001",
        batch=1,
        model="m",
        outcome="refused",
        cause=cause,
        refused=(("misquoted", "no such words"),),
    )


def tree(number: int) -> str:
    return f"{number:040x}"


def job(task: int = 0, trial: int = 0, *, on: int = 0) -> RolloutJob:
    split = ("train", "val", "test")[task % 3]
    shown = Task(id=f"t{task:04d}", split=split, group=f"g{task // 3}", slices=("refund", "hard"))
    return RolloutJob(tree=tree(on), task=shown, purpose="mine", trial=trial)


def trace(n_calls: int = 2, *, words: str = "where is order #1001?", wall_s: float = 0.25) -> Trace:
    spans = []
    for call in range(n_calls):
        messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"{words} {call}"}]
        spans += [
            Span(
                index=3 * call,
                kind="model_call",
                name="sim",
                input={"model": "sim", "messages": messages},
                output={"role": "assistant", "content": None, "tool_calls": [{"id": f"c{call}"}]},
                usage=CALL_USAGE,
                wall_s=wall_s,
            ),
            Span(
                index=3 * call + 1,
                kind="tool_call",
                name="get_order",
                input={"id": 1001},
                output="Error: no",
                is_error=True,
            ),
            Span(index=3 * call + 2, kind="user_turn", name="user", input="Sorry?", output=words, wall_s=wall_s),
        ]
    return Trace(spans=tuple(spans))


def rollout(of: RolloutJob, *, wall_s: float = 1.5, passed: bool = False, usage: Usage | None = None) -> Rollout:
    return Rollout(
        job=of,
        status="passed" if passed else "failed",
        score=1.0 if passed else 0.25,
        checks=(Check(name="final_state", is_passed=passed, detail="" if passed else "order 1001 differs"),),
        usage=usage or CALL_USAGE + CALL_USAGE,
        trace_sha=None,
        note="",
        sandbox_level="native",
        wall_s=wall_s,
        cpu_s=wall_s / 10,
        metrics={"csat": 0.75},
    )


def call(of: RolloutJob, number: int = 0, *, body: str = '{"id":"x"}') -> RecordedCall:
    return RecordedCall(
        luck=of.luck,
        request_hash=f"{number:032x}",
        occurrence=0,
        rollout_id=of.id,
        body_json=body,
        usage=CALL_USAGE,
    )


def failure(of: RolloutJob, number: int = 0) -> Failure:
    return Failure(
        id=f"f{number:04d}",
        rollout_id=of.id,
        task_id=of.task.id,
        tree=of.tree,
        signal="check_failed",
        label="policy.no_confirmation",
        symptom="refunded without a yes",
        cause="nothing asks for confirmation",
        evidence="refund(1001)",
        span=3,
        severity=0.75,
        signature="no confirm <n>",
    )


def cluster(number: int = 1, **changes: object) -> Cluster:
    plain = Cluster(
        id=number,
        label="policy.no_confirmation",
        signature="no confirm <n>",
        name="refunds unasked",
        state="open",
        n_failures=3,
        n_attempts=0,
        n_fruitless=0,
        failing_tasks=("t0001", "t0002"),
        severity=0.75,
        last_seen_batch=1,
    )
    return replace(plain, **changes)


def case(**changes: object) -> EvalCase:
    plain = EvalCase(
        id="e0001",
        task_id="t0001",
        cluster_id=1,
        failure_id="f0001",
        rollout_id="r0001",
        check="final_state",
        state="candidate",
    )
    return replace(plain, **changes)


def dataset(
    number: int = 1, *, cases: tuple[str, ...] = ("e0001",), task: str = "t0000", **pedigree: str
) -> DatasetVersion:
    return DatasetVersion(
        id=f"{0xDA00 + number:064x}"[::-1],
        parent="" if number == 1 else f"{0xDA00 + number - 1:064x}"[::-1],
        entries=tuple(DatasetEntry(case_id=each, case_hash=f"h{each}", task_id=task) for each in cases),
        pedigree=Pedigree(**pedigree),
    )


def question(subject: str = "k2", **changes: object) -> ReviewItem:
    plain = ReviewItem(
        kind="cluster_merge",
        subject=subject,
        question=f"Is cluster {subject} the same as k1?",
        options=("yes", "no"),
        default="yes",
        cautious="no",
        payload={"similarity": 0.91},
    )
    return replace(plain, **changes)


def ruling(of: ReviewItem | None = None, said: str = "yes", by: str = "auto", note: str = "") -> ReviewAnswer:
    return ReviewAnswer(item_id=(of or question()).id, answer=said, by=by, note=note)


def proposal(title: str = "Ask before a refund") -> Proposal:
    return Proposal(
        title=title,
        hypothesis="The policy wants a yes.",
        edits=(FileEdit(path="agent.py", content=b"x = 1\n"), FileEdit(path="old.md", content=None)),
        target_tasks=("t0001", "t0002"),
        rung="prompt",
        proposer="playbook/confirm",
        predicted_fixes="t0001",
        predicted_risks="one more turn",
        usage=Usage(input_tokens=10, usd=0.01, n_calls=1),
    )


def candidate(n: int = 1, *, parent: str = "c" * 40) -> Candidate:
    return Candidate(
        n=n,
        parent=parent,
        commit=f"{0xC0 + n:040x}",
        tree=tree(n),
        cluster_id=1,
        batch=1,
        proposal=proposal(),
        diff=f"--- a/agent.py\n+++ b/agent.py\n@@ -0,0 +1 @@\n+x = {n}\n",
    )


def decision(n: int = 1, verdict: str = "accept") -> Decision:
    return Decision(
        candidate=n,
        verdict=verdict,
        reason_code="target" if verdict == "accept" else "noise",
        reason="targets 8/12 vs trunk 4/12",
        checks=(
            GateCheck(name="target", value=10.5, op=">=", threshold=10.0, is_passed=True, note="8/12 vs 4/12"),
            GateCheck(name="val", value=None, op=">=", threshold=0.5, is_passed=None, note="not reached"),
        ),
        val_before=0.5,
        val_after=0.56,
        val_interval=(-0.01, 0.13),
        fixed=("t0001",),
        broken=(),
        n_rollouts=24,
        usage=CALL_USAGE,
    )


def results(of: RolloutJob) -> tuple[TaskResult, ...]:
    common = {"split": "train", "purpose": "target", "trial": 0, "rollout_id": of.id}
    return (
        TaskResult(task_id="t0001", is_passed=True, base_passed=False, **common),
        TaskResult(task_id="t0002", is_passed=True, base_passed=True, **common),
        TaskResult(task_id="t0003", is_passed=False, base_passed=None, **common),
    )


def estimate(seq: int = 0, value: float = 0.5) -> TrunkEstimate:
    return TrunkEstimate(
        seq=seq, batch=0, commit="c" * 40, candidate=None, value=value, low=0.4, high=0.6, n_tasks=40, n_rollouts=40
    )


def seal(n_trials: int = 3) -> FinalSeal:
    return FinalSeal(
        n=1,
        benchmark="helpdesk",
        benchmark_version="1",
        split_manifest_hash="5911",
        base_commit="c" * 40,
        base_tree="b" * 40,
        head_commit="d" * 40,
        head_tree="e" * 40,
        n_trials=n_trials,
        is_untouched=True,
    )


def final_result(difference: float = 0.125) -> FinalResult:
    return FinalResult(
        base=0.5,
        head=0.625,
        difference=difference,
        low=0.0,
        high=0.25,
        n_tasks=8,
        n_groups=4,
        n_trials=3,
        n_rollouts=48,
        n_unmeasured=0,
        usage=CALL_USAGE,
        sandbox_levels=("native",),
        slices=(FinalSlice(name="refunds", n_tasks=8, base=0.5, head=0.625, difference=0.125, low=0.0, high=0.25),),
        n_val_candidates=7,
        is_simulated=True,
    )


def record_campaign(ledger: Ledger, n_batches: int = 3) -> Iterator[str]:
    """Record a campaign one event at a time; yields after each, so that a test can stop or kill there."""
    ledger.record_trunk(estimate())
    yield "trunk"
    for batch in range(1, n_batches + 1):
        jobs = tuple(job(10 * batch + number) for number in range(3))
        yield from _record_traffic(ledger, batch, jobs)
        yield from _record_candidates(ledger, batch, jobs[0])
        ledger.record_spend(batch, Spend(usd=0.1 * batch, tokens=940 * batch, rollouts=3 * batch, candidates=batch))
        yield "spend"
    ledger.record_end(n_batches, "candidates", "the candidates budget is used up")
    yield "end"


def _record_traffic(ledger: Ledger, batch: int, jobs: tuple[RolloutJob, ...]) -> Iterator[str]:
    for number, each in enumerate(jobs):
        for request in range(2):
            ledger.record(call(each, request))
            yield f"call {each.id}/{request}"
        ledger.record_rollout(rollout(each), trace(2, words=f"{batch}/{number} {'lorem ipsum ' * 300}"))
        yield f"rollout {each.id}"
        ledger.record_failure(failure(each, 100 * batch + number), batch)
        ledger.record_cluster_member(1, f"f{100 * batch + number:04d}")
        yield "failure"
    ledger.record_batch(batch, "c" * 40, tuple(e.task.id for e in jobs), tuple(e.id for e in jobs))
    ledger.record_cluster(cluster(n_failures=3 * batch, last_seen_batch=batch), batch, 0)
    ledger.record_case(case(n_runs=batch), batch)
    ledger.record_dataset(dataset(batch), batch, 1)
    asked = question(f"k{batch}")
    ledger.reviews.open_item(asked, batch, 2, is_waiting=batch == 1)
    if batch > 1:
        ledger.reviews.answer(ruling(asked), 0, batch, 3)
    ledger.control.take(batch, batch, 4)
    yield "batch"


def _record_candidates(ledger: Ledger, batch: int, paired: RolloutJob) -> Iterator[str]:
    tried, refused = 2 * batch - 1, 2 * batch
    ledger.record_proposal(
        ProposalRecord(n=tried, batch=batch, cluster_id=1, proposal=proposal(), usage=proposal().usage)
    )
    yield "proposal"
    ledger.record_candidate(candidate(tried))
    yield "candidate"
    ledger.record_decision(decision(tried), results(paired))
    ledger.record_accept(tried, f"{0xC0 + tried:040x}", batch)
    ledger.record_event(10 * batch, "accept", tried, f"candidate {tried} is kept")
    yield "decision"
    refusal = Refusal(code="empty", reason="the proposer had no idea left")
    ledger.record_proposal(ProposalRecord(n=refused, batch=batch, cluster_id=1, proposal=None, refusal=refusal))
    yield "refusal"
