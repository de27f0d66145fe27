"""What is special to the native backend: warm SDKs, nothing left behind, refusals that say what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from sandbox.contract import Limits, SandboxUnavailable, Spec
from sandbox.environment import HarnessEnvironment
from sandbox.native.cgroup import own_trees
from sandbox.native.sandbox import NativeSandbox
from sandbox.select import open_sandbox, probe
from tests.sandbox.gateway import open_gateway

pytestmark = pytest.mark.anyio
REPOSITORY = Path(__file__).resolve().parents[2]
CONFORMING = Spec(files={"agent.py": b"async def run(session):\n    pass\n"}, env={"HONE_CONFORMANCE": "1"})
SLEEPER = Spec(files={"agent.py": b"import time\ntime.sleep(300)\n"}, env={"HONE_CONFORMANCE": "1"})
HOST = """
import sys, anyio
from sandbox.contract import Spec
from sandbox.environment import ensure_environment
from sandbox.native.sandbox import NativeSandbox
code = b"import os, time\\nif os.fork() == 0: os.setsid()\\ntime.sleep(300)\\n"

async def main():
    async with NativeSandbox(ensure_environment((), report=print)) as box, anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(box.run, Spec(files={"agent.py": code}, env={"HONE_CONFORMANCE": "1"}))
        while len(list(box._premises.groups.folders[0].glob("run*")) if box._premises.groups else "1234") < 4:
            await anyio.sleep(0.02)
        await anyio.sleep(0.2)
        print(box._premises.folder, flush=True)
        await anyio.sleep(300)

anyio.run(main)
"""


def traces(name: str) -> set[str]:
    """All that one sandbox leaves visible on this machine: its folder, control groups, mounts, processes."""
    found = {str(path) for path in Path(tempfile.gettempdir()).glob(name)}
    for tree in own_trees():
        for base in {tree.own, tree.mount}:
            found |= {str(path) for pattern in (name, f"{name}/run*") for path in base.glob(pattern)}
    found |= {line for line in Path("/proc/mounts").read_text().splitlines() if name in line}
    return found | processes(name)


def processes(name: str) -> set[str]:
    """Keeper, builder, server and runs of one sandbox."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if words.endswith(f"\0{name}\0".encode()):
                found.add(f"{entry.name} {words!r}")
    return found


