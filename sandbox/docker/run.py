"""One run in a container of its own, as the host sees it: create, attach, start, watch, bury, judge.

The host believes the run's process 1, which nobody inside can reach, and the daemon. It never waits for the end of
a stream, and the container is removed before anyone is told how the run ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import anyio
import docker

from sandbox.contract import Kind, Limits, Result, Spec
from sandbox.docker.container import Container, Site, create, inner_user, remove_harness, write_harness
from sandbox.docker.daemon import TROUBLES, remove
from sandbox.docker.wire import Frames, Picture, WireError, encode_order
from sandbox.native.payload import UnusableSpecError, check

_START_TIMEOUT_S = 90.0
"""From creating to the first word of the entry; long, because a busy machine is no fault of the run."""
_DEATH_TIMEOUT_S = 30
_CHUNK = 65536
T = TypeVar("T")


class InfraError(Exception):
    """The run could not be carried out, and that is our fault and not the harness's."""


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What is known of a run while it goes on."""

    limits: Limits
    stdout: Picture
    stderr: Picture
    frames: Frames = field(default_factory=Frames)
    is_up: bool = False
    is_over: bool = False
    """Nothing more will come."""
    ending: Kind | None = None
    """Why the host ended it, if it did."""
    note: str = ""
    report: dict[str, object] = field(default_factory=dict)
    was_oom_killed: bool = False
    started: float = field(default_factory=time.monotonic)

    def take(self, chunk: bytes) -> None:
        """Read what came; nothing is the end of the stream."""
        if not chunk:
            self.is_over = True
        for tag, content in self.frames.feed(chunk):
            if tag == b"h":
                self.is_up, self.started = True, time.monotonic()
            elif tag == b"r":
                self.report, self.is_over = json.loads(content), True
            else:
                picture = self.stdout if tag == b"o" else self.stderr
                picture.add(chunk=content)
                self.is_over = self.is_over or picture.is_over


async def call(site: Site, action: Callable[..., T], *args: object) -> T:
    """Ask the daemon in a thread; never left alone, so that cancelling leaves nothing half made."""
    return await anyio.to_thread.run_sync(partial(action, *args), limiter=site.limiter)


async def run_one(site: Site, name: str, spec: Spec) -> Result:
    """Carry out one run. Raises nothing but cancellation, and only when the container is gone."""
    started = time.monotonic()
    level = site.daemon.level
    picture = partial(Picture, limit=spec.limits.output_bytes)
    watch = _Watch(limits=spec.limits, stdout=picture(), stderr=picture())
    try:
        check(spec)
        if spec.socket is not None:
            _open_door(site, spec)
        await _carry_out_and_bury(site, name, spec, watch)
    except (InfraError, UnusableSpecError, WireError, *TROUBLES) as error:
        if not _is_oom_at_start(error):
            return Result(kind="infra", status=None, level=level, wall_s=time.monotonic() - started, note=_words(error))
        watch.was_oom_killed = True
    return _judge(watch, level)


async def _carry_out_and_bury(site: Site, name: str, spec: Spec, watch: _Watch) -> None:
    container = Container(
        name=f"{site.folder.name}-{name}",
        api=await call(site, site.daemon.line),
        harness=site.folder / "runs" / name / "harness",
    )
    try:
        await _carry_out(site, container, spec, watch)
    finally:
        try:
            await _bury(site, container, watch)
        finally:
            container.api.close()


def _words(error: BaseException) -> str:
    explanation = getattr(error, "explanation", None)
    return f"docker: {explanation}" if explanation else str(error) or type(error).__name__


def _is_oom_at_start(error: BaseException) -> bool:
    """The daemon's words when the limit is too small for even the first process."""
    return isinstance(error, docker.errors.APIError) and "oom-killed" in _words(error).lower()


def _open_door(site: Site, spec: Spec) -> None:
    """Let the run's user connect to the gateway's socket."""
    assert spec.socket is not None
    try:
        if not stat.S_ISSOCK(spec.socket.stat().st_mode):
            raise InfraError(f"gateway socket {spec.socket} is no socket")
        if os.geteuid() == 0 and not site.daemon.is_rootless:
            os.chown(spec.socket, inner_user(site.daemon), -1)
            spec.socket.chmod(0o700)
    except OSError as error:
        raise InfraError(f"gateway socket {spec.socket} cannot be opened to the run: {error}") from error


