from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.domain.budget import Spend
from optimizer.domain.errors import LedgerError
from optimizer.domain.trace import Usage
from optimizer.ledger.control import ReviewPayload, send
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.records import ProposalRecord, Refusal
from tests.ledger import samples
from tests.ledger.test_intents import intended

TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"


def raw(folder: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None))


def test_no_table_lets_a_row_be_changed_removed_or_replaced(recorded: Ledger, folder: Path) -> None:
    recorded.start_session(1, "here")
    recorded.heartbeat()
    recorded.withdraw(recorded.intend(intended()))
    recorded.end_session("finished")
    send(folder, "review", ReviewPayload(item=samples.question().id, answer="no"), who="ann")
    recorded.control.take(9, 3, 99)
    recorded.answers.record_answer(samples.answer())
    recorded.answers.record_diagnosis(samples.diagnosis())
    recorded.finals.open(samples.seal())
    recorded.finals.record(samples.seal(), samples.final_result())
    recorded.calibrations.record("b" * 40, 4, {"noise": 0.1})
    for trial in range(260):  # enough for a tally row
        recorded.record_rollout(samples.rollout(samples.job(trial=trial)), samples.trace(1))
    with raw(folder) as database:
        tables = [name for (name,) in database.execute(TABLES)]
        assert len(tables) == 38
        for table in tables:
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0, table
            for statement in (
                f"UPDATE {table} SET {columns[-1]} = {columns[-1]}",
                f"DELETE FROM {table}",
                f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
            ):
                with pytest.raises(sqlite3.IntegrityError, match=f"the ledger is insert-only: {table}"):
                    database.execute(statement)


def test_a_second_row_with_the_same_unique_column_is_refused_even_by_replace(recorded: Ledger, folder: Path) -> None:
    with raw(folder) as database, pytest.raises(sqlite3.IntegrityError, match="insert-only: candidate"):
        database.execute(
            "INSERT OR REPLACE INTO candidate SELECT 99, parent, parent_n, commit_sha, tree, cluster_id, batch,"
            " diff_sha, recorded_at FROM candidate WHERE n = 1"
        )


