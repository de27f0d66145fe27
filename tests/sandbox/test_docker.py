"""What is special to the docker backend: corpses are removed, daemons fail politely, the profile matches the filter."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.contract import SandboxUnavailable, Spec
from sandbox.docker import entry, run
from sandbox.docker.daemon import OWNER, SANDBOX, UNTIL, connect, is_orphan, owner_label
from sandbox.docker.profile import profile
from sandbox.docker.sandbox import DockerSandbox
from sandbox.docker.wire import Frames, WireError, encode_order
from sandbox.environment import HarnessEnvironment
from sandbox.guest.seccomp import MACHINES, build_filter
from sandbox.native.sandbox import NativeSandbox
from sandbox.select import open_sandbox, probe
from tests.sandbox.gateway import open_gateway
from tests.sandbox.test_seccomp import ALLOW, verdict

pytestmark = pytest.mark.anyio
REPOSITORY = Path(__file__).resolve().parents[2]
CONFORMING = Spec(files={"agent.py": b"async def run(session):\n    pass\n"}, env={"HONE_CONFORMANCE": "1"})
SLEEPER = Spec(files={"agent.py": b"import time\ntime.sleep(300)\n"}, env={"HONE_CONFORMANCE": "1"})
WITHOUT = re.compile(r"__pycache__|site-packages|/test/|/config-3|\\.a$")
HOST = """
import sys, anyio
from sandbox.contract import Spec
from sandbox.docker.sandbox import DockerSandbox
from sandbox.environment import ensure_environment
code = b"import os, time\\nif os.fork() == 0: os.setsid()\\ntime.sleep(300)\\n"

async def main():
    async with DockerSandbox(ensure_environment((), report=print), endpoint=sys.argv[1], mode=sys.argv[2]) as box:
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(box.run, Spec(files={"agent.py": code}, env={"HONE_CONFORMANCE": "1"}))
            while sum("run0" not in str(one["Names"]) for one in box._site.daemon.api.containers()) < 2:
                await anyio.sleep(0.02)
            await anyio.sleep(0.3)
            print(box._site.folder, flush=True)
            await anyio.sleep(300)

anyio.run(main)
"""


@pytest.fixture(scope="session")
def api(docker_address: str) -> Iterator[docker.APIClient]:
    """The tests' own line to the daemon."""
    daemon = connect(docker_address)
    yield daemon.api
    daemon.api.close()


def containers_of(api: docker.APIClient, sandbox: str, *, running: bool = False) -> list[str]:
    found = api.containers(all=not running, filters={"label": f"{SANDBOX}={sandbox}"})
    return [container["Id"] for container in found]


