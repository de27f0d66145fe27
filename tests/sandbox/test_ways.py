"""The ways to build the native sandbox: found by trying, said in the level, and none leaves anything behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from sandbox.contract import SandboxUnavailable
from sandbox.environment import HarnessEnvironment
from sandbox.native import bubblewrap, warm_server
from sandbox.native.sandbox import NativeSandbox
from sandbox.native.way import WAYS, Way
from sandbox.select import probe
from tests.sandbox.as_user import UserSandbox
from tests.sandbox.conftest import sandbox_of_user
from tests.sandbox.test_native import CONFORMING, HOST, REPOSITORY, SLEEPER, name_of, processes, traces, vanish

pytestmark = pytest.mark.anyio
OTHERS = WAYS[1:]


def by_name(way: Way) -> str:
    return way.name


def uids_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text().partition("\nUid:\t")[2].split("\n")[0].split()


def test_the_ways_are_tried_from_the_strongest_on() -> None:
    assert [way.name for way in WAYS] == ["native", "native-cold", "native-bwrap", "native-bwrap-cold"]


async def test_the_first_way_that_works_is_taken_and_no_other_is_tried(native_box: NativeSandbox) -> None:
    assert native_box.level.startswith("native:")
    assert native_box.failed == ()


async def test_where_a_run_can_make_no_namespace_of_its_own_runs_start_cold() -> None:
    """One mount namespace may be made at a time: the server's is, that of a run inside it is not."""
    async with sandbox_of_user(prelude="max_mnt_namespaces=1") as box:
        assert box.level == "native-cold:L2:rlimits"
        assert [reason.partition(":")[0] for reason in box.failed] == ["native"]
        assert "unshare" in box.failed[0]
        result = await box.run(CONFORMING)
        assert (result.kind, result.level) == ("ok", box.level)


async def test_where_no_namespace_can_be_made_every_attempt_is_named_with_its_reason_and_the_choices(
    empty_environment: HarnessEnvironment, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match=r".*"):
        async with sandbox_of_user(prelude="max_mnt_namespaces=0"):
            pass
    said = capfd.readouterr().err
    for way in WAYS:
        assert f"  {way.name}: " in said
    assert "--sandbox reduced" in said
    assert "its cost" in said


async def test_without_bubblewrap_its_ways_say_that_it_is_not_installed(
    empty_environment: HarnessEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bubblewrap, "_PLACES", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="native-bwrap-cold: bubblewrap is not installed"):
        async with NativeSandbox(empty_environment, ways=WAYS[3:]):
            pass


async def test_a_set_uid_bubblewrap_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bwrap"
    program.touch()
    program.chmod(0o4755)
    monkeypatch.setattr(bubblewrap, "_PLACES", str(tmp_path))
    with pytest.raises(PermissionError, match="set-uid"):
        bubblewrap.find()


async def test_bubblewrap_never_runs_with_the_hosts_root(
    bubblewrap: None, empty_environment: HarnessEnvironment
) -> None:
    async with NativeSandbox(empty_environment, ways=(Way(launcher="bwrap", is_cold=False),)) as box:
        name = name_of(box)
        seen = {found: uids_of(int(found.split()[0])) for found in processes(name)}
        inside = {words: uids for words, uids in seen.items() if "bwrap" in words or "guest.server" in words}
        assert len(inside) >= 2
        assert all("0" not in uids for uids in inside.values())


@pytest.mark.parametrize("way", OTHERS, ids=by_name)
async def test_runs_leave_nothing_behind(bubblewrap: None, empty_environment: HarnessEnvironment, way: Way) -> None:
    async with NativeSandbox(empty_environment, ways=(way,)) as box:
        assert box.level.startswith(f"{way.name}:L")
        name = name_of(box)
        busy = traces(name)
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(box.run, CONFORMING)
        with anyio.move_on_after(0.6):
            await box.run(SLEEPER)
        assert traces(name) == busy
        assert list(box._premises.doors.iterdir()) == []  # type: ignore[union-attr]
        cold = box._premises.folder / "cold"  # type: ignore[union-attr]
        assert not cold.exists() or list(cold.iterdir()) == []
    assert vanish(name) == set()


@pytest.mark.parametrize("way", OTHERS, ids=by_name)
async def test_18_a_killed_host_leaves_nothing_behind(bubblewrap: None, way: Way) -> None:
    chosen = f"ways=(Way(launcher={way.launcher!r}, is_cold={way.is_cold}),)"
    code = HOST.replace("report=print))", f"report=print), {chosen})").replace(
        "code = b", "from sandbox.native.way import Way\ncode = b"
    )
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    async with await anyio.open_process([sys.executable, "-c", code], env=env, stdin=subprocess.DEVNULL) as host:
        assert host.stdout is not None
        folder = ""
        async for chunk in host.stdout:
            folder += chunk.decode()
            if folder.endswith("\n"):
                break
        name = Path(folder.strip()).name
        assert folder.strip() in traces(name)
        host.send_signal(signal.SIGKILL)
        await host.wait()
        await host.aclose()
    assert vanish(name) == set()


async def test_a_user_with_bubblewrap_alone_has_a_sandbox(user_bwrap_cold_box: UserSandbox) -> None:
    result = await user_bwrap_cold_box.run(CONFORMING)
    assert (result.kind, result.level) == ("ok", "native-bwrap-cold:L2:rlimits")
    assert any("number of files" in weakness for weakness in user_bwrap_cold_box.not_covered)


async def test_the_probe_says_which_way_is_taken() -> None:
    report = await probe()
    assert any("warm server" in finding.what and finding.detail == "native" for finding in report.findings)
    assert any("reduced" in finding.what for finding in report.findings)


def test_an_explanation_names_a_remedy() -> None:
    assert "allow them" in warm_server.explain("OSError: unshare(0x7): Operation not permitted")
