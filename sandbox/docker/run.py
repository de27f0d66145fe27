"""One run in a container, as the host sees it: create, attach, start, watch, bury, judge.

The host believes the run's process 1, which nobody inside can reach, and the daemon. It never waits for the end of
a stream, and the container is removed before anyone is told how the run ended.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from functools import partial

import anyio
import docker
from anyio.streams.memory import MemoryObjectReceiveStream

from sandbox.contract import Result, Spec
from sandbox.docker.container import (
    Container,
    Site,
    call,
    create,
    inner_user,
    remove_harness,
    write_harness,
)
from sandbox.docker.daemon import TROUBLES, remove
from sandbox.docker.line import Line, attach, hang_up
from sandbox.docker.pump import Pump, frame
from sandbox.docker.shim import OVER
from sandbox.docker.watch import Watch, judge
from sandbox.docker.wire import Picture, WireError, encode_order
from sandbox.native.payload import UnusableSpecError, check

START_TIMEOUT_S = 90.0
"""From creating to the first word of the entry; long, because a busy machine is no fault of the run."""
_DEATH_TIMEOUT_S = 30
_CLEAN_TIMEOUT_S = 20.0


class InfraError(Exception):
    """The run could not be carried out, and that is our fault and not the harness's."""


OURS = (InfraError, UnusableSpecError, WireError, *TROUBLES)
"""Errors that are no fault of the harness."""


def new_watch(spec: Spec) -> Watch:
    """Nothing is known yet."""
    picture = partial(Picture, limit=spec.limits.output_bytes)
    return Watch(limits=spec.limits, stdout=picture(), stderr=picture())


async def run_one(site: Site, name: str, spec: Spec) -> Result:
    """Carry out one run in a container of its own. Raises nothing but cancellation, when the container is gone."""
    started = time.monotonic()
    watch = new_watch(spec)
    try:
        examine(site, spec)
        await _carry_out_and_bury(site, name, spec, watch)
    except OURS as error:
        if not is_oom_at_start(error):
            return infra(site, error, started)
        watch.was_oom_killed = True
    return judge(watch, site.level)


def infra(site: Site, error: BaseException, started: float) -> Result:
    """The result when it is our fault."""
    return Result(kind="infra", status=None, level=site.level, wall_s=time.monotonic() - started, note=_words(error))


async def _carry_out_and_bury(site: Site, name: str, spec: Spec, watch: Watch) -> None:
    container = await new_container(site, name)
    try:
        line = await start(site, container, spec)
        try:
            await talk(site, line, spec, watch)
            await note_peak(site, container, watch)
        finally:
            with anyio.CancelScope(shield=True):
                await call(site, hang_up, line)
    finally:
        await bury(site, container, watch)


async def new_container(site: Site, name: str) -> Container:
    """A name, a folder and a line to the daemon; nothing is made yet."""
    return Container(
        name=f"{site.folder.name}-{name}",
        api=await call(site, site.daemon.line),
        harness=site.folder / "runs" / name / "harness",
    )


async def start(site: Site, container: Container, spec: Spec) -> Line:
    """Make and start the container, attached; on failure, the caller buries it."""
    await call(site, write_harness, container, spec)
    await call(site, create, site, container, spec)
    line = await attach(site, container)
    try:
        await call(site, container.api.start, container.name)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await call(site, hang_up, line)
        raise
    return line