def n_descriptors() -> int:
    """Open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_there(folder: Path) -> bool:
    return folder.exists()


def name_of(box: DockerSandbox) -> str:
    assert box._site is not None
    return box._site.folder.name


async def eventually(holds: Callable[[], bool], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        await anyio.sleep(0.05)
    return True


async def test_runs_leave_no_container_file_or_descriptor(
    docker_address: str, api: docker.APIClient, empty_environment: HarnessEnvironment, door_folder: Path
) -> None:
    n_before = n_descriptors()
    async with DockerSandbox(empty_environment, endpoint=docker_address) as box:
        name = name_of(box)
        folder = Path(tempfile.gettempdir(), name)
        async with open_gateway(door_folder / "g.sock") as door:
            spec = Spec(files=CONFORMING.files, socket=door, env=CONFORMING.env)
            assert (await box.run(spec)).kind == "ok"
            n_open = n_descriptors()
            for _ in range(4):
                assert (await box.run(spec)).kind == "ok"
            assert n_descriptors() == n_open
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(box.run, spec)
            assert n_descriptors() == n_open
        assert containers_of(box._site.daemon.api, name) == []  # type: ignore[union-attr]
        assert list((folder / "runs").iterdir()) == []
    assert not is_there(folder)
    assert n_descriptors() == n_before
    assert containers_of(api, name) == []


async def test_a_cancelled_run_is_gone_when_the_call_returns(docker_box: DockerSandbox, api: docker.APIClient) -> None:
    name = name_of(docker_box)
    async with anyio.create_task_group() as group:
        group.start_soon(docker_box.run, SLEEPER)
        assert await eventually(lambda: containers_of(api, name, running=True) != [])
        group.cancel_scope.cancel()
    assert containers_of(api, name) == []
    assert (await docker_box.run(CONFORMING)).kind == "ok"


@pytest.mark.parametrize(("mode", "n_containers"), [("mounted", 2), ("warm", 3)])  # one is warm from the trial
async def test_18_runs_of_a_killed_host_end_by_themselves_and_the_next_host_removes_them(
    docker_address: str, api: docker.APIClient, empty_environment: HarnessEnvironment, mode: str, n_containers: int
) -> None:
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", HOST, docker_address, mode]
    async with await anyio.open_process(command, env=env, stdin=subprocess.DEVNULL) as host:
        assert host.stdout is not None
        said = ""
        async for chunk in host.stdout:
            said += chunk.decode()
            if said.endswith("\n"):
                break
        folder = Path(said.strip().splitlines()[-1])
        assert len(containers_of(api, folder.name, running=True)) == n_containers
        host.send_signal(signal.SIGKILL)
        await host.wait()
        await host.aclose()
    assert await eventually(lambda: containers_of(api, folder.name, running=True) == [])
    assert len(containers_of(api, folder.name)) == n_containers
    async with DockerSandbox(empty_environment, endpoint=docker_address):
        assert containers_of(api, folder.name) == []
        assert not is_there(folder)


async def test_a_living_neighbours_runs_are_not_reaped(
    docker_address: str, docker_box: DockerSandbox, api: docker.APIClient, empty_environment: HarnessEnvironment
) -> None:
    kinds: list[str] = []

    async def sleep() -> None:
        files = {"agent.py": b"import time\ntime.sleep(1.5)\n" + CONFORMING.files["agent.py"]}
        kinds.append((await docker_box.run(Spec(files=files, env=CONFORMING.env))).kind)

    async with anyio.create_task_group() as group:
        group.start_soon(sleep)
        assert await eventually(lambda: containers_of(api, name_of(docker_box), running=True) != [])
        async with DockerSandbox(empty_environment, endpoint=docker_address):
            pass
    assert kinds == ["ok"]


def test_an_orphan_is_known_by_its_owners_death_or_by_its_time() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    realm = owner_label().split("/")[0]
    assert not is_orphan({OWNER: owner_label(), UNTIL: "0"}, now=1.0)
    assert is_orphan({OWNER: f"{realm}/{gone.pid}/123", UNTIL: "9"}, now=1.0)
    assert is_orphan({OWNER: f"{realm}/{os.getpid()}/1", UNTIL: "9"}, now=1.0)  # the number was given out again
    assert not is_orphan({OWNER: "elsewhere/1/1", UNTIL: "9"}, now=1.0)
    assert is_orphan({OWNER: "elsewhere/1/1", UNTIL: "9"}, now=10.0)
    assert not is_orphan({OWNER: "nonsense"}, now=10.0)


async def test_a_container_killed_from_outside_is_our_fault(docker_box: DockerSandbox, api: docker.APIClient) -> None:
    results = []

    async def sleep() -> None:
        results.append(await docker_box.run(SLEEPER))

    async with anyio.create_task_group() as group:
        group.start_soon(sleep)
        assert await eventually(lambda: containers_of(api, name_of(docker_box), running=True) != [])
        for container in containers_of(api, name_of(docker_box)):
            api.kill(container)
    assert (results[0].kind, results[0].status) == ("infra", None)
    assert "without a report" in results[0].note


async def test_only_the_runs_own_socket_is_seen(docker_box: DockerSandbox, door_folder: Path) -> None:
    async with open_gateway(door_folder / "g.sock") as door, open_gateway(door_folder / "other.sock"):
        spec = Spec(files={}, command=("/bin/ls", "-a", "/run/hone"), socket=door)
        result = await docker_box.run(spec)
    assert result.stdout.text.split() == [".", "..", "gateway.sock"]


async def test_the_openai_sdk_reaches_the_gateway(
    docker_address: str, openai_environment: HarnessEnvironment, door_folder: Path
) -> None:
    code = b"""
from openai import OpenAI
async def run(session):
    answer = OpenAI().chat.completions.create(model=session.model, messages=[{"role": "user", "content": "x"}])
    print(answer.choices[0].message.content)
