from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.domain.errors import ConfigError, LedgerError
from optimizer.ledger.control import (
    CONTROL_NAME,
    MAX_LINE_BYTES,
    Mailbox,
    ReviewPayload,
    payload_of,
    read_all,
    send,
)
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from tests.ledger import samples

YES = ReviewPayload(item="ab12ab12ab12", answer="yes", note="looks alike")


def append(folder: Path, raw: bytes) -> None:
    with (folder / CONTROL_NAME).open("ab") as file:
        file.write(raw)


def test_a_message_is_read_as_it_was_sent_and_once(tmp_path: Path) -> None:
    box = Mailbox(tmp_path)
    assert box.fresh().messages == ()
    sent = send(tmp_path, "review", YES, who="ann")
    assert box.fresh().messages == (sent,)
    assert box.fresh().messages == ()
    later = send(tmp_path, "review", YES, who="ben")
    assert box.fresh().messages == (later,)
    assert read_all(tmp_path).messages == (sent, later)
    assert payload_of(sent) == YES


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "Invalid JSON"),
        (b"[]", "Input should be an object"),
        (b'{"id":"x"}', "id"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"x" * (MAX_LINE_BYTES + 1), "16384 are allowed"),
    ],
)
def test_a_foreign_line_is_reported_and_skipped(tmp_path: Path, line: bytes, reason: str) -> None:
    first = send(tmp_path, "review", YES, who="ann")
    append(tmp_path, line + b"\n")
    last = send(tmp_path, "review", YES, who="ann")
    mail = read_all(tmp_path)
    assert mail.messages == (first, last)
    (problem,) = mail.problems
    assert reason in problem
    assert "line 3 " in problem


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "explode"},
        {"payload": {"item": "ab12ab12ab12", "answer": "yes", "note": "", "extra": 1}},
        {"payload": {"item": "../../etc", "answer": "yes"}},
        {"payload": {"item": "ab12ab12ab12", "answer": 1}},
        {"sent_at": -1},
        {"sent_at": "now"},
        {"who": "ann\u0007"},
        {"surprise": True},
    ],
)
def test_a_message_of_another_form_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    send(tmp_path, "review", YES, who="ann")
    spelled = json.loads((tmp_path / CONTROL_NAME).read_text())
    append(tmp_path, json.dumps({**spelled, "id": "f" * 32, **change}).encode() + b"\n")
    mail = read_all(tmp_path)
    assert (len(mail.messages), len(mail.problems)) == (1, 1)


def test_what_a_killed_writer_has_left_spoils_no_later_message(tmp_path: Path) -> None:
    append(tmp_path, b'\n{"id":"0123')
    box = Mailbox(tmp_path)
    assert box.fresh().problems == (), "a line that is still being written waits"
    sent = send(tmp_path, "review", YES, who="ann")
    mail = box.fresh()
    assert mail.messages == (sent,)
    assert len(mail.problems) == 1


def test_a_repeated_message_is_one_message(tmp_path: Path) -> None:
    sent = send(tmp_path, "review", YES, who="ann")
    append(tmp_path, (tmp_path / CONTROL_NAME).read_bytes())
    assert read_all(tmp_path).messages == (sent,)


def test_what_could_not_be_read_back_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be sent: who"):
        send(tmp_path, "review", YES, who="ann\x00")
    long = ReviewPayload.model_construct(item="ab12ab12", answer="yes", note="x" * MAX_LINE_BYTES)
    with pytest.raises(ConfigError, match="cannot be sent: it has"):
        send(tmp_path, "review", long, who="ann")
    assert not (tmp_path / CONTROL_NAME).exists()


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / CONTROL_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerError):
        send(tmp_path, "review", YES, who="ann")
    assert (tmp_path / "elsewhere").read_text() == ""


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_bytes_in_the_file_stop_a_reader(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / CONTROL_NAME).write_bytes(raw)
    sent = send(tmp_path, "review", YES, who="ann")
    assert read_all(tmp_path).messages == (sent,)


def test_writers_in_many_processes_lose_no_message(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from optimizer.ledger.control import ReviewPayload, send\n"
        "for n in range(50): send(Path(sys.argv[1]), 'review',"
        " ReviewPayload(item='ab12ab12', answer='yes', note='x' * 10 * n), who=sys.argv[2])"
    )
    commands = [[sys.executable, "-c", code, str(tmp_path), str(who)] for who in range(4)]
    for writer in [subprocess.Popen(command, env=dict(os.environ)) for command in commands]:
        assert writer.wait(60) == 0
    mail = read_all(tmp_path)
    assert (len(mail.messages), mail.problems) == (200, ())


def test_a_resumed_runner_meets_each_message_at_the_step_at_which_it_met_it_first(folder: Path) -> None:
    with Ledger.create(folder, samples.HEADER) as ledger:
        assert ledger.control.take(1, 0, 5).messages == ()
        early = send(folder, "review", YES, who="ann")
        assert ledger.control.take(2, 1, 9).messages == (early,)
        assert ledger.control.take(3, 1, 12).messages == ()
    late = send(folder, "review", YES, who="ben")
    with LedgerReader.open(folder) as reader:
        assert reader.unread(read_all(folder)) == (late,)
    with Ledger.open(folder) as ledger:
        taken = [ledger.control.take(n, 1, step).messages for n, step in ((1, 5), (2, 9), (3, 12), (4, 20))]
    assert taken == [(), (early,), (), (late,)]
    with LedgerReader.open(folder) as reader:
        assert reader.unread(read_all(folder)) == ()


def test_a_resumed_runner_needs_the_file_no_more_for_what_it_took(folder: Path) -> None:
    with Ledger.create(folder, samples.HEADER) as ledger:
        sent = send(folder, "review", YES, who="ann")
        ledger.control.take(1, 0, 0)
    (folder / CONTROL_NAME).unlink()
    with Ledger.open(folder) as ledger:
        assert ledger.control.take(1, 0, 0).messages == (sent,)
        assert ledger.control.take(2, 0, 0).messages == ()