async def _carry_out(site: Site, container: Container, spec: Spec, watch: _Watch) -> None:
    api = container.api
    await call(site, write_harness, container, spec)
    await call(site, create, site, container, spec)
    streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
    attached = await call(site, partial(api.attach_socket, container.name, params=streams))
    line = _raw_socket(attached)
    try:
        line.setblocking(False)
        with anyio.move_on_after(_START_TIMEOUT_S):
            await call(site, api.start, container.name)
            await _send(line, encode_order(spec, prefix=site.image.prefix))
            while not watch.is_up and not watch.is_over:
                await _receive(line, watch)
        if not watch.is_up and not watch.is_over:
            raise InfraError(f"the container did not start the run within {_START_TIMEOUT_S:.0f} s")
        with anyio.move_on_after(spec.limits.wall_s) as wall:
            while not watch.is_over:
                await _receive(line, watch)
        if wall.cancelled_caught:
            watch.ending, watch.note = "timeout", f"wall clock of {spec.limits.wall_s:g} s"
    finally:
        with anyio.CancelScope(shield=True):
            await call(site, _hang_up, attached, line)


def _raw_socket(attached: Any) -> socket.socket:
    line = attached if isinstance(attached, socket.socket) else attached._sock  # noqa: SLF001 - the SDK has no other way
    assert isinstance(line, socket.socket)
    return line


def _hang_up(attached: Any, line: socket.socket) -> None:
    """Close the connection and the response that holds it; to the run this is the end of the line."""
    response = getattr(attached, "_response", None)
    if response is not None:
        response.close()
    line.close()


async def _send(line: socket.socket, content: bytes) -> None:
    view = memoryview(content)
    while view:
        try:
            view = view[line.send(view) :]
        except BlockingIOError:
            await anyio.wait_writable(line)
        except (BrokenPipeError, ConnectionResetError):
            return  # it has ended already; what it said tells why


async def _receive(line: socket.socket, watch: _Watch) -> None:
    await anyio.wait_readable(line)
    try:
        watch.take(line.recv(_CHUNK))
    except BlockingIOError:
        return
    except ConnectionResetError:
        watch.take(b"")


async def _bury(site: Site, container: Container, watch: _Watch) -> None:
    """Make sure that everything is dead, whatever happened, before anyone is told."""
    with anyio.CancelScope(shield=True):
        try:
            if watch.is_over and not watch.report:
                watch.was_oom_killed = await call(site, _died_of_memory, container, watch)
        finally:
            await call(site, remove, container.api, container.name)
            await call(site, remove_harness, container)


def _died_of_memory(container: Container, watch: _Watch) -> bool:
    """Ask the daemon, once the container has ended; only the daemon knows why process 1 died."""
    if watch.stdout.is_over or watch.stderr.is_over:
        return False
    api = container.api
    with contextlib.suppress(docker.errors.NotFound):
        api.wait(container.name, timeout=_DEATH_TIMEOUT_S)
        return bool(api.inspect_container(container.name)["State"].get("OOMKilled"))
    return False


def _judge(watch: _Watch, level: str) -> Result:
    kind, status, note = _ending(watch)
    cpu_s, peak = watch.report.get("cpu_s"), watch.report.get("peak_memory_bytes")
    return Result(
        kind=kind,
        status=status,
        level=level,
        stdout=watch.stdout.output(),
        stderr=watch.stderr.output(),
        peak_memory_bytes=peak if isinstance(peak, int) else None,
        cpu_s=float(cpu_s) if isinstance(cpu_s, float | int) else 0.0,
        wall_s=time.monotonic() - watch.started,
        note=note,
    )


def _ending(watch: _Watch) -> tuple[Kind, int | None, str]:
    if watch.stdout.is_over or watch.stderr.is_over:
        return "output_limit", None, f"more than {watch.limits.output_bytes} bytes on one stream"
    if watch.ending is not None:
        return watch.ending, None, watch.note
    if watch.report.get("ending"):
        limits = {"cpu": f"CPU limit of {watch.limits.cpu_s:g} s", "wall": f"wall clock of {watch.limits.wall_s:g} s"}
        return "timeout", None, limits[str(watch.report["ending"])]
    raw = watch.report.get("status")
    if isinstance(raw, int):
        return _by_status(raw, bool(watch.report.get("n_oom_kills")), watch.limits)
    if watch.was_oom_killed:
        return "oom", None, "the whole run was killed for memory"
    said = watch.frames.complaint.decode("utf-8", "replace").strip()
    return "infra", None, str(watch.report.get("error", f"the container ended without a report. {said}".strip()))


def _by_status(raw: int, was_oom: bool, limits: Limits) -> tuple[Kind, int | None, str]:  # noqa: FBT001 - one caller
    note = "a child process was killed for memory" if was_oom else ""
    if os.WIFEXITED(raw):
        return ("ok" if os.WEXITSTATUS(raw) == 0 else "nonzero"), raw, note
    if os.WTERMSIG(raw) == signal.SIGKILL and was_oom:
        return "oom", raw, f"memory limit of {limits.memory_bytes} bytes"
    if os.WTERMSIG(raw) == signal.SIGXCPU:
        return "timeout", raw, f"CPU limit of {limits.cpu_s:g} s"
    return "signal", raw, note
