"""One run as the host sees it: hand over, attach, watch, end, account.

The host believes the kernel and, about the exit status, the run's trusted init. It waits for processes, never for
the end of a stream, and ends the whole process namespace by killing the init through its pidfd.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from sandbox.contract import Kind, Limits, Result, Spec
from sandbox.native.capture import Capture
from sandbox.native.cgroup import Groups, RunGroup, Usage
from sandbox.native.payload import PerProcess, UnusableSpecError, check, encode, memory_file
from sandbox.native.warm_server import owner_of_doors

_START_TIMEOUT_S = 60.0
"""From handing over to the first word of the run's init; long, because a busy machine is no fault of the run."""
_DEATH_TIMEOUT_S = 30.0
_CPU_CHECK_S = 1.0
_CREDENTIALS = struct.Struct("iII")
_UNLIMITED_MEMORY_MARGIN = 256 * 2**20
"""What the warm server's own pages count against a limit per process."""


class Starter(Protocol):
    """What begins a run once it has the run's descriptors: a warm server, or a launcher for this run alone."""

    async def send(self, fds: tuple[int, ...]) -> None:
        """Hand over: status socket, payload, stdin, stdout, stderr. Raises OSError."""
        ...


class InfraError(Exception):
    """The run could not be carried out, and that is our fault and not the harness's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What runs of one sandbox share."""

    level: str
    prefix: str
    doors: Path
    groups: Groups | None


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What is known of a run while it goes on."""

    status: socket.socket
    stdout: Capture
    stderr: Capture
    limits: Limits
    pidfd: int | None = None
    group: RunGroup | None = None
    usage: Usage | None = None
    ending: Kind | None = None
    """Why the host ended it, if it did."""
    report: dict[str, object] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    note: str = ""

    def end(self, kind: Kind, note: str = "") -> None:
        """Kill the run's init, and with it the whole tree; the first reason counts."""
        if self.ending is None:
            self.ending, self.note = kind, note
        self.kill()

    def kill(self) -> None:
        """End every process of the run; does nothing once they are gone."""
        if self.pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


async def run_one(server: Starter, site: Site, name: str, spec: Spec) -> Result:
    """Carry out one run. Raises nothing but cancellation, and only when the whole tree is gone."""
    started = time.monotonic()
    try:
        check(spec)
        with ExitStack() as stack:
            watch = await _hand_over(server, site, name, spec, stack)
            try:
                await _attach(watch, site, name)
                await _observe(watch)
            finally:
                await _bury(watch)
            return _judge(watch, site.level)
    except (InfraError, UnusableSpecError, OSError) as error:
        wall_s = time.monotonic() - started
        return Result(kind="infra", status=None, level=site.level, wall_s=wall_s, note=str(error))


async def _hand_over(server: Starter, site: Site, name: str, spec: Spec, stack: ExitStack) -> _Watch:
    door = stack.enter_context(_door(site, name, spec.socket))
    status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stack.callback(status.close)
    status.setblocking(False)
    status.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    with ExitStack() as theirs_now:
        theirs_now.callback(theirs.close)
        captures = [Capture(spec.limits.output_bytes) for _ in range(2)]
        for capture in captures:
            stack.callback(capture.close)
            theirs_now.callback(os.close, capture.write_end)
        per_process = _per_process(site, spec.limits)
        payload = encode(spec, prefix=site.prefix, door=door, per_process=per_process)
        theirs_now.callback(os.close, payload)
        stdin = memory_file([spec.stdin])
        theirs_now.callback(os.close, stdin)
        await server.send((theirs.fileno(), payload, stdin, *(capture.write_end for capture in captures)))
    return _Watch(status=status, stdout=captures[0], stderr=captures[1], limits=spec.limits)


def _per_process(site: Site, limits: Limits) -> PerProcess:
    if site.groups is not None:
        return PerProcess()
    return PerProcess(data_bytes=limits.memory_bytes + _UNLIMITED_MEMORY_MARGIN, n_processes=limits.pids * 4)


@contextmanager
def _door(site: Site, name: str, gateway: Path | None) -> Iterator[str | None]:
    """Make the gateway's socket reachable for the server under a name of this run, by a second link to it."""
    if gateway is None:
        yield None
        return
    link = site.doors / name
    try:
        os.link(gateway, link)
        owner = owner_of_doors()
        if owner is not None:
            os.chown(link, owner, -1)
            link.chmod(0o700)
    except OSError as error:
        hint = " (it must be on the same file system)" if error.errno == errno.EXDEV else ""
        raise InfraError(f"gateway socket {gateway} cannot be linked into {site.doors}{hint}: {error}") from error
    try:
        yield name
    finally:
        link.unlink(missing_ok=True)


