"""What is special to warm containers: when one serves again, when it is thrown away, and what a run can find in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from sandbox.contract import Limits, Spec
from sandbox.docker import slots
from sandbox.docker.daemon import SANDBOX
from sandbox.docker.sandbox import DockerSandbox
from sandbox.docker.warm_entry import FIRST_UID, empty
from sandbox.environment import HarnessEnvironment
from sandbox.select import open_sandbox
from tests.sandbox.gateway import open_gateway
from tests.sandbox.test_docker import SLEEPER, containers_of, eventually, name_of

pytestmark = pytest.mark.anyio
TAIL = "\nasync def run(session):\n    pass\n"
WHO = "import os\nprint(os.getuid(), os.getpid())"


@pytest.fixture
async def warm(docker_address: str, empty_environment: HarnessEnvironment) -> AsyncIterator[DockerSandbox]:
    """A sandbox of its own, so that its containers can be counted."""
    async with DockerSandbox(empty_environment, endpoint=docker_address, mode="warm") as box:
        yield box


def agent(code: str, **env: str) -> Spec:
    return Spec(files={"agent.py": (code + TAIL).encode()}, env={"HONE_CONFORMANCE": "1", **env})


def containers(box: DockerSandbox) -> list[str]:
    assert box._site is not None
    return sorted(containers_of(box._site.daemon.api, name_of(box)))


def test_warm_is_never_what_one_gets_without_asking(empty_environment: HarnessEnvironment) -> None:
    assert DockerSandbox(empty_environment)._mode is None
    chosen = [open_sandbox("docker", empty_environment, is_warm=is_warm) for is_warm in (False, True)]
    assert [box._mode for box in chosen if isinstance(box, DockerSandbox)] == [None, "warm"]


async def test_a_warm_level_is_never_taken_for_a_cold_one(docker_warm_box: DockerSandbox) -> None:
    assert docker_warm_box.level.startswith("docker-warm:L2:")
    assert docker_warm_box.level.endswith("+relay")


async def test_runs_of_one_candidate_share_a_container_each_with_a_user_of_its_own(warm: DockerSandbox) -> None:
    before = containers(warm)
    uids = [int((await warm.run(agent(WHO))).stdout.text.split()[0]) for _ in range(3)]
    assert uids == [FIRST_UID, FIRST_UID + 1, FIRST_UID + 2]
    (_,) = set(containers(warm)) - set(before)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"agent.py": (WHO + TAIL).encode(), "x": b""}},
        {"limits": Limits(memory_bytes=2**28)},
        {"files": {"agent.py": b"", "x.py": WHO.encode()}, "command": ("python3", "x.py")},
    ],
)
async def test_other_files_limits_or_doors_get_another_container(
    docker_warm_box: DockerSandbox, change: dict[str, object]
) -> None:
    await docker_warm_box.run(agent(WHO))
    before = containers(docker_warm_box)
    result = await docker_warm_box.run(replace(agent(WHO, SALT="1"), **change))  # type: ignore[arg-type]
    assert result.stdout.text.split()[0] == str(FIRST_UID), result.stderr.text
    assert set(containers(docker_warm_box)) - set(before)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("import ctypes\nctypes.CDLL(None).shmget(4711, 4096, 0o1666)", "ok"),
        ("import os\nos.kill(os.getpid(), 9)\n", "signal"),
        ("import time\ntime.sleep(60)", "timeout"),
        ("print('x' * 3000)", "output_limit"),
        ("import subprocess\nsubprocess.run(['python3', '-c', 'x = bytearray(2**29)'])", "ok"),
    ],
)
async def test_a_container_that_met_a_limit_or_was_not_left_clean_is_thrown_away(
    warm: DockerSandbox, code: str, kind: str
) -> None:
    limits = Limits(wall_s=3 if kind != "timeout" else 0.3, output_bytes=2000, memory_bytes=2**27)
    before = containers(warm)
    assert (await warm.run(replace(agent(code), limits=limits))).kind == kind
    is_thrown_away = containers(warm) == before
    assert is_thrown_away == (kind != "signal")  # a signal of one's own is an ending like another


async def test_a_deep_and_forbidding_tree_in_scratch_is_gone_in_the_next_run(warm: DockerSandbox) -> None:
    code = """
import os
print(os.listdir("/scratch"), os.listdir("/tmp"), os.listdir("/dev/shm"), os.getuid(), flush=True)
for place in ("/scratch", "/tmp", "/dev/shm"):
    os.chdir(place)
    os.symlink("/harness", "link")
    os.mkfifo("fifo")
    for depth in range(1200):
        os.mkdir("d", 0o700)
        open("-rf *", "w").close()
        os.chdir("d")
    os.chmod(f"{place}/d", 0o1000)
