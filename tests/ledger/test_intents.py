from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from optimizer.domain.budget import Spend
from optimizer.domain.recording import IntendedCall, RecordedCall
from optimizer.domain.trace import Usage
from optimizer.ledger.digest import content_digest
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from tests.ledger.samples import CALL_USAGE, HEADER, job, rollout, trace

WORST = Usage(input_tokens=30, output_tokens=100, usd=0.5, n_calls=1)


def intended(request: str = "r1", *, task: int = 0) -> IntendedCall:
    wanted = job(task)
    return IntendedCall(luck=wanted.luck, request_hash=request, occurrence=0, rollout_id=wanted.id, worst_case=WORST)


def answered(call: IntendedCall) -> RecordedCall:
    return RecordedCall(
        luck=call.luck,
        request_hash=call.request_hash,
        occurrence=call.occurrence,
        rollout_id=call.rollout_id,
        body_json="{}",
        usage=CALL_USAGE,
    )


def restarted(folder: Path) -> Spend:
    """What the next session says of the one before."""
    with Ledger.open(folder) as ledger:
        ledger.start_session(2, "host")
        return ledger.uncertain_spend()


def test_an_answered_or_refused_call_is_certain(ledger: Ledger, folder: Path) -> None:
    ledger.record(answered(intended()), intent=ledger.intend(intended()))
    ledger.withdraw(ledger.intend(intended("r2")))
    ledger.close()
    assert restarted(folder) == Spend()


def test_a_call_that_broke_off_counts_at_once_for_ever_and_beside_its_rollout(ledger: Ledger, folder: Path) -> None:
    ledger.lose(ledger.intend(intended()))
    ledger.record(answered(intended()), intent=ledger.intend(intended()))  # the next attempt
    assert ledger.uncertain_spend() == Spend(usd=0.5, tokens=130)
    ledger.record_rollout(rollout(job(0)), trace())
    with LedgerReader.open(folder) as reader:
        assert reader.status().uncertain == Spend(usd=0.5, tokens=130)
    ledger.close()
    assert restarted(folder) == Spend(usd=0.5, tokens=130)


def test_calls_without_an_answer_count_at_their_worst_case_for_ever(ledger: Ledger, folder: Path) -> None:
    ledger.intend(intended("r1"))
    ledger.intend(intended("r2"))
    assert ledger.uncertain_spend() == Spend()  # under way
    ledger.close()
    lost = Spend(usd=1.0, tokens=260)
    assert restarted(folder) == lost
    with Ledger.open(folder) as again:
        again.record(answered(intended("r1")), intent=again.intend(intended("r1")))  # bought a second time
    assert restarted(folder) == lost


def test_a_call_that_its_recorded_rollout_counts_already_is_not_counted_twice(ledger: Ledger, folder: Path) -> None:
    ledger.intend(intended())
    ledger.record_rollout(rollout(job(0)), trace())
    ledger.close()
    assert restarted(folder) == Spend()


def test_a_rollout_recorded_by_a_later_session_does_not_hide_the_call(ledger: Ledger, folder: Path) -> None:
    ledger.intend(intended())
    ledger.close()
    assert restarted(folder) == Spend(usd=0.5, tokens=130)
    with Ledger.open(folder) as again:
        again.record_rollout(rollout(job(0)), trace())
    assert restarted(folder) == Spend(usd=0.5, tokens=130)


def test_a_dead_campaign_shows_what_is_uncertain_before_it_is_resumed(ledger: Ledger, folder: Path) -> None:
    ledger.start_session(1, "host")
    ledger.intend(intended())
    with LedgerReader.open(folder) as reader:
        assert reader.status().uncertain == Spend()  # it runs: the call is under way
    ledger.end_session("interrupted")
    with LedgerReader.open(folder) as reader:
        assert reader.status().uncertain == Spend(usd=0.5, tokens=130)


def test_intents_are_no_content(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with Ledger.create(tmp_path / name, HEADER) as ledger:
            intent = ledger.intend(intended()) if name == "a" else None
            ledger.record(answered(intended()), intent=intent)
    assert content_digest(tmp_path / "a") == content_digest(tmp_path / "b")


def test_a_ledger_of_the_version_before_is_read_as_it_is_and_written_with_the_new_tables(
    ledger: Ledger, folder: Path
) -> None:
    ledger.close()
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        database.execute("DROP TABLE call_intent")
        database.execute("DROP TABLE call_intent_end")
        database.execute("DROP TABLE rollout_metric")
        database.execute("PRAGMA user_version = 2000")
    with LedgerReader.open(folder) as reader:
        assert reader.status().uncertain == Spend()
    with Ledger.open(folder) as again:
        again.intend(intended())
    assert restarted(folder) == Spend(usd=0.5, tokens=130)


def test_an_intent_cannot_be_settled_in_two_ways(ledger: Ledger) -> None:
    intent = ledger.intend(intended())
    ledger.record(answered(intended()), intent=intent)
    with pytest.raises(Exception, match="outcome"):
        ledger.withdraw(intent)
