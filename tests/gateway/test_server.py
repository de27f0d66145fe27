from __future__ import annotations

import json
import select
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.domain.errors import BudgetExhaustedError, ConfigError
from optimizer.gateway.door import Door
from optimizer.gateway.limits import DoorLimits
from tests.gateway.world import World, ask, client, error_of, job

pytestmark = pytest.mark.anyio


async def raw(door: Door, *pieces: bytes) -> bytes:
    """Send bytes as they are and read all that comes back."""
    async with await anyio.connect_unix(door.socket) as stream:
        for piece in pieces:
            await stream.send(piece)
        await stream.send_eof()
        return await everything(stream)


async def everything(stream: anyio.abc.ByteReceiveStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def is_well(door: Door) -> bool:
    async with client(door) as http:
        return (await http.get("/session")).status_code == 200 and door.recording().infra is None


async def post(http: httpx.AsyncClient, body: bytes) -> httpx.Response:
    return await http.post("/session/step", content=body)


async def test_an_announced_body_over_the_limit_is_a_413_before_it_is_read(world: World) -> None:
    async with world.open() as (door, http):
        refused = await post(http, b'{"say":"' + b"x" * (4 * 2**20) + b'"}')
        assert refused.status_code == 413
        assert error_of(refused)["code"] == "body_too_large"
        assert await is_well(door)


async def test_a_chunked_body_over_the_limit_is_a_413_too(world: World) -> None:
    world.limits = DoorLimits(body_bytes=1000)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    async with world.open() as (door, http):
        refused = await http.post("/session/step", content=endless())
        assert refused.status_code == 413
        assert await is_well(door)


async def test_a_body_just_under_the_limit_passes(world: World) -> None:
    world.limits = DoorLimits(body_bytes=100_000)
    body = b'{"say":"' + b"x" * 99_990 + b'"}'
    assert len(body) == 100_000
    async with world.open() as (_, http):
        assert (await post(http, body)).status_code == 200


async def test_headers_over_the_limit_are_a_431(world: World) -> None:
    async with world.open() as (door, _):
        reply = await raw(door, b"GET /session HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 20_000 + b"\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 431 ")
        assert await is_well(door)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"tool":"look","arguments":{"x":NaN}}',
        b'{"tool":"look","arguments":{"x":-Infinity}}',
        b'{"tool":"look","arguments":{"x":1e999}}',
        b'{"tool":"look","arguments":{"x":' + b"9" * 5000 + b"}}",
        b'{"say":"\\ud83d"}',
        b'{"tool":"look","arguments":{"x":' + b"[" * 70 + b"]" * 70 + b"}}",
        b'{"tool":"look","arguments":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
)
async def test_what_is_not_a_small_json_object_is_a_400(world: World, body: bytes) -> None:
    async with world.open() as (door, http):
        refused = await post(http, body)
        assert refused.status_code == 400
        assert error_of(refused)["code"] in {"bad_json", "json_too_deep"}
        assert await is_well(door)
    assert world.environment.steps == []


async def test_wide_and_moderately_deep_json_passes(world: World) -> None:
    arguments = {"x": [[n] for n in range(500)], "deep": json.loads("[" * 50 + "]" * 50)}
    async with world.open() as (_, http):
        assert (await http.post("/session/step", json={"tool": "look", "arguments": arguments})).status_code == 200


async def test_a_request_that_trickles_in_is_a_408_and_others_are_served_meanwhile(world: World) -> None:
    world.limits = DoorLimits(arrival_s=0.2)
    async with world.open() as (door, http), await anyio.connect_unix(door.socket) as slow:
        await slow.send(b"POST /session/step HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{")
        assert (await http.get("/session")).status_code == 200
        reply = await everything(slow)
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert await is_well(door)