def vanish(name: str, within_s: float = 15) -> set[str]:
    """What is still there of a sandbox after at most this long."""
    deadline = time.monotonic() + within_s
    while (left := traces(name)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def name_of(box: NativeSandbox) -> str:
    """What folder, groups and processes of an open sandbox are called."""
    assert box._premises is not None
    return box._premises.folder.name


def n_descriptors() -> int:
    """Open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_two_hundred_runs_leave_nothing_behind(empty_environment: HarnessEnvironment) -> None:
    fds = n_descriptors()
    async with NativeSandbox(empty_environment) as box:
        name = name_of(box)
        busy = traces(name)
        assert len(busy) >= 4
        limiter = anyio.CapacityLimiter(8)

        async def one() -> None:
            async with limiter:
                assert (await box.run(CONFORMING)).kind == "ok"

        async with anyio.create_task_group() as group:
            for _ in range(200):
                group.start_soon(one)
        assert traces(name) == busy
        assert list(box._premises.doors.iterdir()) == []  # type: ignore[union-attr]
    assert vanish(name) == set()
    assert n_descriptors() == fds


async def test_18_a_killed_host_leaves_nothing_behind() -> None:
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    async with await anyio.open_process([sys.executable, "-c", HOST], env=env, stdin=subprocess.DEVNULL) as host:
        assert host.stdout is not None
        folder = ""
        async for chunk in host.stdout:
            folder += chunk.decode()
            if folder.endswith("\n"):
                break
        name = Path(folder.strip()).name
        assert folder.strip() in traces(name)
        assert len(processes(name)) >= 3 + 4 * 3  # keeper, builder, server; init, agent and its child four times
        host.send_signal(signal.SIGKILL)
        await host.wait()
        await host.aclose()
    assert vanish(name) == set()


async def test_what_a_killed_host_and_keeper_left_is_swept_by_the_next(empty_environment: HarnessEnvironment) -> None:
    stale = Path(tempfile.mkdtemp(prefix="hone-sandbox-"))
    (stale / "lock").touch()
    groups = [path for tree in own_trees() for path in (tree.own / stale.name,) if os.access(tree.own, os.W_OK)]
    for group in groups:
        group.mkdir()
    async with NativeSandbox(empty_environment):
        assert traces(stale.name) == set()


async def test_the_premises_of_a_living_neighbour_are_not_swept(empty_environment: HarnessEnvironment) -> None:
    async with NativeSandbox(empty_environment) as first, NativeSandbox(empty_environment) as second:
        assert (await first.run(CONFORMING)).kind == "ok"
        assert (await second.run(CONFORMING)).kind == "ok"


async def test_a_cancelled_run_is_dead_when_the_call_returns(empty_environment: HarnessEnvironment) -> None:
    async with NativeSandbox(empty_environment) as box:
        busy = traces(name_of(box))
        with anyio.move_on_after(0.3) as patience:
            await box.run(SLEEPER)
        assert patience.cancelled_caught
        assert traces(name_of(box)) == busy
        assert (await box.run(CONFORMING)).kind == "ok"


async def test_a_dead_server_is_an_infra_error_once_and_then_replaced(empty_environment: HarnessEnvironment) -> None:
    async with NativeSandbox(empty_environment) as box:
        kinds: list[str] = []

        async def sleep() -> None:
            kinds.append((await box.run(SLEEPER)).kind)

        async with anyio.create_task_group() as group:
            group.start_soon(sleep)
            await anyio.sleep(0.3)
            for found in processes(name_of(box)):
                if "guest.server" in found:
                    os.kill(int(found.split()[0]), signal.SIGKILL)
        assert kinds == ["infra"]
        with anyio.fail_after(20):
            while (await box.run(CONFORMING)).kind != "ok":  # noqa: ASYNC110 - a death raises no event here
                await anyio.sleep(0.05)


@pytest.mark.parametrize("client", ["OpenAI", "AsyncOpenAI"])
async def test_the_openai_sdk_works_as_anywhere(openai_box: NativeSandbox, door_folder: Path, client: str) -> None:
    wait = "await " if client.startswith("Async") else ""
    code = f"""
from openai import {client}
async def run(session):
    client = {client}()
    for _ in range(2):
        answer = {wait}client.chat.completions.create(
            model=session.model, messages=[{{"role": "user", "content": "x"}}]
        )
        print(answer.choices[0].message.content, answer.usage.total_tokens)
"""
    assert openai_box.warmed == ("session", "openai")
    async with open_gateway(door_folder / "g.sock") as door:
        result = await openai_box.run(Spec(files={"agent.py": code.encode()}, socket=door))
    assert result.stdout.text == "pong 2\npong 2\n", result.stderr.text


async def test_any_other_address_fails_through_the_sdk(openai_box: NativeSandbox, door_folder: Path) -> None:
    code = b"""
import importlib.util
httpx = importlib.import_module("httpx2" if importlib.util.find_spec("httpx2") else "httpx")
async def run(session):
    for url in ("http://127.0.0.1:9/", "http://1.1.1.1/", "https://example.com/"):
        try:
            httpx.get(url, timeout=2)
        except httpx.ConnectError as error:
            print("refused")
"""
    async with open_gateway(door_folder / "g.sock") as door:
        result = await openai_box.run(Spec(files={"agent.py": code}, socket=door))
    assert result.stdout.text == "refused\n" * 3, result.stderr.text


async def test_without_groups_the_level_says_so_and_limits_hold_per_process(
    empty_environment: HarnessEnvironment, hostile: Callable[..., Spec]
) -> None:
    async with NativeSandbox(empty_environment, use_groups=False) as box:
        assert box.level == "native:L2:rlimits"
        result = await box.run(hostile("r03_memory_bomb", limits=Limits(memory_bytes=64 * 2**20)))
        assert result.kind == "nonzero"
        assert "MemoryError" in result.stderr.text
        assert result.peak_memory_bytes is None


async def test_unknown_sandboxes_are_refused(empty_environment: HarnessEnvironment) -> None:
    with pytest.raises(SandboxUnavailable, match="none"):
        open_sandbox("none", empty_environment)
    assert isinstance(open_sandbox("native", empty_environment), NativeSandbox)


async def test_the_probe_says_what_it_tried_and_which_level_is_reached() -> None:
    report = await probe()
    assert report.level is not None
    assert report.findings[-1].ok
    assert report.level in report.findings[-1].detail


async def test_a_server_that_cannot_start_says_why_and_leaves_no_folder(
    empty_environment: HarnessEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    broken = HarnessEnvironment(
        python=tmp_path / "bin" / "python", prefix=tmp_path, base_prefix=empty_environment.base_prefix
    )
    with pytest.raises(SandboxUnavailable, match=r"No such file|go\+rX"):
        async with NativeSandbox(broken):
            pass
    assert folders_in(tmp_path) == []


def folders_in(folder: Path) -> list[str]:
    """Premises of sandboxes in a temporary folder."""
    return [path.name for path in folder.glob("hone-sandbox-*")]
