"""The native sandbox of an ordinary user, without root and without control groups: the walls are the same.

The whole contract and hostile suites run for this user too (`native-user` in conftest). Here the essentials have a
test of their own, so that nobody has to find them in a matrix, and the level that is reached is asserted.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sandbox.contract import Limits, Spec
from sandbox.native.cgroup import own_trees
from tests.sandbox.as_user import UID, UserSandbox, python_for_users
from tests.sandbox.gateway import open_gateway
from tests.sandbox.test_hostile import facts, opened

pytestmark = pytest.mark.anyio
Build = Callable[..., Spec]
MIB = 2**20
CONFORMING = Spec(files={"agent.py": b"async def run(session):\n    pass\n"}, env={"HONE_CONFORMANCE": "1"})


@pytest.fixture(scope="module")
async def user_box() -> AsyncIterator[UserSandbox]:
    """A sandbox whose host process has an ordinary uid, no capability and no control group of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as another user; here `native` itself runs as an ordinary user")
    if python_for_users() is None:
        pytest.skip(f"no Python {sys.version_info.major}.{sys.version_info.minor} that another user could start")
    cache = Path(tempfile.mkdtemp(prefix="hone-user-cache-"))
    os.chown(cache, UID, -1)
    try:
        async with UserSandbox(cache) as box:
            yield box
    finally:
        shutil.rmtree(cache)


def processes_of_the_user() -> dict[int, bytes]:
    """What runs on this machine under the test user's uid, whatever namespaces it is in."""
    found: dict[int, bytes] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # Not the owner of the folder, which is root for a process that may not be looked into.
                uids = (entry / "status").read_text().partition("\nUid:\t")[2].split("\n")[0].split()
                if str(UID) in uids:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes()
            except OSError:
                continue
    return found


def settled(before: set[int]) -> set[int]:
    """Processes that came since `before` and are still there after at most ten seconds."""
    deadline = time.monotonic() + 10
    while (left := set(processes_of_the_user()) - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


async def test_the_level_without_groups_is_said_and_is_in_every_result(user_box: UserSandbox) -> None:
    assert UID not in {tree.own.stat().st_uid for tree in own_trees()}, "a group was delegated to the test user"
    assert user_box.level == "native:L2:rlimits"
    result = await user_box.run(CONFORMING)
    assert (result.kind, result.level) == ("ok", "native:L2:rlimits")
    assert result.peak_memory_bytes is None


async def test_the_agent_is_nobody_without_capabilities(user_box: UserSandbox, hostile: Build) -> None:
    told = facts(await user_box.run(hostile("r22_privileges")))
    assert opened(told) == {}
    assert {int(caps, 16) for caps in told["caps"]} == {0}
    assert (told["nnp"], told["seccomp"]) == ("1", "2")


async def test_a_session_works_through_the_one_door(user_box: UserSandbox, door_folder: Path) -> None:
    code = b"async def run(session):\n    print((await session.call('echo', {'n': 1})).content)\n"
    async with open_gateway(door_folder / "g.sock", owner=UID) as door:
        result = await user_box.run(Spec(files={"agent.py": code}, socket=door))
    assert result.stdout.text == '{"n": 1}\n', result.stderr.text


async def test_no_network_socket_opens(user_box: UserSandbox, hostile: Build) -> None:
    told = facts(await user_box.run(hostile("r07_sockets")))
    assert opened(told) == {}
    assert {"tcp", "tcp6", "vsock"} <= told.keys()


async def test_host_files_are_invisible(user_box: UserSandbox, hostile: Build) -> None:
    here = str(Path(__file__).parents[2])
    paths = (here, __file__, "/etc/shadow", "/root/.ssh", "/proc/1/root/etc", "/etc/resolv.conf")
    told = facts(await user_box.run(hostile("r11_host_files", env={"PATHS": ":".join(paths)})))
    assert opened(told) == {}
    assert told["packages"] == []
    assert told["pids"] == [1, told["pids"][-1]]


async def test_a_fork_bomb_is_bounded_and_swept_away(user_box: UserSandbox, hostile: Build) -> None:
    before = set(processes_of_the_user())
    told = facts(await user_box.run(hostile("r01_fork_bomb", limits=Limits(pids=16))))
    assert told["n"] <= 4 * 16
    assert told["error"]
    assert settled(before) == set()


async def test_a_memory_bomb_is_bounded(user_box: UserSandbox, hostile: Build) -> None:
    result = await user_box.run(hostile("r03_memory_bomb", limits=Limits(memory_bytes=64 * MIB)))
    assert result.kind in {"nonzero", "oom"}
    assert "MemoryError" in result.stderr.text


async def test_a_timeout_ends_the_whole_tree(user_box: UserSandbox) -> None:
    before = set(processes_of_the_user())
    code = b"import os, time\nfor _ in range(4):\n    if os.fork() == 0:\n        os.setsid()\n        break\n"
    code += b"time.sleep(300)\n"
    spec = Spec(files={"agent.py": code}, env={"HONE_CONFORMANCE": "1"}, limits=Limits(wall_s=0.7))
    result = await user_box.run(spec)
    assert result.kind == "timeout"
    assert result.wall_s < 10
    assert settled(before) == set()


async def test_a_daemon_does_not_survive_its_run(user_box: UserSandbox, hostile: Build) -> None:
    before = set(processes_of_the_user())
    result = await user_box.run(hostile("r17_survivor"))
    assert result.kind == "ok"
    assert settled(before) == set()


async def test_namespaces_and_mounts_are_refused(user_box: UserSandbox, hostile: Build) -> None:
    told = facts(await user_box.run(hostile("r20_namespaces_and_mounts")))
    assert opened(told) == {}
    assert {"unshare user", "clone user", "clone3", "mount", "umount", "setns"} <= told.keys()


async def test_the_init_cannot_be_attacked(user_box: UserSandbox, hostile: Build) -> None:
    result = await user_box.run(hostile("r14_attack_init"))
    assert opened(facts(result)) == {}
    assert result.kind == "ok"


async def test_keyrings_kernel_interfaces_and_secrets_are_closed(user_box: UserSandbox, hostile: Build) -> None:
    for row in ("r19_keyrings", "r21_kernel_interfaces", "r12_kernel_knobs"):
        assert opened(facts(await user_box.run(hostile(row)))) == {}, row
    told = facts(await user_box.run(hostile("r10_secrets", env={"MARK_A": "hone-canary-", "MARK_B": "5fd1a7"})))
    assert told["seen"] == []


async def test_disks_cannot_be_filled(user_box: UserSandbox, hostile: Build) -> None:
    told = facts(await user_box.run(hostile("r05_disk_fill", limits=Limits(scratch_bytes=8 * MIB))))
    assert told.pop("/scratch") <= 8 * MIB
    assert told.pop("/tmp") <= 8 * MIB
    assert opened(told) == {}