async def test_an_idle_connection_may_wait_longer_than_a_request(world: World) -> None:
    world.limits = DoorLimits(arrival_s=0.05)
    async with world.open() as (door, _), await anyio.connect_unix(door.socket) as idle:
        with anyio.move_on_after(0.2):
            await idle.receive()
            pytest.fail("the idle connection was answered")
        await idle.send(b"GET /session HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await everything(idle)).startswith(b"HTTP/1.1 200 ")


async def test_a_peer_that_does_not_read_its_reply_is_dropped(world: World) -> None:
    world.limits = DoorLimits(delivery_s=0.1)
    world.upstream.answer = lambda _, __: {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 2**21}}]
    }
    body = json.dumps({"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}).encode()
    async with world.open() as (door, _), await anyio.connect_unix(door.socket) as deaf:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        await deaf.send(head.encode() + body)
        await world.upstream.arrived.wait()
        await wait_for_hangup(deaf.extra(anyio.abc.SocketAttribute.raw_socket).fileno())
        assert len(await everything(deaf)) < 2**21
        assert await is_well(door)


async def wait_for_hangup(descriptor: int) -> None:
    """Wait until the other side has closed, without reading what it sent."""
    poll = select.poll()
    poll.register(descriptor, 0)
    with anyio.fail_after(20):
        while not poll.poll(0):
            await anyio.lowlevel.checkpoint()


async def test_too_many_connections_are_a_503_and_free_up_again(world: World) -> None:
    world.limits = DoorLimits(connections=2)
    async with world.open() as (door, _):
        async with await anyio.connect_unix(door.socket), await anyio.connect_unix(door.socket):
            refused = await raw(door)
        assert refused.startswith(b"HTTP/1.1 503 ")
        await wait_until_well(door)


async def wait_until_well(door: Door) -> None:
    with anyio.fail_after(5):
        while not await is_well(door):
            await anyio.lowlevel.checkpoint()


async def test_too_many_requests_are_a_429(world: World) -> None:
    world.limits = DoorLimits(requests=3)
    async with world.open() as (_, http):
        codes = [(await http.get("/session")).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429]


async def test_a_connection_carries_many_requests_also_sent_ahead(world: World) -> None:
    get = b"GET /session HTTP/1.1\r\nhost: x\r\n\r\n"
    async with world.open() as (door, _):
        reply = await raw(door, get * 5)
    assert reply.count(b"HTTP/1.1 200 ") == 5


async def test_a_peer_that_waits_for_100_continue_gets_it(world: World) -> None:
    async with world.open() as (door, _), await anyio.connect_unix(door.socket) as stream:
        await stream.send(
            b"POST /session/step HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 11\r\n"
            b"connection: close\r\n\r\n"
        )
        assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
        await stream.send(b'{"say":"a"}')
        assert b"you said a" in await everything(stream)


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"\r\n",
        b"nonsense\r\n\r\n",
        b"GET /session HTTP/3.0\r\nhost: x\r\n\r\n",
        b"GET /session HTTP/1.1\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /session HTTP/1.0\r\n\r\n",
        b"POST /session/step HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /session/step HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"POST /session/step HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"POST /session/step HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{",
        b"HEAD /session HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /session HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ],
)
async def test_broken_http_ends_its_own_connection_only(world: World, bytes_sent: bytes) -> None:
    async with world.open() as (door, _):
        await raw(door, bytes_sent)
        assert await is_well(door)


async def test_a_peer_that_hangs_up_before_its_answer_harms_nobody_and_the_call_is_kept(world: World) -> None:
    world.upstream.holds = True
    body = json.dumps({"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}).encode()
    async with world.open() as (door, http):
        async with await anyio.connect_unix(door.socket) as stream:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
            await stream.send(head.encode() + body)
            await world.upstream.arrived.wait()
        world.upstream.go.set()
        assert (await ask(http, "other")).status_code == 200
        assert await is_well(door)
        assert door.recording().usage.n_calls == 2


async def test_file_descriptors_sent_along_are_not_taken(world: World) -> None:
    async with world.open() as (door, _), await anyio.connect_unix(door.socket) as stream:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            await stream.send_fds(b"GET /session HTTP/1.1\r\nhost: x\r\n\r\n", [theirs.fileno()])
            theirs.close()
            await stream.receive()
            assert ours.recv(1) == b""  # nobody holds the other end


CHAT_HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
FUZZ = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=200).map(lambda tail: b"POST /session/step HTTP/1.1\r\nhost: x\r\n" + tail),
    st.binary(max_size=200).map(lambda body: CHAT_HEAD % len(body) + body),
    st.text(max_size=50).map(lambda text: json.dumps({"say": text}).encode()),
)


async def test_no_bytes_whatever_kill_the_server(world: World) -> None:
    async with world.open() as (door, _):

        def fuzz() -> None:
            @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
            @given(st.lists(FUZZ, min_size=1, max_size=3))
            def send(pieces: list[bytes]) -> None:
                with socket.socket(socket.AF_UNIX) as peer:
                    peer.settimeout(10)
                    peer.connect(str(door.socket))
                    try:
                        for piece in pieces:
                            peer.sendall(piece)
                        peer.shutdown(socket.SHUT_WR)
                        while peer.recv(65536):
                            pass
                    except (BrokenPipeError, ConnectionResetError):
                        pass

            send()

        await anyio.to_thread.run_sync(fuzz)
        assert await is_well(door)


async def test_many_rollouts_at_once_keep_their_identities(world: World) -> None:
    gateway = world.gateway()
    seen: dict[int, int] = {}

    async def rollout(trial: int) -> None:
        async with gateway.open(job(trial=trial), world.environment) as door, client(door) as http:
            for _ in range(3):
                assert (await ask(http, f"from {trial}")).status_code == 200
            spans = door.recording().spans
            seen[trial] = sum(f"from {trial}'" in str(span.input) for span in spans)

    async with anyio.create_task_group() as tasks:
        for trial in range(40):
            tasks.start_soon(rollout, trial)
    assert seen == dict.fromkeys(range(40), 3)
    assert list(world.folder.iterdir()) == []


async def test_one_job_open_twice_gets_two_doors(world: World) -> None:
    gateway = world.gateway()
    async with gateway.open(job(), world.environment) as one, gateway.open(job(), world.environment) as two:
        assert one.socket != two.socket
        assert await is_well(one)
        assert await is_well(two)


async def test_a_socket_left_by_a_killed_process_is_replaced(world: World) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(world.folder / f"{job().id}.sock"))
    async with world.open() as (door, _):
        assert await is_well(door)