async def _attach(watch: _Watch, site: Site, name: str) -> None:
    """Learn the init's host pid from the kernel, put it under its limits, let it go.

    Changing control groups waits for the kernel, a millisecond at a time, so a worker thread does it: the event loop
    has other runs to watch, and the group is made while the server forks.
    """
    if site.groups is not None:
        watch.group = await anyio.to_thread.run_sync(site.groups.create, name, watch.limits)
    with anyio.move_on_after(_START_TIMEOUT_S):
        await anyio.wait_readable(watch.status)
    try:
        message, ancillary, _, _ = watch.status.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
    except BlockingIOError as error:
        raise InfraError(f"the run did not start within {_START_TIMEOUT_S:.0f} s") from error
    if message != b"hello":
        raise InfraError(f"the run did not start: {_words(message)}")
    pid = next(_CREDENTIALS.unpack(raw[: _CREDENTIALS.size])[0] for _, _, raw in ancillary)
    watch.pidfd = os.pidfd_open(pid)
    if watch.group is not None:
        await anyio.to_thread.run_sync(watch.group.attach, pid)
    watch.started = time.monotonic()
    watch.status.send(b"go")


def _words(message: bytes) -> str:
    return message.decode("utf-8", "replace") or "its launcher or server ended"


async def _observe(watch: _Watch) -> None:
    """Follow both streams until the init reports or dies, or a limit is reached."""
    async with anyio.create_task_group() as followers:
        followers.start_soon(watch.stdout.follow, lambda: watch.end("output_limit"))
        followers.start_soon(watch.stderr.follow, lambda: watch.end("output_limit"))
        with anyio.move_on_after(watch.limits.wall_s) as wall:
            await _report(watch)
        if wall.cancelled_caught:
            watch.end("timeout", f"wall clock of {watch.limits.wall_s:g} s")
        followers.cancel_scope.cancel()


async def _report(watch: _Watch) -> None:
    while True:
        with anyio.move_on_after(_CPU_CHECK_S) as patience:
            await anyio.wait_readable(watch.status)
        if not patience.cancelled_caught:
            break
        _check_cpu(watch)
    with contextlib.suppress(ConnectionResetError):
        message = watch.status.recv(65536)
        watch.report = json.loads(message) if message else {}


def _check_cpu(watch: _Watch) -> None:
    """The kernel limits CPU seconds per process; the whole run's are counted by its group."""
    with contextlib.suppress(OSError):  # an account that cannot be read now is read at the end
        if watch.group is not None and watch.group.cpu_s() > watch.limits.cpu_s:
            watch.end("timeout", f"CPU limit of {watch.limits.cpu_s:g} s")


async def _bury(watch: _Watch) -> None:
    """Make sure that everything is dead and the account is closed, whatever happened, before anyone is told."""
    with anyio.CancelScope(shield=True):
        if watch.pidfd is not None:
            await _await_death(watch, watch.pidfd)
        watch.stdout.drain()
        watch.stderr.drain()
        if watch.group is not None:
            watch.usage = await anyio.to_thread.run_sync(_close_account, watch.group)


async def _await_death(watch: _Watch, pidfd: int) -> None:
    if not watch.report:
        watch.kill()
    try:
        with anyio.move_on_after(_DEATH_TIMEOUT_S) as patience:
            await anyio.wait_readable(pidfd)
        if patience.cancelled_caught:
            watch.end("infra", "the run's processes do not die")
    finally:
        os.close(pidfd)
        watch.pidfd = None


def _close_account(group: RunGroup) -> Usage:
    try:
        return group.usage()
    finally:
        group.remove()


def _judge(watch: _Watch, level: str) -> Result:
    """Name the ending and close the account."""
    wall_s = time.monotonic() - watch.started
    usage = watch.usage
    kind, status, note = _ending(watch, usage)
    reported = watch.report.get("cpu_s")
    return Result(
        kind=kind,
        status=status,
        level=level,
        stdout=watch.stdout.output(),
        stderr=watch.stderr.output(),
        peak_memory_bytes=usage.peak_memory_bytes if usage is not None else None,
        cpu_s=usage.cpu_s if usage is not None else float(reported) if isinstance(reported, float) else 0.0,
        wall_s=wall_s,
        note=note,
    )


def _ending(watch: _Watch, usage: Usage | None) -> tuple[Kind, int | None, str]:
    n_oom = usage.n_oom_kills if usage is not None else 0
    if watch.stdout.is_over or watch.stderr.is_over:
        return "output_limit", None, f"more than {watch.limits.output_bytes} bytes on one stream"
    if watch.ending is not None:
        return watch.ending, None, watch.note
    raw = watch.report.get("status")
    if not isinstance(raw, int):
        if n_oom:
            return "oom", None, "the whole run was killed for memory"
        return "infra", None, str(watch.report.get("error", "the run's init died without a report"))
    return _by_status(raw, n_oom, watch.limits)


def _by_status(raw: int, n_oom: int, limits: Limits) -> tuple[Kind, int | None, str]:
    note = "a child process was killed for memory" if n_oom else ""
    if os.WIFEXITED(raw):
        return ("ok" if os.WEXITSTATUS(raw) == 0 else "nonzero"), raw, note
    if os.WTERMSIG(raw) == signal.SIGKILL and n_oom:
        return "oom", raw, f"memory limit of {limits.memory_bytes} bytes"
    if os.WTERMSIG(raw) == signal.SIGXCPU:
        return "timeout", raw, f"CPU limit of {limits.cpu_s:g} s"
    return "signal", raw, note