"""
    async with (
        DockerSandbox(openai_environment, endpoint=docker_address) as box,
        open_gateway(door_folder / "g.sock") as door,
    ):
        result = await box.run(Spec(files={"agent.py": code}, socket=door))
    assert result.stdout.text == "pong\n", result.stderr.text


async def test_a_run_that_the_host_forgets_ends_by_its_own_clock(
    docker_box: DockerSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock inside is set some seconds later than the host's; here it is told to be far earlier."""

    def hurried(spec: Spec, *, prefix: str, is_relayed: bool) -> bytes:
        limits = replace(spec.limits, wall_s=0.5 - entry._SPARE_S / 2)
        return encode_order(replace(spec, limits=limits), prefix=prefix, is_relayed=is_relayed)

    monkeypatch.setattr(run, "encode_order", hurried)
    result = await docker_box.run(SLEEPER)
    assert (result.kind, result.status, result.note) == ("timeout", None, "wall clock of 60 s")
    assert result.wall_s < 30


async def test_without_a_daemon_the_sandbox_says_what_would_help(
    empty_environment: HarnessEnvironment, tmp_path: Path
) -> None:
    with pytest.raises(SandboxUnavailable, match=r"no docker daemon answers.*docker\.io"):
        async with DockerSandbox(empty_environment, endpoint=f"unix://{tmp_path}/none.sock"):
            pass


async def test_a_runtime_the_daemon_does_not_have_is_refused(
    docker_address: str, empty_environment: HarnessEnvironment
) -> None:
    with pytest.raises(SandboxUnavailable, match=r"no runtime 'runsc', only .*daemon\.json.*HONE_DOCKER_RUNTIME"):
        async with DockerSandbox(empty_environment, endpoint=docker_address, runtime="runsc"):
            pass


async def test_the_sandbox_is_chosen_by_name_and_the_probe_tells_of_it(
    docker_address: str, empty_environment: HarnessEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_address)
    async with open_sandbox("docker", empty_environment) as box:
        assert box.level.startswith("docker:L")
        assert (await box.run(CONFORMING)).level == box.level
    (found,) = [finding for finding in (await probe()).findings if finding.what.startswith("docker")]
    assert found.ok
    assert box.level in found.detail
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    (missing,) = [finding for finding in (await probe()).findings if finding.what.startswith("docker")]
    assert not missing.ok
    assert "docker.io" in missing.detail


def test_the_sdk_is_not_loaded_for_the_native_sandbox() -> None:
    code = "import sys, sandbox.select; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=False).returncode == 0


def base_image_archive(environment: HarnessEnvironment) -> bytes:
    """This machine's Python and shell as a base image: what a registry would give, where there is none."""
    base = environment.base_prefix.resolve()
    programs = [Path("/usr/bin", name).resolve() for name in ("dash", "mkdir", "rm", "test")]
    seen = [*programs, *(base / "bin").glob("python3.*[0-9]"), *base.glob("lib/python3*/lib-dynload/*.so")]
    listing = subprocess.run(["ldd", *map(str, seen)], capture_output=True, text=True, check=False).stdout
    libraries = set(re.findall(r"(?:=> |^\s)(/\S+) \(", listing, re.MULTILINE))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(path for path in {*map(str, programs), *libraries} if not path.startswith(str(base))):
            archive.add(os.path.realpath(path), arcname=path)
        for source in (base / "bin", *base.glob("lib/libpython*"), *base.glob("lib/python3*")):
            archive.add(source, filter=lambda entry: None if WITHOUT.search(entry.name) else entry)
        links = {"bin": "usr/bin", "usr/bin/sh": "dash", "usr/local/bin/python3": str(base / "bin" / "python3")}
        for path, target in links.items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()


