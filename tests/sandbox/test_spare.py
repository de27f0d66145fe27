"""A room made ahead is as good as one made on demand, serves once, and is gone when the sandbox is."""

from __future__ import annotations

import json
import os
import signal

import anyio
import pytest

from sandbox.contract import Limits, Result, Spec
from sandbox.environment import HarnessEnvironment
from sandbox.native.sandbox import NativeSandbox
from sandbox.native.spare import OneSpare
from tests.sandbox.test_native import CONFORMING, n_descriptors, name_of, processes, traces, vanish

pytestmark = pytest.mark.anyio
_FACTS = """
import json, os, random
facts = {"scratch": os.statvfs("/scratch").f_blocks * os.statvfs("/scratch").f_frsize, "draw": random.random()}
facts["left"] = sorted(os.listdir("/scratch"))
open("/scratch/left", "w").close()
facts["fds"] = sorted(os.listdir("/proc/self/fd"))
facts["pids"] = sorted(name for name in os.listdir("/proc") if name.isdigit())
facts["namespaces"] = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt", "pid", "ipc")}
print(json.dumps(facts))
async def run(session):
    pass
"""
FACTS = Spec(files={"agent.py": _FACTS.encode()}, env={"HONE_CONFORMANCE": "1"})


async def spare_is_ready(box: NativeSandbox) -> None:
    """Wait until a room waits for the next run."""
    assert isinstance(box._spares, OneSpare)
    assert box._spares._making is not None
    making = box._spares._making
    assert await anyio.to_thread.run_sync(making.result) is not None


async def traces_at_rest(name: str) -> int:
    """How much is seen of a sandbox once the spare's agent waits: keeper, builder, server, init and agent run."""
    with anyio.fail_after(10):
        while len(processes(name)) != 5:  # noqa: ASYNC110 - no event tells of it
            await anyio.sleep(0.02)
    return len(traces(name))


async def told(box: NativeSandbox, spec: Spec = FACTS) -> dict[str, object]:
    """What the harness saw."""
    result: Result = await box.run(spec)
    assert result.kind == "ok", (result.note, result.stderr.text)
    facts: dict[str, object] = json.loads(result.stdout.text)
    return facts


async def test_a_room_made_ahead_is_like_one_made_on_demand_and_serves_once(
    empty_environment: HarnessEnvironment,
) -> None:
    async with NativeSandbox(empty_environment, has_spare=True) as box:
        on_demand = await told(box)
        await spare_is_ready(box)
        made_ahead = await told(box)
        await spare_is_ready(box)
        another = await told(box)
    for name in ("scratch", "left", "fds", "pids"):
        assert on_demand[name] == made_ahead[name] == another[name]
    assert made_ahead["left"] == []
    assert len({facts["draw"] for facts in (on_demand, made_ahead, another)}) == 3
    assert made_ahead["namespaces"] != another["namespaces"]


async def test_a_run_with_other_limits_gets_its_own_and_not_the_spares(empty_environment: HarnessEnvironment) -> None:
    small = Spec(files=FACTS.files, env=FACTS.env, limits=Limits(scratch_bytes=8 * 2**20))
    async with NativeSandbox(empty_environment, has_spare=True) as box:
        await told(box)
        await spare_is_ready(box)
        assert (await told(box, small))["scratch"] == 8 * 2**20
        await spare_is_ready(box)
        assert (await told(box, small))["scratch"] == 8 * 2**20
        await spare_is_ready(box)
        assert (await told(box))["scratch"] == Limits().scratch_bytes


async def test_a_spare_that_died_is_replaced_and_no_run_notices(empty_environment: HarnessEnvironment) -> None:
    async with NativeSandbox(empty_environment, has_spare=True) as box:
        await told(box)
        await spare_is_ready(box)
        assert isinstance(box._spares, OneSpare)
        assert box._spares._making is not None
        room = box._spares._making.result()
        assert room is not None
        room.kill()
        with anyio.fail_after(10):
            await anyio.wait_readable(room.pidfd)
        assert (await box.run(CONFORMING)).kind == "ok"
        await spare_is_ready(box)
        assert (await box.run(CONFORMING)).kind == "ok"


async def test_a_server_that_died_takes_its_spare_along(empty_environment: HarnessEnvironment) -> None:
    async with NativeSandbox(empty_environment, has_spare=True) as box:
        await told(box)
        await spare_is_ready(box)
        for found in processes(name_of(box)):
            if "guest.server" in found:
                os.kill(int(found.split()[0]), signal.SIGKILL)
        with anyio.fail_after(20):
            while (await box.run(CONFORMING)).kind != "ok":  # noqa: ASYNC110 - a death raises no event here
                await anyio.sleep(0.05)


async def test_many_runs_with_spares_leave_one_room_at_rest_and_nothing_at_the_end(
    empty_environment: HarnessEnvironment,
) -> None:
    fds = n_descriptors()
    async with NativeSandbox(empty_environment, has_spare=True) as box:
        name = name_of(box)
        await told(box)
        await spare_is_ready(box)
        at_rest, n_at_rest = await traces_at_rest(name), n_descriptors()
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(told, box)
        await spare_is_ready(box)
        assert await traces_at_rest(name) == at_rest
        assert n_descriptors() <= n_at_rest + 2
        assert list(box._premises.doors.iterdir()) == []  # type: ignore[union-attr]
    assert vanish(name) == set()
    assert n_descriptors() == fds


async def test_closing_right_after_a_run_leaves_no_half_made_spare(empty_environment: HarnessEnvironment) -> None:
    for _ in range(3):
        async with NativeSandbox(empty_environment, has_spare=True) as box:
            name = name_of(box)
            await told(box)
        assert vanish(name) == set()
