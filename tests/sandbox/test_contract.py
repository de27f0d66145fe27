"""What a harness may rely on, and what every run comes back with; each on every backend."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from sandbox.contract import Limits, Result, Sandbox, Spec
from tests.sandbox.as_user import UID, UserSandbox
from tests.sandbox.gateway import OPENING, open_gateway

pytestmark = pytest.mark.anyio
MIB = 2**20


def agent(code: str, **files: bytes) -> Spec:
    """A harness of which only the import runs."""
    return Spec(files={"agent.py": code.encode(), **files}, env={"HONE_CONFORMANCE": "1"})


def command(*words: str, stdin: bytes = b"", files: dict[str, bytes] | None = None) -> Spec:
    return Spec(files=files or {}, command=words, stdin=stdin)


def exit_code(result: Result) -> int:
    assert result.status is not None, (result.kind, result.note)
    return os.waitstatus_to_exitcode(result.status)


def owner(box: Sandbox) -> int | None:
    return UID if isinstance(box, UserSandbox) else None


def n_visible(box: Sandbox) -> int:
    """Processes a run sees: its init and itself, and in a warm container also the trusted server that made both."""
    return 3 if box.level.startswith("docker-warm:") else 2


CONFORMING = "async def run(session):\n    pass\n"


async def test_a_conforming_harness_ends_well(box: Sandbox) -> None:
    result = await box.run(agent(CONFORMING))
    assert (result.kind, result.status, result.note) == ("ok", 0, "")
    assert result.level == box.level
    assert 0 < result.cpu_s < 5
    assert 0 < result.wall_s < 10


@pytest.mark.parametrize(
    ("code", "expected", "message"),
    [
        ("x = 1", 64, "defines no `run`"),
        ("def run(session): pass", 64, "not `async def run"),
        ("async def run(): pass", 64, "exactly one argument"),
        ("async def run(:", 1, "SyntaxError"),
        ("import surely_not_there", 1, "ModuleNotFoundError"),
        ("raise KeyError('boom')", 1, "KeyError: 'boom'"),
    ],
)
async def test_a_broken_harness_says_what_is_wrong(box: Sandbox, code: str, expected: int, message: str) -> None:
    result = await box.run(agent(code))
    assert result.kind == "nonzero"
    assert exit_code(result) == expected
    assert message in result.stderr.text


async def test_a_harness_without_agent_py_is_told_so(box: Sandbox) -> None:
    result = await box.run(Spec(files={"README": b""}))
    assert exit_code(result) == 64
    assert "no agent.py" in result.stderr.text


async def test_unicode_passes_in_and_out(box: Sandbox) -> None:
    result = await box.run(agent("import os\nprint('grüß 👋', os.environ['WORT'])\n" + CONFORMING))
    assert result.kind == "nonzero"
    spec = Spec(
        files={"agent.py": ("import os\nprint('grüß 👋', os.environ['WORT'])\n" + CONFORMING).encode()},
        env={"HONE_CONFORMANCE": "1", "WORT": "Übermut"},
    )
    assert (await box.run(spec)).stdout.text == "grüß 👋 Übermut\n"


async def test_a_mebibyte_of_stdin_arrives_whole_and_ends(box: Sandbox) -> None:
    content = bytes(range(256)) * (MIB // 256)
    result = await box.run(command("/usr/bin/sha256sum", stdin=content))
    import hashlib

    assert result.stdout.text.split()[0] == hashlib.sha256(content).hexdigest()


async def test_a_mebibyte_of_arguments_arrives_whole(box: Sandbox) -> None:
    words = ["x" * 100_000] * 10
    result = await box.run(command("python3", "-c", "import sys; print(sum(map(len, sys.argv[1:])))", *words))
    assert result.stdout.text == "1000000\n"


async def test_arguments_are_not_read_by_a_shell(box: Sandbox) -> None:
    words = ["a b", "$HOME", "`id`", "*", "'", '"', "\\", "", "ü\n"]
    result = await box.run(command("python3", "-c", "import sys, json; print(json.dumps(sys.argv[1:]))", *words))
    assert json.loads(result.stdout.text) == words


async def test_files_appear_with_folders_and_bytes_as_given_and_executable(box: Sandbox) -> None:
    files = {
        "a/b/c.bin": bytes(range(256)),
        "agent.sh": b"#!/bin/sh\nsha256sum a/b/c.bin\n",
        "leer": b"",
        "ü.txt": b"\n",
    }
    import hashlib

    result = await box.run(command("./agent.sh", files=files))
    assert result.stdout.text.split()[0] == hashlib.sha256(bytes(range(256))).hexdigest()
    listing = await box.run(command("/usr/bin/find", ".", "-type", "f", files=files))
    assert sorted(listing.stdout.text.split()) == ["./a/b/c.bin", "./agent.sh", "./leer", "./ü.txt"]


async def test_harness_modules_may_be_called_like_ours(box: Sandbox) -> None:
    names = ("sandbox", "server", "relay", "warm", "kernel", "cell", "tools", "utils")
    files = {f"{name}.py": f"NAME = 'my {name}'\n".encode() for name in names}
    code = "".join(f"import {name}\nassert {name}.NAME == 'my {name}', {name}\n" for name in names) + CONFORMING
    spec = Spec(files=files | {"agent.py": code.encode()}, env={"HONE_CONFORMANCE": "1"})
    result = await box.run(spec)
    assert result.kind == "ok", result.stderr.text


async def test_a_program_that_is_not_inside_is_a_fault_of_the_harness(box: Sandbox) -> None:
    result = await box.run(command("no-such-program"))
    assert (result.kind, exit_code(result)) == ("nonzero", 127)
    assert "no-such-program is not inside the sandbox" in result.stderr.text


async def test_a_file_that_is_no_program_is_a_fault_of_the_harness(box: Sandbox) -> None:
    result = await box.run(command("./text", files={"text": b"hello"}))
    assert (result.kind, exit_code(result)) == ("nonzero", 126)


async def test_slow_output_is_all_there(box: Sandbox) -> None:
    code = "import time\nfor i in range(5):\n    print(i, flush=True)\n    time.sleep(0.05)\n" + CONFORMING
    assert (await box.run(agent(code))).stdout.text == "0\n1\n2\n3\n4\n"


async def test_long_output_keeps_its_head_and_tail(box: Sandbox) -> None:
    result = await box.run(agent("print('HEAD' + 'x' * 300_000 + 'TAIL')\n" + CONFORMING))
    assert result.kind == "ok"
    assert result.stdout.head.startswith(b"HEAD")
    assert result.stdout.tail.endswith(b"TAIL\n")
    assert result.stdout.n_bytes == 300_009
    assert "[...]" in result.stdout.text


async def test_streams_are_kept_apart(box: Sandbox) -> None:
    result = await box.run(agent("import sys\nprint('out')\nprint('err', file=sys.stderr)\n" + CONFORMING))
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")


async def test_threads_and_exit_functions_finish_before_the_end(box: Sandbox) -> None:
    code = (
        "import atexit, threading, time\natexit.register(print, 'exit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n" + CONFORMING
    )
    assert (await box.run(agent(code))).stdout.text == "thread\nexit\n"


async def test_subprocesses_and_scratch_work_as_anywhere(box: Sandbox) -> None:
    code = (
        "import subprocess, tempfile, pathlib\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    pathlib.Path(folder, 'x').write_text('hello')\n"
        "    print(subprocess.run(['cat', 'x'], cwd=folder, capture_output=True, text=True, check=True).stdout)\n"
        "pathlib.Path.home().joinpath('note').write_text('kept')\n"
    )
    result = await box.run(agent(code + CONFORMING))
    assert result.stdout.text == "hello\n", result.stderr.text


async def test_the_session_is_a_conversation(box: Sandbox, door_folder: Path) -> None:
    code = """
