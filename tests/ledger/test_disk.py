from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optimizer.domain.errors import LedgerError
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from tests.ledger.samples import HEADER, job, record_campaign, rollout, trace

NOBODY = 65534


def fill(folder: Path, *limit: str) -> tuple[list[str], str]:
    command = [sys.executable, "-m", "tests.ledger.writer_child", "fill", str(folder), *limit]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    *recorded, message = done.stdout.splitlines()
    return recorded, message


def assert_kept(folder: Path, recorded: list[str]) -> None:
    with LedgerReader.open(folder) as reader:
        for rollout_id in recorded:
            found = reader.rollout(rollout_id)
            assert found is not None
            assert found.trace_sha is not None
            reader.trace(found.trace_sha)


@pytest.mark.parametrize("limit", [600_000, 900_000])
def test_a_file_size_limit_gives_a_remedy_and_keeps_what_was_recorded(limit: int, folder: Path) -> None:
    recorded, message = fill(folder, str(limit))
    assert recorded
    assert message.startswith("LedgerError: ")
    assert "free space" in message
    assert "`hone resume`" in message
    assert_kept(folder, recorded)
    with Ledger.open(folder) as ledger:
        ledger.record_rollout(rollout(job(trial=-1)), trace())


@contextmanager
def small_disk(size: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    if os.getuid() != 0:
        pytest.skip("NOT TESTED: mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: this container may not mount: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def test_a_full_disk_gives_a_remedy_and_keeps_what_was_recorded() -> None:
    with small_disk("3m") as disk:
        recorded, message = fill(disk / "night")
        assert recorded
        assert "there is no space left for" in message
        assert "free space, then `hone resume`" in message
        assert_kept(disk / "night", recorded)


def test_a_disk_too_small_for_an_empty_ledger_says_so() -> None:
    with small_disk("64k") as disk, pytest.raises(LedgerError, match="there is no space left"):
        Ledger.create(disk / "night", HEADER)


def as_another_user(action: Callable[[], str]) -> str:
    """What `action` says when it runs as a user without special rights."""
    if os.getuid() != 0:
        return action()
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            said = action()
        except BaseException as error:  # noqa: BLE001 - everything is told to the parent
            said = f"{type(error).__name__}: {error}"
        os.write(writable, said.encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that other users can reach, and that is read-only to them."""
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        yield Path(root) / "night"
        (Path(root) / "night").chmod(0o755)


def make_read_only(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)


def counted(folder: Path) -> str:
    with LedgerReader.open(folder) as reader:
        status = reader.status()
        detail = reader.candidate(1)
        assert detail is not None
        assert detail.diff is not None
        return f"{status.n_batches} {status.n_rollouts} {len(reader.candidates())} {len(detail.diff)}"


def test_a_finished_campaign_in_a_read_only_folder_can_be_read_by_another_user(public: Path) -> None:
    with Ledger.create(public, HEADER) as ledger:
        for _ in record_campaign(ledger):
            pass
    make_read_only(public)
    before = {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in public.iterdir()}
    assert (
        as_another_user(lambda: counted(public))
        == f"3 9 6 {len('--- a/agent.py+++ b/agent.py@@ -0,0 +1 @@+x = 1') + 4}"
    )
    assert {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in public.iterdir()} == before


def test_a_running_campaign_can_be_read_by_another_user_who_may_not_write(public: Path) -> None:
    with Ledger.create(public, HEADER) as ledger:
        for step, _ in enumerate(record_campaign(ledger)):
            if step % 10 == 0:
                make_read_only(public)
                with LedgerReader.open(public) as reader:
                    n_rollouts = reader.status().n_rollouts

                def seen() -> str:
                    with LedgerReader.open(public) as reader:
                        return str(reader.status().n_rollouts)

                assert as_another_user(seen) == str(n_rollouts)


def test_a_read_only_folder_refuses_a_writer_with_a_remedy(public: Path) -> None:
    Ledger.create(public, HEADER).close()
    make_read_only(public)
    said = as_another_user(lambda: str(Ledger.open(public)))
    assert said.startswith("LedgerError: ")
    assert "cannot be used: Permission denied" in said


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger.create(tmp_path / "file" / "night", HEADER)
