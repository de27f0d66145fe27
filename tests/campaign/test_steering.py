"""Questions and wishes in a running campaign, and in one that is killed and resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from optimizer.campaign.journal import Event, Journal
from optimizer.campaign.reviewing import ReviewDesk
from optimizer.campaign.steering import Steering
from optimizer.ledger.control import CONTROL_NAME, ReviewPayload, send
from optimizer.ledger.digest import content_digest
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from tests.campaign.conftest import Finished
from tests.campaign.session_of import run
from tests.campaign.toy import Toy, git, make_toy
from tests.ledger import samples

ASKED, OTHER = samples.question("k2"), samples.question("k3", kind="case")


@dataclass
class Session:
    """A loop that does nothing but ask and read."""

    folder: Path
    ledger: Ledger
    mode: str = "human"
    always_ask: frozenset[str] = frozenset()
    told: list[Event] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        journal = Journal(self.ledger, self.told.append)
        self.desk = ReviewDesk(journal, mode=self.mode, always_ask=self.always_ask)
        self.steering = Steering(journal, self.desk, self.problems.append)

    def say(self, item, answer: str) -> None:
        send(self.folder, "review", ReviewPayload(item=item.id, answer=answer), who="ann")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "night"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger.create(folder, samples.HEADER) as opened:
        yield opened


def test_with_nobody_to_wait_for_the_default_applies_at_once_and_says_so(folder: Path, ledger: Ledger) -> None:
    session = Session(folder, ledger, mode="auto")
    assert [session.desk.ask(ASKED), session.desk.ask(ASKED)] == ["yes", "yes"]
    with LedgerReader.open(folder) as reader:
        (row,) = reader.reviews()
    assert [(each.answer.answer, each.answer.by) for each in row.answers] == [("yes", "auto")]
    assert session.told == [], "nobody needs to look"


def test_with_a_person_to_wait_for_the_cautious_choice_holds_until_the_answer_is_read(
    folder: Path, ledger: Ledger
) -> None:
    session = Session(folder, ledger)
    assert session.desk.ask(ASKED) == "no"
    session.say(ASKED, "yes")
    assert session.desk.ask(ASKED) == "no", "not read yet"
    session.steering.read()
    assert session.desk.ask(ASKED) == "yes"
    (ruling,) = session.desk.rulings()
    assert (ruling.answer, ruling.before, ruling.is_change) == ("yes", "no", True)
    assert session.desk.rulings() == ()
    assert [event.kind for event in session.told] == ["review", "control"]


def test_one_kind_may_wait_while_the_others_do_not(folder: Path, ledger: Ledger) -> None:
    session = Session(folder, ledger, mode="auto", always_ask=frozenset({"case"}))
    assert (session.desk.ask(ASKED), session.desk.ask(OTHER)) == ("yes", "no")


def test_a_person_may_overrule_a_default_and_both_answers_stay(folder: Path, ledger: Ledger) -> None:
    session = Session(folder, ledger, mode="auto")
    session.desk.ask(ASKED)
    session.say(ASKED, "no")
    session.steering.read()
    assert session.desk.ask(ASKED) == "no"
    with LedgerReader.open(folder) as reader:
        (row,) = reader.reviews()
    assert [(each.answer.answer, each.answer.by) for each in row.answers] == [("yes", "auto"), ("no", "person/ann")]


def test_answers_that_fit_no_question_change_nothing_and_are_told(folder: Path, ledger: Ledger) -> None:
    session = Session(folder, ledger)
    session.desk.ask(ASKED)
    session.say(ASKED, "perhaps")
    session.say(OTHER, "yes")
    with (folder / CONTROL_NAME).open("a") as file:
        file.write("garbage\n")
    session.steering.read()
    assert session.desk.ask(ASKED) == "no"
    assert sum("set aside" in event.text for event in session.told) == 2
    assert len(session.problems) == 1


def steps(session: Session, until: int) -> list[str]:
    """A loop of four steps, cut off after some."""
    said = []
    for _ in range(until):
        session.steering.read()
        said.append(session.desk.ask(ASKED) + session.desk.ask(OTHER))
    return said


def test_a_resumed_campaign_applies_each_answer_at_the_same_step(folder: Path, ledger: Ledger) -> None:
    first = Session(folder, ledger)
    assert steps(first, 2) == ["nono", "nono"]
    first.say(ASKED, "yes")
    assert steps(first, 1) == ["yesno"]
    ledger.close()
    digest = content_digest(folder)
    first.say(OTHER, "yes")  # nobody is there to read it
    with Ledger.open(folder) as again:
        assert steps(Session(folder, again), 3) == ["nono", "nono", "yesno"]
    assert content_digest(folder) == digest, "what was is as it was"
    with Ledger.open(folder) as again:
        assert steps(Session(folder, again), 5) == ["nono", "nono", "yesno", "yesyes", "yesyes"]


def test_a_campaign_without_messages_is_as_it_always_was(finished: Finished) -> None:
    with LedgerReader.open(finished.toy.ledger_folder) as reader:
        assert reader.reviews() == ()


def test_a_message_that_comes_late_does_not_change_what_a_resumed_campaign_did(finished: Finished, tmp_path) -> None:
    toy = make_toy(tmp_path / "harness")
    text = (toy.folder / "campaign.toml").read_text()
    (toy.folder / "campaign.toml").write_text(text.replace("candidates = 12", "candidates = 3"))
    git(toy.folder, "commit", "-q", "-a", "-m", "a small budget")
    assert run(toy) == "candidates"
    n_before = n_reads(toy)
    send(toy.ledger_folder, "review", ReviewPayload(item=ASKED.id, answer="yes"), who="ann")
    (toy.folder / "campaign.toml").write_text(text)
    assert run(toy) == "candidates"
    assert n_reads(toy) == n_reads(finished.toy) > n_before
    with LedgerReader.open(toy.ledger_folder) as reader:
        told = [event.text for event in reader.events() if event.kind == "control"]
    assert len(told) == 1
    digest = content_digest(toy.ledger_folder)
    assert run(toy) == "candidates"
    assert content_digest(toy.ledger_folder) == digest


def n_reads(toy: Toy) -> int:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(toy.ledger_folder / "ledger.sqlite")) as database:
        return database.execute("SELECT count(*) FROM control_read").fetchone()[0]
