"""What is special to the reduced backend: it holds less, says what, and is never given unasked.

The suites run on it too, but for the rows of NOT_HELD: for those it must say so, and what is left of them is here.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from sandbox.contract import Limits, Sandbox, SandboxUnavailable, Spec
from sandbox.environment import HarnessEnvironment
from sandbox.guest.layout import BASE_ENV
from sandbox.reduced import landlock
from sandbox.reduced.sandbox import AS_USER, NOT_COVERED, ReducedSandbox
from sandbox.select import open_sandbox, weaknesses
from tests.sandbox.as_user import UID, UserSandbox
from tests.sandbox.conftest import NOT_HELD
from tests.sandbox.gateway import open_gateway
from tests.sandbox.test_hostile import facts, opened
from tests.sandbox.test_native_user import processes_of_the_user, settled

pytestmark = pytest.mark.anyio
Build = Callable[..., Spec]
MIB = 2**20
END = "\nasync def run(session):\n    pass\n"


def agent(code: str, **changes: object) -> Spec:
    env = {"HONE_CONFORMANCE": "1"} | dict(changes.pop("env", {}))  # type: ignore[call-overload]
    return Spec(files={"agent.py": (code + END).encode()}, env=env, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["reduced", "reduced-root"])
def reduced(request: pytest.FixtureRequest) -> UserSandbox:
    opened_box: UserSandbox = request.getfixturevalue(f"{request.param.replace('-', '_')}_box")
    return opened_box


@pytest.mark.parametrize(("row", "words"), NOT_HELD.items())
async def test_every_row_that_is_not_held_is_in_the_printed_list(reduced: UserSandbox, row: str, words: str) -> None:
    assert any(words in weakness for weakness in reduced.not_covered), row


@pytest.mark.parametrize("words", ["memory of a run as a whole", "CPU share", "processes run on this machine"])
async def test_what_needs_groups_or_namespaces_is_in_the_printed_list(reduced: UserSandbox, words: str) -> None:
    assert any(words in weakness for weakness in reduced.not_covered)


async def test_the_level_is_said_in_every_result(reduced: UserSandbox) -> None:
    assert reduced.level == f"reduced:L1:landlock-{landlock.abi()}"
    assert (await reduced.run(agent(""))).level == reduced.level


async def test_it_is_given_only_by_its_name(empty_environment: HarnessEnvironment) -> None:
    box = open_sandbox("reduced", empty_environment)
    assert isinstance(box, ReducedSandbox)
    assert set(weaknesses(box)) <= {*NOT_COVERED, *AS_USER}
    assert set(weaknesses(box)) >= set(NOT_COVERED)
    assert not isinstance(open_sandbox("native", empty_environment), ReducedSandbox)


async def test_no_connection_but_a_lent_one(reduced: UserSandbox, hostile: Build, door_folder: Path) -> None:
    path = door_folder / "other.sock"
    code = f"""
import os, socket
async def run(session):
    print((await session.call("echo", {{"n": 1}})).content)
    for address in ({str(path)!r}, "/var/run/docker.sock", "\\0abstract", "/dev/log"):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                socket.socket(socket.AF_UNIX, kind).connect(address)
                print("open", address)
            except OSError:
                pass
"""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        path.chmod(0o777)
        async with open_gateway(door_folder / "g.sock", owner=UID if "reduced" in reduced.level else None) as door:
            result = await reduced.run(Spec(files={"agent.py": code.encode()}, socket=door))
    assert result.stdout.text == '{"n": 1}\n', result.stderr.text


async def test_an_entry_command_with_a_session_is_refused(reduced: UserSandbox, door_folder: Path) -> None:
    result = await reduced.run(Spec(files={}, command=("true",), socket=door_folder / "g.sock"))
    assert result.kind == "infra"
    assert "use native or docker" in result.note


async def test_04_05_each_file_is_bounded_and_nothing_outside_can_be_written(
    reduced: UserSandbox, hostile: Build
) -> None:
    result = await reduced.run(
        agent("""
import json, os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fill(fd):
    n = 0
    try:
        while n < 2**26:
            n += os.write(fd, b"x" * 2**20)
    except OSError:
        pass
    return n
def refused(path):
    try:
        os.open(path, os.O_CREAT | os.O_WRONLY)
    except OSError:
        return True
out = {"memfd": fill(os.memfd_create("x")), "file": fill(os.open(os.environ["HOME"] + "/x", os.O_CREAT | os.O_WRONLY))}
places = ["/tmp", "/dev/shm", "/var/tmp", "/", "/usr", "/root", "..", ".", "/run", os.environ["PYTHONPATH"]]
print(json.dumps({**out, "open": [place for place in places if not refused(place + "/hone-intruder")]}))
""", limits=Limits(scratch_bytes=2 * MIB))
    )  # fmt: skip
    told = json.loads(result.stdout.text)
    assert told == {"memfd": 2 * MIB, "file": 2 * MIB, "open": []}


async def test_10_the_environment_is_built_from_nothing_and_no_process_can_be_read(
    reduced: UserSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HONE_TEST_KEY_OF_THE_HOST", "hone-canary-5fd1a7")
    result = await reduced.run(
        agent("""