import hone_session
async def run(session):
    print(session.model, session.instructions, session.policy, session.first_message, session.tools[0]["name"])
    reply = await session.call("echo", {"text": "ä"})
    print(reply.content, reply.is_error, reply.is_final)
    print((await session.say("hello")).content)
    try:
        await session.call("forbidden", {})
    except hone_session.SessionError as error:
        print(error.status, error.code, error)
    print((await session.submit("done")).is_final)
"""
    async with open_gateway(door_folder / "g.sock", owner=owner(box)) as door:
        result = await box.run(Spec(files={"agent.py": code.encode()}, socket=door))
    assert result.kind == "ok", result.stderr.text
    assert result.stdout.text.splitlines() == [
        f"tiny be brief no refunds {OPENING['first_message']} echo",
        '{"text": "ä"} False False',
        '"hello"',
        "429 rollout_budget POST /session/step: 429 out of calls",
        "True",
    ]


async def test_without_a_door_the_session_fails_clearly(box: Sandbox) -> None:
    result = await box.run(Spec(files={"agent.py": CONFORMING.encode()}))
    assert exit_code(result) == 1
    assert "no answer from the session" in result.stderr.text


async def test_the_standard_library_reaches_the_door_by_its_url(box: Sandbox, door_folder: Path) -> None:
    code = (
        "import os, urllib.request\nasync def run(session):\n"
        "    print(urllib.request.urlopen(os.environ['HONE_SESSION_URL'] + '/session', timeout=5).status)\n"
    )
    async with open_gateway(door_folder / "g.sock", owner=owner(box)) as door:
        result = await box.run(Spec(files={"agent.py": code.encode()}, socket=door))
    assert result.stdout.text == "200\n", result.stderr.text


async def test_a_command_reaches_the_door_over_tcp(box: Sandbox, door_folder: Path) -> None:
    code = """