Record = Callable[[Ledger, int], object]
JOB = samples.job()
RECORDS: dict[str, Record] = {
    "answer": lambda ledger, v: ledger.answers.record_answer(samples.answer(f"text {v}")),
    "diagnosis": lambda ledger, v: ledger.answers.record_diagnosis(samples.diagnosis(f"cause {v}")),
    "final_seal": lambda ledger, v: ledger.finals.open(samples.seal(v)),
    "final_result": lambda ledger, v: ledger.finals.record(samples.seal(), samples.final_result(0.1 * v)),
    "rollout": lambda ledger, v: ledger.record_rollout(samples.rollout(JOB, passed=v == 1), samples.trace()),
    "trace": lambda ledger, v: ledger.record_rollout(samples.rollout(JOB), samples.trace(words=f"w{v}")),
    "model_call": lambda ledger, v: ledger.record(samples.call(JOB, body=f'{{"v":{v}}}')),
    "batch": lambda ledger, v: ledger.record_batch(1, f"{v}", ("t1",), ("r1",)),
    "failure": lambda ledger, v: ledger.record_failure(replace(samples.failure(JOB), cause=f"{v}"), 1),
    "cluster": lambda ledger, v: ledger.record_cluster(samples.cluster(n_failures=v), 1, 0),
    "eval_case": lambda ledger, v: ledger.record_case(samples.case(note=f"{v}"), 1),
    "dataset": lambda ledger, v: ledger.record_dataset(samples.dataset(splits=f"{v}"), 1, 1),
    "review": lambda ledger, v: ledger.reviews.open_item(samples.question(payload={"v": v}), 1, 1, is_waiting=True),
    "review_answer": lambda ledger, v: ledger.reviews.answer(samples.ruling(note=f"{v}"), 0, 1, 1),
    "proposal": lambda ledger, v: ledger.record_proposal(
        ProposalRecord(n=1, batch=1, cluster_id=1, proposal=samples.proposal(title=f"{v}"))
    ),
    "candidate": lambda ledger, v: ledger.record_candidate(replace(samples.candidate(), diff=f"{v}")),
    "decision": lambda ledger, v: ledger.record_decision(replace(samples.decision(), reason=f"{v}")),
    "gate_check": lambda ledger, v: ledger.record_decision(
        replace(samples.decision(), checks=(replace(samples.decision().checks[0], note=f"{v}"),))
    ),
    "accepted": lambda ledger, v: ledger.record_accept(1, f"{v}" * 40, 1),
    "event": lambda ledger, v: ledger.record_event(1, "note", None, f"{v}"),
    "trunk": lambda ledger, v: ledger.record_trunk(samples.estimate(value=v / 10)),
    "spend": lambda ledger, v: ledger.record_spend(1, Spend(tokens=v)),
    "campaign_end": lambda ledger, v: ledger.record_end(1, "usd", f"{v}"),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_to_record_the_same_again_is_a_no_op_and_something_else_an_error(kind: str, ledger: Ledger) -> None:
    RECORDS[kind](ledger, 1)
    RECORDS[kind](ledger, 1)
    with pytest.raises(LedgerError, match="this campaign was recorded with other settings or another version: column"):
        RECORDS[kind](ledger, 2)
    RECORDS[kind](ledger, 1)


def test_times_are_not_compared(ledger: Ledger) -> None:
    first = ledger.record_rollout(samples.rollout(JOB, wall_s=1.0), samples.trace(wall_s=0.1))
    second = ledger.record_rollout(samples.rollout(JOB, wall_s=9.0), samples.trace(wall_s=0.9))
    assert first == second
    assert ledger.trace(first) == samples.trace(wall_s=0.1)


def test_a_contradiction_leaves_nothing_of_itself_behind(ledger: Ledger) -> None:
    ledger.record_decision(samples.decision())
    changed = replace(samples.decision(), checks=(), reason="another")
    with pytest.raises(LedgerError, match="column reason of decision candidate=1 is 'targets"):
        ledger.record_decision(changed, samples.results(JOB))
    assert ledger.decision(1) == samples.decision()
    ledger.record_decision(samples.decision(), samples.results(JOB))


def test_a_cluster_that_stands_as_before_makes_no_new_row(ledger: Ledger, folder: Path) -> None:
    ledger.record_cluster(samples.cluster(), 1, 0)
    ledger.record_cluster(samples.cluster(), 1, 3)
    ledger.record_cluster(samples.cluster(state="targeted"), 1, 4)
    ledger.record_cluster(samples.cluster(), 2, 0)
    again = ((samples.cluster(), 1, 0), (samples.cluster(), 1, 3), (samples.cluster(state="targeted"), 1, 4))
    for cluster, batch, step in again:
        ledger.record_cluster(cluster, batch, step)
    with raw(folder) as database:
        rows = database.execute("SELECT batch, step, state FROM cluster").fetchall()
    assert rows == [(1, 0, "open"), (1, 4, "targeted"), (2, 0, "open")]


def test_a_tree_becomes_a_candidate_once(ledger: Ledger) -> None:
    ledger.record_candidate(samples.candidate(1))
    with pytest.raises(LedgerError, match="candidate n=2 breaks a rule of the ledger: tree repeats"):
        ledger.record_candidate(replace(samples.candidate(2), tree=samples.tree(1)))


def test_a_recorded_call_of_another_rollout_stands(ledger: Ledger) -> None:
    first = samples.call(samples.job(on=1), body='{"first":1}')
    ledger.record(first)
    ledger.record(samples.call(samples.job(on=2), body='{"second":1}'))
    assert ledger.recorded(first.luck, first.request_hash, 0) == first


def test_a_call_that_was_never_answered_is_not_found(ledger: Ledger) -> None:
    ledger.record(samples.call(JOB))
    assert ledger.recorded(JOB.luck, samples.call(JOB).request_hash, 1) is None


def test_nothing_is_found_before_it_is_recorded(ledger: Ledger) -> None:
    assert ledger.rollout(JOB.id) is None
    assert (ledger.proposal(1), ledger.candidate(1), ledger.decision(1)) == (None, None, None)
    with pytest.raises(LedgerError, match="has no blob feed"):
        ledger.trace("feed")


def test_not_a_number_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="NaN"):
        ledger.record_failure(replace(samples.failure(JOB), severity=float("nan")), 1)


def test_a_refusal_is_found_again(ledger: Ledger) -> None:
    refused = ProposalRecord(
        n=4,
        batch=2,
        cluster_id=1,
        proposal=None,
        refusal=Refusal(code="empty", reason="no edit"),
        usage=Usage(usd=None, n_calls=1),
    )
    ledger.record_proposal(refused)
    assert ledger.proposal(4) == refused


def test_dollars_summed_in_another_order_are_the_same_spend(ledger: Ledger) -> None:
    prices = [0.1, 0.7, 0.000_000_15, 0.2, 1e-8] * 40
    ledger.record_spend(1, Spend(usd=sum(prices)))
    ledger.record_spend(1, Spend(usd=sum(reversed(prices))))
    assert sum(prices) != sum(sorted(prices))
    ledger.record_spend(1, Spend(usd=sum(sorted(prices))))


def test_the_header_is_given_back_and_a_second_campaign_in_the_folder_is_refused(folder: Path) -> None:
    with Ledger.create(folder, samples.HEADER) as ledger:
        assert ledger.header == samples.HEADER
    with Ledger.open(folder) as again:
        assert again.header == samples.HEADER
    with pytest.raises(LedgerError, match=r"recorded in .* already"):
        Ledger.create(folder, samples.HEADER)


def test_sessions_add_up_to_the_time_they_were_seen_alive(ledger: Ledger, folder: Path) -> None:
    assert ledger.elapsed_s() == 0.0
    with raw(folder) as database:
        database.execute(
            "INSERT INTO session (id, started_at, pid, host) VALUES (1, 100.0, 1, 'a'), (2, 500.0, 2, 'a')"
        )
        database.execute("INSERT INTO heartbeat VALUES (1, 1, 105.0), (1, 2, 110.0), (2, 1, 505.0)")
        database.execute("INSERT INTO session_end VALUES (2, 520.0, 'finished')")
    assert ledger.elapsed_s() == 30.0
    assert ledger.start_session(3, "a") == 3
