"""Many rollouts in a row leave nothing behind and need no more memory at the end than at the beginning.

Flat means: from the end of the first tenth, when every cache is filled, to the end, the resident memory of the host's
process and of the warm server each grows by less than a stated number of KiB, however many rollouts there were.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from sandbox.contract import Limits, Spec
from sandbox.environment import HarnessEnvironment
from sandbox.native.sandbox import NativeSandbox
from tests.sandbox.gateway import open_gateway
from tests.sandbox.test_native import n_descriptors, name_of, processes, traces, vanish

pytestmark = pytest.mark.anyio
AT_ONCE = 4
_MAY_GROW_KIB = 3072
SESSION = b"""
import os, tempfile
async def run(session):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(b"x" * 10000)
    print((await session.call("echo", {"n": 1})).content)
    await session.submit()
"""
DAEMON = b"""
import os, time
async def run(session):
    if os.fork() == 0:
        os.setsid()
        time.sleep(300)
"""
CRASH = b"raise SystemExit(3)\n"
SLEEPER = b"import time\ntime.sleep(300)\n"


def resident_kib(pid: int) -> int:
    """Resident memory of a process."""
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines() if line[:6] == "VmRSS:"
    )
    return int(line.split()[1])


def server_pid(name: str) -> int:
    """The warm server; its runs have the same command line and are its children."""
    found = [int(line.split()[0]) for line in processes(name) if "guest.server" in line]
    return next(pid for pid in found if parent_of(Path(f"/proc/{pid}/stat")) not in found)


def belongings(server: int) -> dict[str, int]:
    """How many descriptors, mounts and processes the warm server has; the host's mounts are its neighbours' too."""
    mounts = Path(f"/proc/{server}/mountinfo").read_text(encoding="utf-8").splitlines()
    children = [path for path in Path("/proc").glob("[0-9]*/stat") if parent_of(path) == server]
    return {
        "descriptors": len(list(Path(f"/proc/{server}/fd").iterdir())),
        "mounts": len(mounts),
        "children": len(children),
    }


def parent_of(stat: Path) -> int | None:
    """The parent of a process; None if it is gone."""
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


async def at_rest(server: int, n_most: int) -> tuple[int, dict[str, int]]:
    """This process's descriptors and the server's belongings, once both have noticed that the last rollouts ended."""
    with anyio.move_on_after(10):
        while n_descriptors() > n_most or belongings(server)["children"]:  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(0.02)
    return n_descriptors(), belongings(server)


def specs(door: Path) -> list[tuple[Spec, str]]:
    """What a campaign sends: mostly sessions, now and then a crash, a daemon, a rollout that never ends."""
    session = (Spec(files={"agent.py": SESSION, "tools/a.py": b"x = 1\n" * 500}, socket=door), "ok")
    daemon = (Spec(files={"agent.py": DAEMON}, socket=door), "ok")
    crash = (Spec(files={"agent.py": CRASH}, socket=door), "nonzero")
    sleeper = (Spec(files={"agent.py": SLEEPER}, socket=door, limits=Limits(wall_s=0.3)), "timeout")
    return [*[session] * 40, daemon, *[session] * 4, crash, *[session] * 3, sleeper]


async def soak(box: NativeSandbox, door: Path, n: int) -> None:
    """Run `n` rollouts, a few at a time; each must end as expected."""
    cases = specs(door)
    numbers = iter(range(n))

    async def worker() -> None:
        for number in numbers:
            spec, kind = cases[number % len(cases)]
            result = await box.run(spec)
            assert result.kind == kind, (number, result.kind, result.note, result.stderr.text)

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(worker)


async def leaves_nothing(environment: HarnessEnvironment, folder: Path, n: int) -> dict[str, int]:
    """The whole check; returns what was measured."""
    async with open_gateway(folder / "g.sock") as door:
        async with NativeSandbox(environment) as box:
            server, fds = server_pid(name_of(box)), n_descriptors()
            await soak(box, door, n // 10)
            _, owned = await at_rest(server, fds)
            name, busy = name_of(box), traces(name_of(box))
            before = {"host": resident_kib(os.getpid()), "server": resident_kib(server)}
            await soak(box, door, n - n // 10)
            after = {"host": resident_kib(os.getpid()), "server": resident_kib(server)}
            n_fds, owned_at_end = await at_rest(server, fds)
            assert traces(name) == busy
            assert n_fds <= fds
            assert owned_at_end == owned
            assert owned["children"] == 0
            assert list(box._premises.doors.iterdir()) == []  # type: ignore[union-attr]
        assert vanish(name) == set()
    grown = {who: after[who] - before[who] for who in before}
    assert max(grown.values()) <= _MAY_GROW_KIB, (before, after)
    return {f"{who}_kib_at_start": before[who] for who in before} | {f"{who}_kib_grown": grown[who] for who in grown}


async def test_three_hundred_rollouts_leave_nothing_and_memory_flat(
    empty_environment: HarnessEnvironment, door_folder: Path
) -> None:
    await leaves_nothing(empty_environment, door_folder, 300)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_10000_rollouts_leave_nothing_and_memory_flat(
    empty_environment: HarnessEnvironment, door_folder: Path
) -> None:
    measured = await leaves_nothing(empty_environment, door_folder, 10_000)
    print(f"10,000 rollouts, {AT_ONCE} at a time: {measured}")