import json, os, urllib.request
url = os.environ["HONE_SESSION_URL"]
print(json.load(urllib.request.urlopen(url + "/session"))["model"])
step = urllib.request.Request(url + "/session/step", json.dumps({"tool": "echo", "arguments": {"n": 1}}).encode())
print(json.load(urllib.request.urlopen(step))["content"])
import asyncio, hone_session
os.environ.pop("HONE_SOCKET")
async def talk():
    session = await hone_session.open_session()
    print((await session.say("x" * 100_000)).content == '"' + "x" * 100_000 + '"')
asyncio.run(talk())
"""
    async with open_gateway(door_folder / "g.sock", owner=owner(box)) as door:
        spec = Spec(files={"main.py": code.encode()}, command=("python3", "main.py"), socket=door)
        result = await box.run(spec)
    assert result.stdout.text.splitlines() == ["tiny", '{"n": 1}', "True"], result.stderr.text


async def test_concurrent_runs_do_not_see_each_other(box: Sandbox) -> None:
    code = "import os, pathlib\nme = os.environ['ME']\npathlib.Path('/tmp/me').write_text(me)\n"
    code += "print(me, pathlib.Path('/tmp/me').read_text(), len([p for p in os.listdir('/proc') if p.isdigit()]))\n"
    results: dict[int, Result] = {}

    async def one(number: int) -> None:
        spec = Spec(files={"agent.py": (code + CONFORMING).encode()}, env={"HONE_CONFORMANCE": "1", "ME": str(number)})
        results[number] = await box.run(spec)

    async with anyio.create_task_group() as group:
        for number in range(16):
            group.start_soon(one, number)
    assert {number: result.stdout.text for number, result in results.items()} == {
        number: f"{number} {number} {n_visible(box)}\n" for number in range(16)
    }


async def test_one_runs_flood_does_not_slow_anothers_end(box: Sandbox, hostile: Callable[..., Spec]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(box.run, hostile("r15_ignore_all_and_spin", limits=Limits(wall_s=2)))
        result = await box.run(agent(CONFORMING))
        assert result.kind == "ok"
        assert result.wall_s < 2


@pytest.mark.parametrize("path", ["../out", "/abs", "a/../b", "", "a//b", "./a", "a\0b"])
async def test_a_path_outside_the_harness_is_refused_before_anything_runs(box: Sandbox, path: str) -> None:
    result = await box.run(Spec(files={path: b""}))
    assert result.kind == "infra"
    assert "not a path inside the harness" in result.note


async def test_a_gateway_that_is_not_there_is_our_fault(box: Sandbox, door_folder: Path) -> None:
    result = await box.run(Spec(files={"agent.py": CONFORMING.encode()}, socket=door_folder / "none.sock"))
    assert result.kind == "infra"
    assert "none.sock" in result.note


async def test_the_wall_clock_is_kept_while_the_output_is_read(box: Sandbox) -> None:
    code = "import time\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.01)\n"
    started = time.monotonic()
    spec = Spec(files={"agent.py": code.encode()}, env={"HONE_CONFORMANCE": "1"}, limits=Limits(wall_s=0.4))
    result = await box.run(spec)
    assert result.kind == "timeout"
    assert "tick" in result.stdout.text
    assert time.monotonic() - started < 5