@pytest.mark.slow
async def test_an_image_built_from_the_shipped_dockerfile_runs_harnesses(
    docker_address: str,
    api: docker.APIClient,
    empty_environment: HarnessEnvironment,
    door_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api.import_image_from_data(base_image_archive(empty_environment), repository="hone-test-base", tag="1")
    monkeypatch.setenv("HONE_DOCKER_BASE", "hone-test-base:1")
    told: list[str] = []
    code = b"async def run(session):\n    print((await session.say('hello')).content)\n"
    for _ in range(2):
        async with (
            DockerSandbox(empty_environment, endpoint=docker_address, image="built", report=told.append) as box,
            open_gateway(door_folder / "g.sock") as door,
        ):
            result = await box.run(Spec(files={"agent.py": code}, socket=door))
        assert result.stdout.text == '"hello"\n', result.stderr.text
    assert len(told) == 1  # the second time it is there


@pytest.mark.parametrize("name", sorted(MACHINES))
@pytest.mark.parametrize("inet", [False, True])
def test_the_containers_profile_refuses_what_the_filter_refuses(name: str, inet: bool) -> None:
    machine, program = MACHINES[name], build_filter(name, inet=inet)
    rules = json.loads(profile(name, inet=inet))
    refused = {call for rule in rules["syscalls"] if not rule["args"] for call in rule["names"]}
    assert refused == set(machine.refused) | {"clone3"}
    numbers = {"socket": machine.socket, "socketpair": machine.socketpair, "clone": machine.clone}
    cases = [("socket", (family, kind, protocol)) for family in (*range(46), 1 << 20) for kind in (1, 2, 3, 5, 0o4001)
             for protocol in (0, 1, 6, 17, 262)]  # fmt: skip
    cases += [("socketpair", (family, 1, 0)) for family in range(46)]
    cases += [("clone", (1 << bit | 17, 0, 0)) for bit in range(32)]
    for call, arguments in cases:
        inner = verdict(program, machine.audit_arch, numbers[call], *arguments) == ALLOW
        assert passes(rules, call, arguments) == inner, (call, arguments)


def passes(rules: dict[str, list[dict[str, object]]], call: str, arguments: tuple[int, ...]) -> bool:
    """What libseccomp makes of a profile whose default is to allow."""
    for rule in rules["syscalls"]:
        if call in rule["names"] and all(matches(test, arguments) for test in rule["args"]):  # type: ignore[operator, attr-defined]
            return False
    return True


def matches(test: dict[str, object], arguments: tuple[int, ...]) -> bool:
    value, wanted, second = arguments[int(test["index"])], int(test["value"]), int(test["valueTwo"])  # type: ignore[call-overload]
    return {
        "SCMP_CMP_EQ": value == wanted,
        "SCMP_CMP_NE": value != wanted,
        "SCMP_CMP_GT": value > wanted,
        "SCMP_CMP_MASKED_EQ": value & wanted == second,
    }[str(test["op"])]


@given(
    contents=st.lists(st.tuples(st.sampled_from([b"h", b"o", b"e", b"r"]), st.binary(max_size=50)), max_size=8),
    complaint=st.binary(max_size=30),
    cut=st.integers(min_value=1, max_value=40),
    outer=st.integers(min_value=1, max_value=40),
)
def test_frames_are_the_same_however_they_are_cut(
    contents: list[tuple[bytes, bytes]], complaint: bytes, cut: int, outer: int
) -> None:
    inner = b"".join(struct.pack("!cI", tag, len(content)) + content for tag, content in contents)
    parts = [struct.pack("!BxxxI", 2, len(complaint)) + complaint]
    for start in range(0, len(inner), outer):
        piece = inner[start : start + outer]
        parts.append(struct.pack("!BxxxI", 1, len(piece)) + piece)
    raw = b"".join(parts)
    frames = Frames()
    got = [frame for start in range(0, len(raw), cut) for frame in frames.feed(raw[start : start + cut])]
    assert got == contents
    assert frames.complaint == complaint


def test_a_stream_that_is_no_protocol_is_refused() -> None:
    with pytest.raises(WireError, match="where a frame should begin"):
        list(Frames().feed(struct.pack("!BxxxI", 1, 9) + b"Traceback"))


async def test_both_backends_say_the_same_of_the_same_run(docker_box: DockerSandbox, native_box: NativeSandbox) -> None:
    for code in (b"raise SystemExit(4)", b"import os; os.abort()", b"x = 1", CONFORMING.files["agent.py"]):
        spec = Spec(files={"agent.py": code}, env=CONFORMING.env)
        one, other = await docker_box.run(spec), await native_box.run(spec)
        assert (one.kind, one.stdout, one.stderr) == (other.kind, other.stdout, other.stderr)
        assert one.status is not None
        assert other.status is not None
        assert one.status & ~0x80 == other.status & ~0x80