def _words(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return f"docker: {explanation}" if explanation else str(error) or type(error).__name__


def is_oom_at_start(error: BaseException) -> bool:
    """The daemon's words when the limit is too small for even the first process."""
    return isinstance(error, docker.errors.APIError) and "oom-killed" in _words(error).lower()


def examine(site: Site, spec: Spec) -> None:
    """Refuse what cannot be run, and let the run's user connect to the gateway's socket."""
    check(spec)
    if spec.socket is None:
        return
    try:
        if not stat.S_ISSOCK(spec.socket.stat().st_mode):
            raise InfraError(f"gateway socket {spec.socket} is no socket")
        if os.geteuid() == 0 and not site.daemon.is_rootless and not site.is_relayed:
            os.chown(spec.socket, inner_user(site.daemon), -1)
            spec.socket.chmod(0o700)
    except OSError as error:
        raise InfraError(f"gateway socket {spec.socket} cannot be opened to the run: {error}") from error


async def talk(site: Site, line: Line, spec: Spec, watch: Watch) -> None:
    """Give the order, carry the door's connections, and listen until it is over; raises what `OURS` holds."""
    trouble: BaseException | None = None
    outbox, waiting = anyio.create_memory_object_stream[bytes](16)
    async with anyio.create_task_group() as sending:
        sending.start_soon(_send_all, line, waiting)
        try:
            async with anyio.create_task_group() as pumping:
                if site.is_relayed and spec.socket is not None:
                    watch.pump = Pump(spec.socket, outbox, pumping)
                await outbox.send(encode_order(spec, prefix=site.image.prefix, is_relayed=watch.pump is not None))
                trouble = await _listen(line, spec, watch)
                pumping.cancel_scope.cancel()
            if site.is_warm and isinstance(watch.report.get("status"), int):
                await outbox.send(frame(OVER))
                trouble = await await_state(line, watch, _CLEAN_TIMEOUT_S)
        finally:
            outbox.close()
            sending.cancel_scope.cancel()
    if trouble is not None:
        raise trouble


async def _send_all(line: Line, waiting: MemoryObjectReceiveStream[bytes]) -> None:
    """Frame after frame, each of them whole."""
    with waiting:
        async for content in waiting:
            await line.send(content)


async def _listen(line: Line, spec: Spec, watch: Watch) -> BaseException | None:
    """Follow the run to its end; what went wrong on our side is given back, since a task group would wrap it."""
    try:
        with anyio.move_on_after(START_TIMEOUT_S):
            while not watch.is_up and not watch.is_over:
                watch.take(await line.receive())
        if not watch.is_up and not watch.is_over:
            return InfraError(f"the container did not start the run within {START_TIMEOUT_S:.0f} s")
        with anyio.move_on_after(spec.limits.wall_s) as wall:
            while not watch.is_over:
                watch.take(await line.receive())
        if wall.cancelled_caught:
            watch.ending, watch.note = "timeout", f"wall clock of {spec.limits.wall_s:g} s"
    except (WireError, OSError) as error:
        return error
    return None


async def await_state(line: Line, watch: Watch, within_s: float) -> BaseException | None:
    """Wait until a warm container has said whether it is ready for a run, or has ended."""
    try:
        with anyio.move_on_after(within_s):
            while watch.state is None:
                chunk = await line.receive()
                watch.take(chunk)
                if not chunk:
                    break
    except (WireError, OSError) as error:
        return error
    return None


async def note_peak(site: Site, container: Container, watch: Watch) -> None:
    """Ask for the peak of a run that will tell nothing more, while its container still runs."""
    if watch.ending == "timeout" and not watch.report:
        watch.report["peak_memory_bytes"] = await call(site, _peak_memory, container)


async def bury(site: Site, container: Container, watch: Watch) -> None:
    """Make sure that everything is dead, whatever happened, before anyone is told."""
    with anyio.CancelScope(shield=True):
        try:
            if watch.is_over and not watch.report:
                watch.was_oom_killed = await call(site, _died_of_memory, container, watch)
        finally:
            try:
                await call(site, remove, container.api, container.name)
                await call(site, remove_harness, container)
            finally:
                container.api.close()


def _died_of_memory(container: Container, watch: Watch) -> bool:
    """Ask the daemon, once the container has ended; only the daemon knows why process 1 died."""
    if watch.stdout.is_over or watch.stderr.is_over:
        return False
    api = container.api
    with contextlib.suppress(docker.errors.NotFound):
        api.wait(container.name, timeout=_DEATH_TIMEOUT_S)
        return bool(api.inspect_container(container.name)["State"].get("OOMKilled"))
    return False


def _peak_memory(container: Container) -> int | None:
    """The daemon's account of a container that is about to be killed; None where its kernel keeps no peak."""
    with contextlib.suppress(*TROUBLES):
        memory = container.api.stats(container.name, stream=False, one_shot=True).get("memory_stats", {})
        peak = memory.get("max_usage")
        return peak if isinstance(peak, int) else None
    return None
