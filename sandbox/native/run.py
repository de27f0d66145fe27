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
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from sandbox.contract import Kind, Limits, Result, Spec
from sandbox.native.cgroup import Usage
from sandbox.native.payload import UnusableSpecError, check, encode, memory_file
from sandbox.native.room import InfraError, Room, Site, open_room
from sandbox.native.warm_server import WarmServer, owner_of_doors

_DEATH_TIMEOUT_S = 30.0
_CPU_CHECK_S = 1.0


class Spares(Protocol):
    """Where a room that was made ahead may be had."""

    def take(self, server: WarmServer, limits: Limits) -> Room | None:
        """One with these limits, for good; None if there is none."""
        ...


@dataclass(slots=True, kw_only=True)
class _Watch:
    """What is known of a run while it goes on."""

    room: Room
    limits: Limits
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
        self.room.kill()


async def run_one(server: WarmServer, site: Site, name: str, spec: Spec, spares: Spares) -> Result:
    """Carry out one run. Raises nothing but cancellation, and only when the whole tree is gone."""
    started = time.monotonic()
    try:
        check(spec)
        with _door(site, name, spec.socket) as door:
            room = spares.take(server, spec.limits)
            if room is None:
                # Not abandoned when cancelled: a room that is made is always closed below.
                room = await anyio.to_thread.run_sync(open_room, server, site, name, spec.limits)
            with contextlib.closing(room):
                watch = _Watch(room=room, limits=spec.limits)
                try:
                    _order(room, spec, prefix=site.prefix, door=door)
                    await _observe(watch)
                finally:
                    await _bury(watch)
            return _judge(watch, site.level)
    except (InfraError, UnusableSpecError, OSError) as error:
        wall_s = time.monotonic() - started
        return Result(kind="infra", status=None, level=site.level, wall_s=wall_s, note=str(error))


def _order(room: Room, spec: Spec, *, prefix: str, door: str | None) -> None:
    with ExitStack() as sent:
        payload = encode(spec, prefix=prefix, door=door)
        sent.callback(os.close, payload)
        stdin = memory_file([spec.stdin])
        sent.callback(os.close, stdin)
        room.order(payload, stdin)


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


async def _observe(watch: _Watch) -> None:
    """Follow both streams until the init reports or dies, or a limit is reached."""
    async with anyio.create_task_group() as followers:
        followers.start_soon(watch.room.stdout.follow, lambda: watch.end("output_limit"))
        followers.start_soon(watch.room.stderr.follow, lambda: watch.end("output_limit"))
        with anyio.move_on_after(watch.limits.wall_s) as wall:
            await _report(watch)
        if wall.cancelled_caught:
            watch.end("timeout", f"wall clock of {watch.limits.wall_s:g} s")
        followers.cancel_scope.cancel()


async def _report(watch: _Watch) -> None:
    while True:
        with anyio.move_on_after(_CPU_CHECK_S) as patience:
            await anyio.wait_readable(watch.room.status)
        if not patience.cancelled_caught:
            break
        _check_cpu(watch)
    with contextlib.suppress(ConnectionResetError):
        message = watch.room.status.recv(65536)
        watch.report = json.loads(message) if message else {}


def _check_cpu(watch: _Watch) -> None:
    """The kernel limits CPU seconds per process; the whole run's are counted by its group."""
    with contextlib.suppress(OSError):  # an account that cannot be read now is read at the end
        if watch.room.group is not None and watch.room.group.cpu_s() > watch.limits.cpu_s:
            watch.end("timeout", f"CPU limit of {watch.limits.cpu_s:g} s")


async def _bury(watch: _Watch) -> None:
    """Make sure that everything is dead and the account is closed, whatever happened, before anyone is told."""
    with anyio.CancelScope(shield=True):
        if not watch.report:
            watch.room.kill()
        with anyio.move_on_after(_DEATH_TIMEOUT_S) as patience:
            await anyio.wait_readable(watch.room.pidfd)
        if patience.cancelled_caught:
            watch.end("infra", "the run's processes do not die")
        watch.room.stdout.drain()
        watch.room.stderr.drain()
        watch.usage = await anyio.to_thread.run_sync(watch.room.close_account)


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
        stdout=watch.room.stdout.output(),
        stderr=watch.room.stderr.output(),
        peak_memory_bytes=usage.peak_memory_bytes if usage is not None else None,
        cpu_s=usage.cpu_s if usage is not None else float(reported) if isinstance(reported, float) else 0.0,
        wall_s=wall_s,
        note=note,
    )


def _ending(watch: _Watch, usage: Usage | None) -> tuple[Kind, int | None, str]:
    n_oom = usage.n_oom_kills if usage is not None else 0
    if watch.room.stdout.is_over or watch.room.stderr.is_over:
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
