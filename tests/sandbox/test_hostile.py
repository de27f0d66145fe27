"""What untrusted code must not be able to do, row by row of the threat list; each on every backend."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.contract import Limits, Result, Sandbox, Spec
from sandbox.docker.container import UNPRIVILEGED
from sandbox.docker.sandbox import DockerSandbox
from sandbox.docker.warm_entry import FIRST_UID, MOST_RUNS
from sandbox.guest.layout import BASE_ENV
from tests.sandbox.test_contract import n_visible

pytestmark = pytest.mark.anyio
Build = Callable[..., Spec]
MIB = 2**20


def facts(result: Result) -> dict[str, Any]:
    """What the agent told about its attempts; it must have come to its end."""
    assert result.stdout.text, (result.kind, result.note, result.stderr.text)
    told: dict[str, Any] = json.loads(result.stdout.text.splitlines()[-1])
    return told


def opened(told: dict[str, Any]) -> dict[str, str]:
    return {name: outcome for name, outcome in told.items() if str(outcome).startswith("open")}


def is_docker(box: Sandbox) -> bool:
    return isinstance(box, DockerSandbox)


async def test_01_a_fork_bomb_stops_at_the_process_limit(accounted: Sandbox, hostile: Build) -> None:
    result = await accounted.run(hostile("r01_fork_bomb", limits=Limits(pids=32)))
    told = facts(result)
    assert 20 <= told["n"] <= 33
    assert result.kind == "ok"


async def test_02_a_thread_bomb_stops_at_the_process_limit(accounted: Sandbox, hostile: Build) -> None:
    told = facts(await accounted.run(hostile("r02_thread_bomb", limits=Limits(pids=32))))
    assert 20 <= told["n"] <= 33


async def test_01_without_groups_a_fork_bomb_still_stops(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r01_fork_bomb", limits=Limits(pids=32))))
    assert told["n"] <= 4 * 32


async def test_03_a_memory_bomb_is_killed_and_called_oom(accounted: Sandbox, hostile: Build) -> None:
    result = await accounted.run(hostile("r03_memory_bomb", limits=Limits(memory_bytes=64 * MIB)))
    assert result.kind == "oom"
    assert result.peak_memory_bytes is not None
    assert 48 * MIB <= result.peak_memory_bytes <= 64 * MIB


async def test_03_without_groups_a_memory_bomb_still_ends_badly(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r03_memory_bomb", limits=Limits(memory_bytes=64 * MIB)))
    assert result.kind in {"oom", "nonzero"}


async def test_03_a_child_killed_for_memory_does_not_fail_its_parent_but_is_noted(
    accounted: Sandbox, hostile: Build
) -> None:
    result = await accounted.run(hostile("r03_child_memory_bomb", limits=Limits(memory_bytes=64 * MIB)))
    assert result.kind == "ok"
    assert facts(result)["status"] == signal.SIGKILL
    assert "memory" in result.note


async def test_03_a_limit_too_small_for_even_the_init_is_oom_and_no_fault_of_ours(accounted: Sandbox) -> None:
    spec = Spec(files={"agent.py": b"x" * MIB}, limits=Limits(memory_bytes=MIB // 2))
    result = await accounted.run(spec)
    assert result.kind == "oom"


async def test_03_many_processes_share_one_memory_limit(accounted: Sandbox, hostile: Build) -> None:
    spec = hostile("r03_many_processes_hoard", limits=Limits(memory_bytes=96 * MIB, wall_s=1))
    result = await accounted.run(spec)
    assert result.peak_memory_bytes is not None
    assert result.peak_memory_bytes <= 96 * MIB
    assert result.kind in {"oom", "timeout"}


async def test_04_memory_files_and_shared_memory_are_bounded(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r04_memfd_and_shm", limits=Limits(scratch_bytes=8 * MIB))))
    assert told["memfd"] <= 8 * MIB
    assert told["shm"] <= 8 * MIB


async def test_05_disks_cannot_be_filled(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r05_disk_fill", limits=Limits(scratch_bytes=8 * MIB))))
    assert 7 * MIB <= told.pop("/scratch") <= 8 * MIB
    assert 7 * MIB <= told.pop("/tmp") <= 8 * MIB
    assert opened(told) == {}


async def test_06_inodes_cannot_be_filled(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r06_inode_fill", limits=Limits(scratch_inodes=500))))
    assert told["n"] < 500
    assert "No space" in told["error"]


async def test_07_08_no_socket_family_but_unix_opens(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r07_sockets")))
    assert opened(told) == {}
    assert "vsock" in told


async def test_07_08_a_command_gets_tcp_to_its_own_loopback_and_nothing_else(box: Sandbox, hostile: Build) -> None:
    program = hostile("r07_sockets")
    told = facts(await box.run(Spec(files=program.files, command=("python3", "agent.py"))))
    assert set(opened(told)) == {"tcp", "tcp6"}
    assert "unreachable" in told["connect"]


async def test_09_host_sockets_are_out_of_reach(box: Sandbox, hostile: Build, door_folder: Any) -> None:
    name = f"hone-test-{os.getpid()}"
    path = door_folder / "host.sock"
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as named:
        abstract.bind(f"\0{name}")
        abstract.listen()
        named.bind(str(path))
        named.listen()
        path.chmod(0o777)
        told = facts(await box.run(hostile("r09_host_sockets", env={"ABSTRACT": name, "HOST_PATH": str(path)})))
    assert opened(told) == {}


async def test_10_no_key_of_the_host_is_inside(box: Sandbox, hostile: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HONE_TEST_KEY_OF_THE_HOST", "hone-canary-5fd1a7")
    told = facts(await box.run(hostile("r10_secrets", env={"MARK_A": "hone-canary-", "MARK_B": "5fd1a7"})))
    assert told["seen"] == []
    for name in ("init_environ", "init_memory", "init_maps"):
        assert told[name].startswith("refused"), told[name]
    own = {"PATH", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE", *BASE_ENV}
    assert "HONE_TEST_KEY_OF_THE_HOST" not in told["names"]
    assert not {name for name in told["names"] if name in os.environ} - own


async def test_11_host_files_and_other_packages_are_out_of_reach(box: Sandbox, hostile: Build) -> None:
    here = str(Path(__file__).parents[2])
    paths = [here, __file__, "/work", "/etc/shadow", "/root/.ssh", "/proc/1/root/etc", "/etc/resolv.conf"]
    told = facts(await box.run(hostile("r11_host_files", env={"PATHS": ":".join(paths)})))
    if is_docker(box):
        told.pop("/etc/resolv.conf")  # docker always mounts one; ours names nobody
        told.pop("sys")  # names of folders that are seen to be empty below
        told["root"] = [name for name in told["root"] if name not in {".dockerenv", "sys"}]
    assert opened(told) == {}
    assert told["packages"] == []
    assert told["pids"][0] == 1
    assert len(told["pids"]) == n_visible(box)
    assert set(told["root"]) <= {
        "bin", "dev", "doors", "etc", "harness", "hone", "lib", "lib32", "lib64", "libx32", "proc", "root", "run",
        "sbin", "scratch", "tmp", "usr", "var",
    } | {here.split("/")[1]}  # fmt: skip


async def test_12_kernel_knobs_are_out_of_reach(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r12_kernel_knobs")))
    if is_docker(box) and told["/proc/kcore"] == "open: b''":
        told.pop("/proc/kcore")  # masked: an empty file lies over it
    assert opened(told) == {}


async def test_13_the_exit_status_cannot_be_forged(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r13_spoof_status"))
    told = facts(result)
    assert opened(told) == {}
    assert told["own_fds"][:3] == [0, 1, 2]
    assert len(told["own_fds"]) == 4  # the fourth is the listing itself
    assert result.kind == "nonzero"
    assert result.status is not None
    assert os.WEXITSTATUS(result.status) == 7


async def test_14_the_init_cannot_be_killed_traced_or_starved(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r14_attack_init"))
    assert opened(facts(result)) == {}
    assert result.kind == "ok"


@pytest.mark.parametrize("agent", ["r15_sleep", "r15_stop_self", "r15_ignore_all_and_spin"])
async def test_15_what_never_ends_is_ended_by_the_wall_clock(box: Sandbox, hostile: Build, agent: str) -> None:
    started = time.monotonic()
    result = await box.run(hostile(agent, limits=Limits(wall_s=0.5)))
    assert result.kind == "timeout"
    assert result.status is None
    assert time.monotonic() - started < 10


async def test_15_what_was_printed_before_a_timeout_is_kept(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r15_sleep", limits=Limits(wall_s=0.5)))
    assert result.stdout.text == "before\n"


async def test_15_the_cpu_limit_ends_a_spinner(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r15_ignore_all_and_spin", limits=Limits(wall_s=30, cpu_s=1)))
    assert result.kind in {"timeout", "signal"}
    assert result.wall_s < 25


async def test_16_an_output_flood_is_cut_and_killed(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r16_output_flood", limits=Limits(output_bytes=100_000)))
    assert result.kind == "output_limit"
    assert len(result.stdout.head) == len(result.stdout.tail) == 16 * 1024
    assert 100_000 < result.stdout.n_bytes < 1_000_000


async def test_16_closed_streams_do_not_hide_the_exit_status(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r16_close_stdio"))
    assert result.kind == "nonzero"
    assert result.status is not None
    assert os.WEXITSTATUS(result.status) == 3
    assert result.stdout.text == "last words"


async def test_17_a_daemon_that_keeps_stdout_neither_survives_nor_delays(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r17_survivor"))
    assert result.kind == "ok"
    assert result.stdout.text == "parent done\n"
    assert result.wall_s < 5


async def test_19_keyrings_are_closed(box: Sandbox, hostile: Build) -> None:
    assert opened(facts(await box.run(hostile("r19_keyrings")))) == {}


async def test_20_no_namespace_or_mount_can_be_made(box: Sandbox, hostile: Build) -> None:
    assert opened(facts(await box.run(hostile("r20_namespaces_and_mounts")))) == {}


async def test_21_dangerous_kernel_interfaces_are_closed(box: Sandbox, hostile: Build) -> None:
    assert opened(facts(await box.run(hostile("r21_kernel_interfaces")))) == {}


async def test_22_there_is_no_way_to_more_privilege(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r22_privileges")))
    assert opened(told) == {}
    if box.level.startswith("docker-warm:"):
        assert FIRST_UID <= told["uid"] < FIRST_UID + MOST_RUNS
    else:
        assert told["uid"] == (UNPRIVILEGED if is_docker(box) else 1000)
    assert {int(caps, 16) for caps in told["caps"]} == {0}
    assert told["nnp"] == "1"
    assert told["seccomp"] == "2"


async def test_23_nothing_that_later_runs_load_can_be_poisoned(box: Sandbox, hostile: Build) -> None:
    told = facts(await box.run(hostile("r23_poison")))
    assert opened(told) == {}
    assert told["user_site"] == 1


async def test_24_nothing_passes_from_one_run_to_the_next(box: Sandbox, hostile: Build) -> None:
    told = [facts(await box.run(hostile("r24_leave_state"))) for _ in range(2)]
    assert [run["found"] for run in told] == [[], []]
    assert [run["fresh"] for run in told] == [[True] * 4] * 2
    assert told[0]["lucky"] != told[1]["lucky"]


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("os._exit(137)", "nonzero", 137 << 8),
        ("os.kill(os.getpid(), 9)", "signal", 9),
        ("os.kill(os.getpid(), 11)", "signal", 11),
        ("os.kill(os.getpid(), 15)", "signal", 15),
        ("os.abort()", "signal", 6),
        ("sys.exit(3)", "nonzero", 3 << 8),
        ("sys.exit('no')", "nonzero", 1 << 8),
        ("sys.exit(0)", "ok", 0),
    ],
)
async def test_25_an_ending_cannot_pose_as_another(box: Sandbox, code: str, kind: str, status: int) -> None:
    files = {"agent.py": f"import os, sys\n{code}\n".encode()}
    result = await box.run(Spec(files=files, env={"HONE_CONFORMANCE": "1"}))
    assert (result.kind, None if result.status is None else result.status & ~0x80) == (kind, status)


async def test_26_strange_files_in_scratch_hurt_nobody(box: Sandbox, hostile: Build) -> None:
    result = await box.run(hostile("r26_strange_files"))
    told = facts(result)
    assert told["hard link"].startswith("refused")
    assert told["sparse"].startswith("refused")
    assert result.kind == "ok"


async def test_27_spinners_share_one_core(accounted: Sandbox, hostile: Build) -> None:
    result = await accounted.run(hostile("r27_cpu_hog"))
    assert result.kind == "ok"
    assert result.cpu_s <= 1.15 * result.wall_s + 0.1
    assert re.match(r"(native|docker):L3|docker-warm:L2", result.level)