if os.fork() == 0:
    os.setsid()
    while True:
        pass
os._exit(0)
"""
    said = [(await warm.run(agent(code))).stdout.text for _ in range(2)]
    assert said == [f"[] [] [] {FIRST_UID}\n", f"[] [] [] {FIRST_UID + 1}\n"]


def test_emptying_follows_no_link_and_minds_no_depth(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("")
    place = tmp_path / "place"
    (place / "a" / "b").mkdir(parents=True)
    (place / "link").symlink_to(kept)
    (place / "a" / "b" / "link").symlink_to(kept)
    empty(str(place))
    assert list(place.iterdir()) == []
    assert (kept / "file").exists()


async def test_nothing_of_an_earlier_order_output_or_conversation_is_in_the_memory_of_a_run(
    docker_warm_box: DockerSandbox, door_folder: Path
) -> None:
    code = """
import os, sys
async def run(session):
    mark = bytes([x ^ 1 for x in bytes.fromhex(os.environ["HIDDEN"])])
    n = 0
    if os.environ["WHAT"] == "look":
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
            for line in maps:
                low, high = (int(part, 16) for part in line.split()[0].split("-"))
                if "rw" in line and "[v" not in line:
                    memory.seek(low)
                    raw = memory.read(high - low) or b""
                    n += raw.count(mark + b"-tail")
        print(n)
    else:
        text = mark.decode() + "-tail"
        print(text, (await session.say(text)).content, sys.stdin.read() == text)
"""
    secret = "canary-9c1f"
    env = {"HIDDEN": bytes(x ^ 1 for x in secret.encode()).hex()}
    async with open_gateway(door_folder / "g.sock") as door:
        spec = Spec(files={"agent.py": code.encode()}, socket=door)
        told = replace(spec, env=env | {"WHAT": "tell", "TOLD": f"{secret}-tail"}, stdin=f"{secret}-tail".encode())
        first = await docker_warm_box.run(told)
        assert first.stdout.text == f'{secret}-tail "{secret}-tail" True\n', first.stderr.text
        found = int((await docker_warm_box.run(replace(spec, env=env | {"WHAT": "look"}))).stdout.text)
        other = {"HIDDEN": bytes(x ^ 1 for x in b"neverneverx").hex(), "WHAT": "look"}
        base = int((await docker_warm_box.run(replace(spec, env=other))).stdout.text)
    assert found <= base  # the search itself makes the same copies for a mark that nobody ever wrote


async def test_a_container_that_died_while_idle_is_replaced_unseen(warm: DockerSandbox) -> None:
    assert (await warm.run(agent(WHO))).kind == "ok"
    assert warm._site is not None
    for container in containers(warm):
        warm._site.daemon.api.kill(container)
    assert (await warm.run(agent(WHO))).kind == "ok"


async def test_slots_of_candidates_nobody_asks_for_are_dropped(
    warm: DockerSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "_MOST_IDLE", 2)
    for number in range(4):
        assert (await warm.run(agent(f"{WHO}\n# {number}"))).kind == "ok"
    assert len(containers(warm)) == 2
    monkeypatch.setattr(slots, "_IDLE_S", -1.0)
    assert (await warm.run(agent(WHO))).kind == "ok"
    assert containers(warm) == []


async def test_a_cancelled_run_takes_its_warm_container_along(warm: DockerSandbox) -> None:
    before = containers(warm)
    async with anyio.create_task_group() as group:
        group.start_soon(warm.run, SLEEPER)
        assert await eventually(lambda: len(containers(warm)) > len(before))
        await anyio.sleep(0.5)
        group.cancel_scope.cancel()
    assert containers(warm) == before


async def test_closing_leaves_no_container(docker_address: str, empty_environment: HarnessEnvironment) -> None:
    async with DockerSandbox(empty_environment, endpoint=docker_address, mode="warm") as box:
        name = name_of(box)
        assert (await box.run(agent(WHO))).kind == "ok"
        assert containers(box)
        assert box._site is not None
        labels = box._site.daemon.api.containers(filters={"label": f"{SANDBOX}={name}"})[0]["Labels"]
        assert json.dumps(labels).count("hone.") == 3
    async with DockerSandbox(empty_environment, endpoint=docker_address) as box:
        assert box._site is not None
        assert containers_of(box._site.daemon.api, name) == []
