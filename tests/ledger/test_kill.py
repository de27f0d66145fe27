from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from optimizer.domain.errors import LedgerError
from optimizer.ledger.connection import open_reader
from optimizer.ledger.digest import content_digest, content_rows
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.nouns import Nouns
from tests.ledger.samples import HEADER, record_campaign

N_BATCHES = 6


def child(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.ledger.writer_child", *arguments]
    root = Path(__file__).parents[2]
    return subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def run_and_kill(folder: Path, n_lines: int) -> list[str]:
    """Steps a writer said it had recorded before it was killed in the middle of a later one."""
    with child("record", str(folder), str(N_BATCHES)) as process:
        assert process.stdout is not None
        said = [line.strip() for _, line in zip(range(n_lines), process.stdout, strict=False)]
        process.kill()
        said += [line.strip() for line in process.stdout.read().splitlines()]
    return said


def assert_whole(folder: Path, said: list[str]) -> None:
    """Everything said to be recorded is there, and every blob a row points to can be read."""
    database = open_reader(folder / "ledger.sqlite")
    nouns = Nouns(database, folder)
    assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    for step in said:
        kind, _, key = step.partition(" ")
        if kind == "rollout":
            found = nouns.rollout(key)
            assert found is not None
            assert found.trace_sha is not None
            nouns.trace(found.trace_sha)
    n_calls = sum(step.startswith("call ") for step in said)
    assert database.execute("SELECT count(*) FROM model_call").fetchone()[0] >= n_calls
    for row in database.execute("SELECT sha FROM blob").fetchall():
        nouns.blob(row["sha"])
    database.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_writer_loses_nothing_it_recorded_and_goes_on_to_the_same_content(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for _ in range(2):
        said = run_and_kill(killed, dice.randrange(1, 110))
        assert_whole(killed, said)
    with Ledger.open(killed) as ledger:
        for _ in record_campaign(ledger, N_BATCHES):
            pass
    with Ledger.create(whole, HEADER) as ledger:
        for _ in record_campaign(ledger, N_BATCHES):
            pass
    for left, right in zip(content_rows(killed), content_rows(whole), strict=True):
        assert left == right
    assert content_digest(killed) == content_digest(whole)


def test_a_kill_during_creation_leaves_no_half_made_ledger(folder: Path) -> None:
    folder.mkdir()
    (folder / "ledger.sqlite.new").write_bytes(b"half a database")
    with pytest.raises(LedgerError, match="no campaign"):
        Ledger.open(folder)
    with Ledger.create(folder, HEADER) as ledger:
        assert ledger.header == HEADER


def test_a_second_writer_is_refused_by_the_pid_of_the_first_until_that_one_is_killed(folder: Path) -> None:
    Ledger.create(folder, HEADER).close()
    with child("hold", str(folder)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(LedgerError, match=f"process {process.pid} is writing to the campaign"):
            Ledger.open(folder)
        process.kill()
    Ledger.open(folder).close()


def test_a_second_writer_in_the_same_process_is_refused(ledger: Ledger, folder: Path) -> None:
    with pytest.raises(LedgerError, match="is writing to the campaign"):
        Ledger.open(folder)
    ledger.record_event(1, "note", None, "the first one goes on")


def test_the_lock_is_not_inherited_by_a_child_that_outlives_the_writer(folder: Path) -> None:
    ledger = Ledger.create(folder, HEADER)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, close_fds=False) as orphan:
        ledger.close()
        Ledger.open(folder).close()
        assert orphan.poll() is None
        orphan.kill()
