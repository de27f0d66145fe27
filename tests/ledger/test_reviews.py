from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.domain.errors import LedgerError
from optimizer.ledger.control import ReviewPayload, read_all, send
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from tests.ledger import samples

ASKED = samples.question()


def test_a_question_waits_until_a_person_answers_and_every_answer_stays(ledger: Ledger, folder: Path) -> None:
    ledger.reviews.open_item(ASKED, 1, 4, is_waiting=True)
    with LedgerReader.open(folder) as reader:
        (row,) = reader.reviews()
        assert (row.item, row.is_open, row.in_force, row.step) == (ASKED, True, "no", 4)
        ledger.reviews.answer(samples.ruling(ASKED, "yes", "person/ann", "looks alike"), 0, 2, 9)
        ledger.reviews.answer(samples.ruling(ASKED, "no", "person/ben"), 1, 2, 11)
        (row,) = reader.reviews()
    assert (row.is_open, row.in_force) == (False, "no")
    assert [(each.answer.answer, each.answer.by, each.step) for each in row.answers] == [
        ("yes", "person/ann", 9),
        ("no", "person/ben", 11),
    ]
    assert row.answers[0].answer.note == "looks alike"


def test_a_default_that_applies_at_once_leaves_nothing_open(ledger: Ledger, folder: Path) -> None:
    ledger.reviews.open_item(ASKED, 1, 4, is_waiting=False)
    ledger.reviews.answer(samples.ruling(ASKED), 0, 1, 5)
    with LedgerReader.open(folder) as reader:
        (row,) = reader.reviews()
    assert (row.is_open, row.in_force) == (False, "yes")
    assert row.answers[0].answer.is_automatic


def test_a_question_is_found_by_the_beginning_of_its_id(ledger: Ledger, folder: Path) -> None:
    many = [samples.question(f"k{n}") for n in range(40)]
    for n, item in enumerate(many):
        ledger.reviews.open_item(item, 1, n, is_waiting=True)
    with LedgerReader.open(folder) as reader:
        assert reader.review(many[7].id).item == many[7]
        assert reader.review("zz") is None
        with pytest.raises(LedgerError, match="begins several items"):
            reader.review("")


def test_options_that_make_no_choice_are_refused() -> None:
    for wrong in ({"options": ("yes",), "cautious": "yes"}, {"default": "maybe"}, {"cautious": "perhaps"}):
        with pytest.raises(ValueError, match="need two members"):
            replace(ASKED, **wrong)


def test_a_ledger_from_before_these_tables_is_read_and_gets_them_when_it_is_written(
    ledger: Ledger, folder: Path
) -> None:
    ledger.close()
    new = ("dataset", "review", "review_answer", "control_read", "control_message")
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        for table in new:
            database.execute(f"DROP TABLE {table}")
        database.execute("DROP INDEX rollout_2")
        database.commit()
    sent = send(folder, "review", ReviewPayload(item="ab12ab12", answer="yes"), who="ann")
    with LedgerReader.open(folder) as reader:
        assert (reader.dataset_rows(), reader.reviews(), reader.review("ab")) == ((), (), None)
        assert reader.unread(read_all(folder)) == (sent,)
    with Ledger.open(folder) as again:
        again.reviews.open_item(ASKED, 1, 1, is_waiting=True)
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
    assert {*new, "rollout_2"} <= names


def test_a_dataset_version_shows_its_cases_as_they_stood_when_it_was_made(ledger: Ledger, folder: Path) -> None:
    of = samples.job(0)
    ledger.record_rollout(samples.rollout(of), samples.trace())
    ledger.record_failure(samples.failure(of, 1), 1)
    made = samples.case(state="active", task_id=of.task.id, failure_id="f0001", rollout_id=of.id)
    ledger.record_case(made, 1, 3)
    ledger.record_dataset(samples.dataset(1), 1, 4)
    ledger.record_case(replace(made, state="quarantined", note="flaky"), 2, 8)
    ledger.record_dataset(samples.dataset(2, cases=("e0001", "gone")), 2, 9)
    with LedgerReader.open(folder) as reader:
        first, second = reader.dataset_rows()
        (then,) = reader.dataset_cases(first)
        now, gone = reader.dataset_cases(second)
        assert then.trace_sha == reader.rollout(of.id).trace_sha
    assert (first.n, second.n, second.version.parent) == (1, 2, first.version.id)
    assert (then.case, then.failure, then.split) == (made, samples.failure(of, 1), "train")
    assert now.case.state == "quarantined"
    assert gone.case is None
