from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.domain.candidate import Candidate, Decision, FileEdit, GateCheck, Proposal
from optimizer.domain.recording import RecordedCall
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.task import SPLITS, Check, Task
from optimizer.domain.trace import Span, Trace, Usage
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.records import ProposalRecord, Refusal
from tests.ledger import samples

texts = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates and NUL included
names = st.text(min_size=1, max_size=12)
reals = st.floats(allow_nan=False)
counts = st.integers(0, 2**53)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
usages = st.builds(
    Usage,
    input_tokens=counts,
    cached_tokens=counts,
    output_tokens=counts,
    reasoning_tokens=counts,
    usd=st.none() | st.floats(0, 1e6),
    n_calls=counts,
    n_replayed_calls=counts,
)
span_kinds = st.sampled_from(["model_call", "tool_call", "user_turn", "submit", "check", "harness_output"])
spans = st.builds(
    Span,
    index=counts,
    kind=span_kinds,
    name=texts,
    input=json_values,
    output=json_values,
    is_error=st.booleans(),
    usage=usages,
    wall_s=st.floats(0, 1e6),
)
traces = st.builds(Trace, spans=st.lists(spans, max_size=4).map(tuple))
tasks = st.builds(
    Task, id=names, split=st.sampled_from(SPLITS), group=texts, slices=st.lists(texts, max_size=3).map(tuple)
)
jobs = st.builds(
    RolloutJob, tree=names, task=tasks, purpose=st.sampled_from(["mine", "val", "final"]), trial=st.integers(0, 9)
)
checks = st.lists(st.builds(Check, name=texts, is_passed=st.booleans(), detail=texts), max_size=3).map(tuple)
rollouts = st.builds(
    Rollout,
    job=jobs,
    status=st.sampled_from(["passed", "failed", "crashed", "timed_out", "over_budget"]),
    score=st.floats(0, 1),
    checks=checks,
    usage=usages,
    trace_sha=st.none(),
    note=texts,
    sandbox_level=texts,
    wall_s=st.floats(0, 1e6),
    cpu_s=st.floats(0, 1e6),
    metrics=st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
)
edits = st.lists(st.builds(FileEdit, path=texts, content=st.none() | st.binary(max_size=50)), max_size=3).map(tuple)
proposals = st.builds(
    Proposal,
    title=texts,
    hypothesis=texts,
    edits=edits,
    target_tasks=st.lists(texts, max_size=3).map(tuple),
    rung=st.sampled_from(["prompt", "tool", "context", "control_flow", "fine_tune"]),
    proposer=texts,
    predicted_fixes=texts,
    predicted_risks=texts,
    usage=usages,
)
gate_checks = st.builds(
    GateCheck,
    name=texts,
    value=st.none() | reals,
    op=st.sampled_from(["<", "<=", ">", ">=", "=="]),
    threshold=reals,
    is_passed=st.none() | st.booleans(),
    note=texts,
)
decisions = st.builds(
    Decision,
    candidate=st.just(1),
    verdict=st.sampled_from(["accept", "reject", "inconclusive"]),
    reason_code=st.sampled_from(["target", "noise", "stop"]),
    reason=texts,
    checks=st.lists(gate_checks, max_size=3).map(tuple),
    val_before=st.none() | reals,
    val_after=st.none() | reals,
    val_interval=st.none() | st.tuples(reals, reals),
    fixed=st.lists(texts, max_size=3).map(tuple),
    broken=st.lists(texts, max_size=3).map(tuple),
    n_rollouts=counts,
    usage=usages,
)
a_few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Fresh:
    """A new ledger per example: the same key may come with other content."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._n = 0

    def ledger(self) -> Ledger:
        self._n += 1
        return Ledger.create(self._root / str(self._n), samples.HEADER)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Fresh]:
    return Fresh(tmp_path)


@a_few
@given(rollout=rollouts, trace=traces)
def test_a_rollout_and_its_trace_come_back_as_they_were(fresh: Fresh, rollout: Rollout, trace: Trace) -> None:
    with fresh.ledger() as ledger:
        sha = ledger.record_rollout(rollout, trace)
        found = ledger.rollout(rollout.job.id)
        assert found is not None
        assert found.trace_sha == sha
        fields = [name for name in Rollout.__dataclass_fields__ if name != "trace_sha"]
        assert [getattr(found, name) for name in fields] == [getattr(rollout, name) for name in fields]
        assert ledger.trace(sha) == trace
        with LedgerReader.open(ledger.folder) as reader:
            assert (reader.rollout(rollout.job.id), reader.trace(sha)) == (found, trace)
            assert all(len(event.preview) <= 200 for event in reader.trace_events(sha))
            assert [event.wall_s for event in reader.trace_events(sha)] == [span.wall_s for span in trace.spans]


@a_few
@given(proposal=proposals, code=st.none() | texts, usage=usages)
def test_a_proposal_comes_back_as_it_was(fresh: Fresh, proposal: Proposal, code: str | None, usage: Usage) -> None:
    refusal = None if code is None else Refusal(code=code, reason=code)
    record = ProposalRecord(n=1, batch=2, cluster_id=3, proposal=proposal, refusal=refusal, usage=usage)
    with fresh.ledger() as ledger:
        ledger.record_proposal(record)
        ledger.record_proposal(record)
        assert ledger.proposal(1) == record


@a_few
@given(proposal=proposals, diff=texts, decision=decisions)
def test_a_candidate_and_its_decision_come_back_as_they_were(
    fresh: Fresh, proposal: Proposal, diff: str, decision: Decision
) -> None:
    candidate = Candidate(n=1, parent="p", commit="c", tree="t", cluster_id=3, batch=2, proposal=proposal, diff=diff)
    with fresh.ledger() as ledger:
        for _ in range(2):
            ledger.record_candidate(candidate)
            ledger.record_decision(decision)
        assert ledger.candidate(1) == candidate
        assert ledger.decision(1) == decision


@a_few
@given(body=texts, usage=usages)
def test_a_recorded_call_comes_back_as_it_was(fresh: Fresh, body: str, usage: Usage) -> None:
    call = RecordedCall(luck="t/mine/0", request_hash="ff", occurrence=2, rollout_id="r", body_json=body, usage=usage)
    with fresh.ledger() as ledger:
        ledger.record(call)
        ledger.record(call)
        assert ledger.recorded("t/mine/0", "ff", 2) == call


def test_what_json_cannot_say_survives_in_a_trace(ledger: Ledger) -> None:
    spans = (Span(index=0, kind="tool_call", name="refund", input={"amount": float("inf")}, output=float("-inf")),)
    assert ledger.trace(ledger.record_rollout(samples.rollout(samples.job()), Trace(spans=spans))).spans == spans


def test_an_infrastructure_error_has_no_score(ledger: Ledger) -> None:
    job = samples.job()
    lost = Rollout(
        job=job,
        status="infra_error",
        score=None,
        checks=(),
        usage=Usage(usd=None),
        trace_sha=None,
        note="provider away",
        sandbox_level="native",
        wall_s=0.0,
        cpu_s=0.0,
    )
    ledger.record_rollout(lost, Trace(spans=()))
    found = ledger.rollout(job.id)
    assert found is not None
    assert (found.score, found.usage.usd, found.is_measured) == (None, None, False)