import json, os
read = []
for pid in range(1, 4000):
    for name in ("environ", "cmdline", "maps", "mem"):
        try:
            open(f"/proc/{pid}/{name}", "rb").read(1)
            read.append(f"{pid}/{name}")
        except OSError:
            pass
print(json.dumps({"names": sorted(os.environ), "read": read}))
""")
    )
    told = json.loads(result.stdout.text)
    assert told["read"] == []
    assert set(told["names"]) <= {"PATH", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE", "HONE_CONFORMANCE", *BASE_ENV}


async def test_11_no_host_file_can_be_opened(reduced: UserSandbox, tmp_path: Path) -> None:
    paths = [__file__, "/etc/passwd", "/etc/shadow", "/etc/hosts", "/proc/self/status", "/etc/fstab"]
    paths += [str(next(Path(json.__file__).parents[1].glob("site-packages/**/*.py"), Path("/etc/fstab")))]
    code = f"""
import json
found = []
for path in {paths!r}:
    try:
        open(path).read(1)
        found.append(path)
    except OSError:
        pass
print(json.dumps(found))
"""
    assert (await reduced.run(agent(code))).stdout.text == "[]\n"


async def test_13_the_exit_status_is_the_kernels(reduced: UserSandbox) -> None:
    code = "import os\nfor fd in range(3, 300):\n    try:\n        os.write(fd, b'{\"status\": 0}')\n"
    code += "    except OSError:\n        pass\nos._exit(7)\n"
    result = await reduced.run(agent(code))
    assert (result.kind, result.status) == ("nonzero", 7 << 8)


async def test_22_no_way_to_more_privilege(reduced: UserSandbox) -> None:
    code = """
import json, os
refused = []
for name, action in {
    "setuid": lambda: os.setuid(0), "chown": lambda: os.chown(os.environ["HOME"], 0, 0),
    "kill": lambda: os.kill(os.getppid(), 0), "init": lambda: os.kill(1, 0),
    "chmod": lambda: os.chmod("agent.py", 0o777), "unlink": lambda: os.unlink("agent.py"),
}.items():
    try:
        action()
    except OSError:
        refused.append(name)
print(json.dumps([os.getuid(), refused]))
"""
    uid, refused = json.loads((await reduced.run(agent(code))).stdout.text)
    assert uid != 0
    assert refused == ["setuid", "chown", "kill", "init", "chmod", "unlink"]


async def test_24_nothing_passes_from_one_run_to_the_next(reduced: UserSandbox, hostile: Build) -> None:
    code = """
import ctypes, json, os
homes = [os.listdir(os.environ[name]) for name in ("HOME", "TMPDIR")]
for name in ("HOME", "TMPDIR"):
    open(os.environ[name] + "/mark", "w").write("was here")
libc = ctypes.CDLL(None)
print(json.dumps([homes, libc.shmget(4711, 4096, 0o3666), libc.semget(4711, 1, 0o3666), libc.msgget(4711, 0o3666)]))
"""
    told = [json.loads((await reduced.run(agent(code))).stdout.text) for _ in range(2)]
    assert told == [[[[], []], -1, -1, -1]] * 2


async def test_a_run_leaves_no_process_and_no_file(reduced_box: UserSandbox, hostile: Build) -> None:
    before = set(processes_of_the_user())
    code = """
import os, time
os.makedirs(os.environ["HOME"] + "/a/b")
os.open(os.environ["HOME"] + "/a/b/c", os.O_CREAT, 0)
print(os.environ["HOME"], flush=True)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            break
time.sleep(300)
"""
    for limits, kind in ((Limits(wall_s=0.7), "timeout"),):
        started = time.monotonic()
        result = await reduced_box.run(agent(code, limits=limits))
        assert result.kind == kind
        assert time.monotonic() - started < 10
        assert settled(before) == set()
        home = anyio.Path(result.stdout.text.split()[0])
        assert not await home.parent.exists()


async def test_root_without_a_passable_environment_is_told_what_to_do(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's runs keep the uid, so everything of the user's can be passed")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    environment = HarnessEnvironment(python=closed / "bin" / "python", prefix=closed, base_prefix=closed)
    with pytest.raises(SandboxUnavailable, match="HONE_CACHE"):
        async with ReducedSandbox(environment):
            pass


async def test_a_fork_bomb_is_bounded_and_swept_away(reduced_box: Sandbox, hostile: Build) -> None:
    before = set(processes_of_the_user())
    told = facts(await reduced_box.run(hostile("r01_fork_bomb", limits=Limits(pids=16))))
    assert told["n"] <= 4 * 16
    assert settled(before) == set()


async def test_sockets_namespaces_and_kernel_interfaces_are_closed(reduced: UserSandbox, hostile: Build) -> None:
    for row in ("r07_sockets", "r19_keyrings", "r20_namespaces_and_mounts", "r21_kernel_interfaces"):
        assert opened(facts(await reduced.run(hostile(row)))) == {}, row
