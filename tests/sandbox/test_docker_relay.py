"""The door over the container's streams: many connections at once, each with its own pace and its own end."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from sandbox.contract import Result, Spec
from sandbox.docker.sandbox import DockerSandbox
from sandbox.docker.shim import CREDIT, DATA, END, FRAME, NUMBER, OPEN, RESET, WINDOW, Heard, Shim
from sandbox.environment import HarnessEnvironment
from tests.sandbox.gateway import open_gateway

pytestmark = pytest.mark.anyio
MIB = 2**20
ECHO = """
import asyncio, hashlib, os
DOOR = os.environ["HONE_SOCKET"]
async def stalled():
    reader, writer = await asyncio.open_unix_connection(DOOR, limit=1)
    writer.write(b"x" * 300_000)
    return writer
async def one(number):
    reader, writer = await asyncio.open_unix_connection(DOOR)
    sent = bytes([number]) * (1_000_000 + number)
    async def send():
        writer.write(sent)
        await writer.drain()
        writer.write_eof()
    sending = asyncio.ensure_future(send())
    got = await reader.read(-1)
    await sending
    writer.close()
    return got == sent
async def main():
    kept = [await stalled() for _ in range(3)]
    print(all(await asyncio.gather(*(one(number) for number in range(12)))), flush=True)
    os._exit(0)
asyncio.run(main())
"""


async def echo(stream: ByteStream) -> None:
    async with stream:
        try:
            async for chunk in stream:
                await stream.send(chunk)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return


@pytest.fixture(params=["docker_relayed_box", "docker_warm_box"])
def relayed(request: pytest.FixtureRequest) -> DockerSandbox:
    """Both kinds of container whose door is relayed."""
    box: DockerSandbox = request.getfixturevalue(request.param)
    return box


async def run_with(box: DockerSandbox, folder: Path, code: str, serve: object = echo) -> Result:
    async with await anyio.create_unix_listener(folder / "e.sock") as door, anyio.create_task_group() as group:
        group.start_soon(door.serve, serve)  # type: ignore[arg-type]
        spec = Spec(files={"agent.py": code.encode()}, env={"HONE_CONFORMANCE": "1"}, socket=folder / "e.sock")
        result = await box.run(spec)
        group.cancel_scope.cancel()
    return result


async def test_megabytes_both_ways_on_many_connections_pass_others_that_nobody_reads(
    relayed: DockerSandbox, door_folder: Path
) -> None:
    result = await run_with(relayed, door_folder, ECHO)
    assert (result.kind, result.stdout.text) == ("ok", "True\n"), (result.note, result.stderr.text)


async def test_a_gateway_that_hangs_up_is_seen_as_such(relayed: DockerSandbox, door_folder: Path) -> None:
    code = """
import os, socket
for _ in range(80):
    door = socket.socket(socket.AF_UNIX)
    door.settimeout(10)
    door.connect(os.environ["HONE_SOCKET"])
    try:
        assert door.recv(10) == b""
    except ConnectionResetError:
        pass
    door.close()
print("done")
async def run(session):
    pass
"""

    async def hang_up(stream: ByteStream) -> None:
        await stream.aclose()

    result = await run_with(relayed, door_folder, code, hang_up)
    assert result.stdout.text == "done\n", result.stderr.text


async def test_where_a_socket_cannot_be_mounted_the_relay_is_found_by_trying(
    docker_address: str, empty_environment: HarnessEnvironment, monkeypatch: pytest.MonkeyPatch, door_folder: Path
) -> None:
    """As on macOS: the mount is there, and behind it is nobody."""
    from sandbox.docker import container

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(door_folder / "dead.sock"))  # bound and not listening
        (door_folder / "dead.sock").chmod(0o777)
        mounts = container._mounts

        def lead_nowhere(site: container.Site, made: container.Container, spec: Spec) -> list[container.Mount]:
            found = mounts(site, made, spec)
            for mount in found:
                if mount["Target"] == container.DOOR:
                    mount["Source"] = str(door_folder / "dead.sock")
            return found

        monkeypatch.setattr(container, "_mounts", lead_nowhere)
        told: list[str] = []
        async with DockerSandbox(empty_environment, endpoint=docker_address, report=told.append) as box:
            assert box.level.endswith("+relay")
            async with open_gateway(door_folder / "g.sock") as door:
                code = b"async def run(session):\n    print((await session.say('hi')).content)\n"
                result = await box.run(Spec(files={"agent.py": code}, socket=door))
    assert result.stdout.text == '"hi"\n'
    assert result.level == box.level
    assert "a mounted socket does not work here" in told[0]


@pytest.fixture
def shim(door_folder: Path) -> Iterator[tuple[Shim, select.poll, list[tuple[bytes, bytes]], Path]]:
    """A shim whose frames are kept."""
    said: list[tuple[bytes, bytes]] = []
    poll = select.poll()
    path = door_folder / "s"
    made = Shim(str(path), poll, lambda tag, content: said.append((tag, content)), Heard())
    yield made, poll, said, path
    for connection in made._by_number.values():
        connection.line.close()
    made._listener.close()


def turn(shim: Shim, poll: select.poll) -> None:
    """Until nothing more happens by itself."""
    while ready := poll.poll(0):
        for fd, _ in ready:
            shim.attend(fd)


def test_the_shim_is_never_further_ahead_than_one_window(
    shim: tuple[Shim, select.poll, list[tuple[bytes, bytes]], Path],
) -> None:
    made, poll, said, path = shim
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(str(path))
        agent.setblocking(False)
        for _ in range(20):
            with contextlib.suppress(BlockingIOError):
                agent.send(b"x" * WINDOW)
            turn(made, poll)
        assert said[0] == (OPEN, NUMBER.pack(0))
        assert sum(len(content) - 4 for tag, content in said if tag == DATA) == WINDOW
        made.hear(FRAME.pack(CREDIT, 8) + NUMBER.pack(0) + NUMBER.pack(10))
        turn(made, poll)
        assert sum(len(content) - 4 for tag, content in said if tag == DATA) == WINDOW + 10


def test_the_shim_passes_on_ends_of_one_side_and_resets_of_both(
    shim: tuple[Shim, select.poll, list[tuple[bytes, bytes]], Path],
) -> None:
    made, poll, said, path = shim
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        one.connect(str(path))
        other.connect(str(path))
        turn(made, poll)
        one.shutdown(socket.SHUT_WR)
        turn(made, poll)
        assert (END, NUMBER.pack(0)) in said
        for cut in (3, 7, 1000):  # however the line cuts them
            raw = FRAME.pack(DATA, 9) + NUMBER.pack(0) + b"hello"
            for start in range(0, len(raw), cut):
                made.hear(raw[start : start + cut])
        made.hear(FRAME.pack(END, 4) + NUMBER.pack(0) + FRAME.pack(RESET, 4) + NUMBER.pack(1))
        assert one.recv(100) == b"hello" * 3
        assert one.recv(100) == b""
        assert other.recv(100) == b""
        made.hear(FRAME.pack(DATA, 5) + NUMBER.pack(1) + b"x")  # late, and for nobody
    assert made._by_fd == made._by_number == {}
