"""A small story: rollouts fail, one cluster is merged into another, one candidate is kept and one is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.ledger.ledger import Ledger
from optimizer.ledger.lineage import STEPS
from optimizer.ledger.lineage_items import _CANDIDATE_COMMIT, _PREFIXED
from optimizer.ledger.lineage_view import Lineage, LineageItem, LineageNode
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.records import ProposalRecord, Refusal, TaskResult
from tests.ledger import samples

JOBS = tuple(samples.job(number) for number in (0, 3, 6))
FAILURES = tuple(replace(samples.failure(job), id=f"fa11{n:012x}") for n, job in enumerate(JOBS))
CASE = samples.case(id="ca5e000000000001", failure_id=FAILURES[0].id, rollout_id=JOBS[0].id, task_id=JOBS[0].task.id)
ON_BRANCH = "b" * 39 + "1"


@pytest.fixture
def reader(ledger: Ledger, folder: Path) -> Iterator[LedgerReader]:
    for job in JOBS:
        ledger.record_rollout(samples.rollout(job), samples.trace(words=job.id))
    for failure, cluster in zip(FAILURES, (1, 1, 2), strict=True):
        ledger.record_failure(failure, 1)
        ledger.record_cluster_member(cluster, failure.id)
    ledger.record_cluster(samples.cluster(1), 1, 1)
    ledger.record_cluster(samples.cluster(2), 1, 2)
    ledger.record_cluster(samples.cluster(2, parent=1), 2, 3)
    ledger.record_case(CASE, 1, 4)
    record_candidates(ledger)
    with LedgerReader.open(folder) as opened:
        yield opened


def record_candidates(ledger: Ledger) -> None:
    for n, verdict in ((1, "accept"), (2, "reject")):
        ledger.record_candidate(samples.candidate(n))
        ledger.record_decision(samples.decision(n, verdict), ())
    ledger.record_accept(1, ON_BRANCH, 1)
    refusal = Refusal(code="empty", reason="no idea left")
    ledger.record_proposal(ProposalRecord(n=3, batch=2, cluster_id=2, proposal=None, refusal=refusal))


def flat(nodes: tuple[LineageNode, ...]) -> Iterator[LineageNode]:
    for node in nodes:
        yield node
        yield from flat(node.children)


def of(reader: LedgerReader, asked: str, limit: int = 10) -> Lineage:
    (subject,) = reader.choices(asked).items
    return reader.lineage(subject, limit)


def kinds(nodes: tuple[LineageNode, ...]) -> set[tuple[str, str]]:
    return {(node.item.kind, node.item.id) for node in flat(nodes)}


def test_a_rollout_leads_to_the_commit_that_came_of_it(reader: LedgerReader) -> None:
    lineage = of(reader, JOBS[0].id)
    assert [node.item.kind for node in lineage.origins] == ["trace"]
    reached = kinds(lineage.outcomes)
    assert {("failure", FAILURES[0].id), ("cluster", "k1"), ("case", CASE.id), ("commit", ON_BRANCH)} <= reached
    assert {("candidate", "1"), ("decision", "1"), ("candidate", "2"), ("decision", "2")} <= reached


def test_a_failure_of_a_merged_cluster_reaches_what_the_other_cluster_led_to(reader: LedgerReader) -> None:
    lineage = of(reader, FAILURES[2].id)
    (member,) = lineage.outcomes
    assert (member.relation, member.item.id) == ("member of", "k2")
    assert ("merged into", "k1") in {(node.relation, node.item.id) for node in member.children}
    assert {("commit", ON_BRANCH), ("decision", "3")} <= kinds(lineage.outcomes)


def test_a_commit_comes_from_traces_through_every_step(reader: LedgerReader) -> None:
    lineage = of(reader, ON_BRANCH[:20])
    assert lineage.outcomes == ()
    reached = kinds(lineage.origins)
    assert {("decision", "1"), ("candidate", "1"), ("cluster", "k1"), ("cluster", "k2")} <= reached
    assert {("failure", failure.id) for failure in FAILURES} <= reached
    assert {("rollout", job.id) for job in JOBS} <= reached
    assert sum(kind == "trace" for kind, _ in reached) == 3


def test_a_trace_leads_as_far_as_its_rollout_does(reader: LedgerReader) -> None:
    sha = reader.rollout(JOBS[0].id).trace_sha
    assert ("commit", ON_BRANCH) in kinds(of(reader, sha).outcomes)
    assert of(reader, sha[:8]).subject == LineageItem(kind="trace", id=sha, text="6 spans")


def test_a_case_stands_between_its_failure_and_the_edits_for_its_cluster(reader: LedgerReader, ledger: Ledger) -> None:
    broken = TaskResult(
        split="train",
        task_id=CASE.task_id,
        purpose="suite",
        trial=0,
        is_passed=False,
        base_passed=True,
        rollout_id="r",
    )
    ledger.record_candidate(samples.candidate(9))
    ledger.record_decision(samples.decision(9, "reject"), (broken,))
    lineage = of(reader, CASE.id)
    assert {("failure", FAILURES[0].id), ("rollout", JOBS[0].id), ("cluster", "k1")} <= kinds(lineage.origins)
    assert ("failed by", "9") in {(node.relation, node.item.id) for node in lineage.outcomes}
    assert ("commit", ON_BRANCH) in kinds(lineage.outcomes)


def test_a_refused_proposal_has_a_decision_and_no_commit(reader: LedgerReader) -> None:
    lineage = of(reader, "3")
    assert lineage.subject.kind == "candidate"
    (judged,) = lineage.outcomes
    assert judged.item.text == "refused (empty): no idea left"
    assert judged.children == ()


def test_a_bare_number_is_a_candidate_and_k_makes_it_a_cluster(reader: LedgerReader) -> None:
    assert of(reader, "1").subject.kind == "candidate"
    assert of(reader, "k1").subject.kind == "cluster"
    assert of(reader, "cluster:1").subject.kind == "cluster"
    assert of(reader, "decision:1").subject.kind == "decision"


def test_the_commit_a_candidate_was_measured_as_names_the_candidate(reader: LedgerReader) -> None:
    assert of(reader, samples.candidate(2).commit).subject.id == "2"


def test_an_ambiguous_beginning_gives_all_choices(reader: LedgerReader) -> None:
    assert {item.id for item in reader.choices("fa11").items} == {failure.id for failure in FAILURES}
    assert {item.id for item in reader.choices("failure:FA11").items} == {failure.id for failure in FAILURES}


@pytest.mark.parametrize("asked", ["", "fa", "zzzz", "99", "k99", "%%%%", "cluster:x", "nothing:12", "9" * 40, "²²²²"])
def test_what_is_nothing_here_gives_no_choice(reader: LedgerReader, asked: str) -> None:
    assert reader.choices(asked).items == ()


def test_long_lists_are_cut_and_the_rest_is_counted(reader: LedgerReader) -> None:
    lineage = of(reader, "k1", limit=1)
    assert lineage.n_more_origins == 1, "one of two failures"
    assert lineage.n_more_outcomes == 1, "one of two candidates"
    (tried,) = [node for node in lineage.outcomes if node.relation == "tried by"]
    assert tried.item.id == "1", "the accepted one first"


def test_a_cluster_that_parted_again_is_not_absorbed(reader: LedgerReader, ledger: Ledger) -> None:
    ledger.record_cluster(samples.cluster(2, parent=None), 3, 4)
    assert ("cluster", "k2") not in kinds(of(reader, "k1").origins)


def test_merges_in_a_circle_end(reader: LedgerReader, ledger: Ledger) -> None:
    ledger.record_cluster(samples.cluster(1, parent=2), 3, 4)
    assert ("cluster", "k2") in kinds(of(reader, "k1").outcomes)


QUERIES = [
    *(
        (f"{direction}: {kind} {step.relation}", step.query)
        for direction in STEPS
        for kind in STEPS[direction]
        for step in STEPS[direction][kind]
    ),
    *((f"prefix: {kind}", query) for kind, query in _PREFIXED.items()),
    ("prefix: candidate commit", _CANDIDATE_COMMIT),
]


@pytest.mark.parametrize(("name", "query"), QUERIES, ids=[name for name, _ in QUERIES])
def test_every_step_of_the_walk_searches_an_index(reader: LedgerReader, folder: Path, name: str, query: str) -> None:
    n_values = 2 if "?1" in query else query.count("?")
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}", ("x",) * n_values)]
    scans = [line for line in plan if line.startswith("SCAN") and "(subquery" not in line]
    assert scans == [], plan