async def test_a_closed_door_leaves_no_socket_and_its_record_stays(world: World) -> None:
    async with world.open() as (door, http):
        await ask(http)
        assert door.socket.stat().st_mode & 0o777 == 0o600
    assert not door.socket.exists()
    assert door.recording().usage.n_calls == 1


async def test_an_error_inside_the_block_comes_out_as_it_is(world: World) -> None:
    cause = ValueError("cause")
    with pytest.raises(BudgetExhaustedError) as raised:
        async with world.open():
            raise BudgetExhaustedError("usd", "used up") from cause
    assert raised.value.__cause__ is cause
    assert list(world.folder.iterdir()) == []


async def test_cancelling_the_block_closes_the_door(world: World) -> None:
    with anyio.CancelScope() as scope:
        async with world.open():
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert list(world.folder.iterdir()) == []


async def test_a_folder_too_long_for_a_socket_is_refused_up_front(world: World) -> None:
    world.folder = Path("/tmp") / ("x" * 90)
    with pytest.raises(ConfigError, match="too long"):
        world.gateway()


async def test_the_bytes_of_a_rollout_are_bounded(world: World) -> None:
    world.limits = DoorLimits(total_bytes=2000)
    async with world.open() as (_, http):
        codes = [(await http.post("/session/step", json={"say": "x" * 200})).status_code for _ in range(8)]
    assert codes[0] == 200
    assert codes[-1] == 429
    assert sorted(codes) == codes
