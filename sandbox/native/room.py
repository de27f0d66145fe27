"""A contained process tree that waits for its order: asked of the warm server, put under its limits, let go.

Everything here blocks for some milliseconds, mostly where the kernel changes control groups, so it is called in
worker threads. A room serves one order and then ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sandbox.contract import Limits
from sandbox.native.capture import Capture
from sandbox.native.cgroup import Groups, RunGroup, Usage
from sandbox.native.payload import PerProcess, encode_room
from sandbox.native.warm_server import WarmServer

_START_TIMEOUT_S = 60.0
"""From asking to the first word of the run's init; long, because a busy machine is no fault of the run."""
_DEATH_TIMEOUT_S = 30.0
_CREDENTIALS = struct.Struct("iII")
_UNLIMITED_MEMORY_MARGIN = 256 * 2**20
"""What the warm server's own pages count against a limit per process."""


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
class Room:
    """The host's hold on one."""

    status: socket.socket
    stdout: Capture
    stderr: Capture
    pidfd: int
    group: RunGroup | None

    def order(self, payload: int, stdin: int) -> None:
        """Say what is to run. A room that has died already says so by its end."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self.status, [b"order"], (payload, stdin))

    def kill(self) -> None:
        """End every process in it; does nothing once they are gone."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def is_waiting(self) -> bool:
        """Whether it is alive and has said nothing, as it should before its order."""
        return not _poll((self.pidfd, self.status.fileno()), 0)

    def close_account(self) -> Usage | None:
        """Read what was used and remove the group; all processes are gone. Only the first call does it."""
        group, self.group = self.group, None
        if group is None:
            return None
        try:
            return group.usage()
        finally:
            group.remove()

    def close(self) -> None:
        """Give the descriptors back."""
        _close(self.status, self.stdout, self.stderr)
        os.close(self.pidfd)

    def discard(self) -> None:
        """End one that is not needed, and leave nothing of it."""
        try:
            self.kill()
            _poll((self.pidfd,), _DEATH_TIMEOUT_S)
            self.close_account()
        finally:
            self.close()


def open_room(server: WarmServer, site: Site, name: str, limits: Limits) -> Room:
    """Have one made; `name` is its control group's. Raises InfraError and OSError, and then nothing is left of it."""
    with ExitStack() as on_failure:
        status, stdout, stderr = _ask(server, site, limits)
        on_failure.callback(_close, status, stdout, stderr)
        group = None
        if site.groups is not None:
            group = site.groups.create(name, limits)  # while the server forks
            on_failure.callback(group.remove)
        pid = _pid_of_init(status)
        pidfd = os.pidfd_open(pid)
        room = Room(status=status, stdout=stdout, stderr=stderr, pidfd=pidfd, group=group)
        on_failure.pop_all()
    try:
        if group is not None:
            group.attach(pid)
        status.send(b"go")
    except OSError:
        room.discard()
        raise
    return room


def _close(status: socket.socket, stdout: Capture, stderr: Capture) -> None:
    status.close()
    stdout.close()
    stderr.close()


def _ask(server: WarmServer, site: Site, limits: Limits) -> tuple[socket.socket, Capture, Capture]:
    status, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    status.setblocking(False)
    status.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    stdout, stderr = Capture(limits.output_bytes), Capture(limits.output_bytes)
    try:
        with theirs:
            room = encode_room(limits, _per_process(site, limits))
            server.send(room, (theirs.fileno(), stdout.write_end, stderr.write_end))
    except OSError:
        _close(status, stdout, stderr)
        raise
    finally:
        os.close(stdout.write_end)
        os.close(stderr.write_end)
    return status, stdout, stderr


def _per_process(site: Site, limits: Limits) -> PerProcess:
    if site.groups is not None:
        return PerProcess()
    return PerProcess(data_bytes=limits.memory_bytes + _UNLIMITED_MEMORY_MARGIN, n_processes=limits.pids * 4)


def _pid_of_init(status: socket.socket) -> int:
    """The init's pid on this side, which the kernel attaches to its first word."""
    if not _poll((status.fileno(),), _START_TIMEOUT_S):
        raise InfraError(f"the warm server did not start the run within {_START_TIMEOUT_S:.0f} s")
    message, ancillary, _, _ = status.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
    if message != b"hello":
        raise InfraError(f"the warm server did not start the run: {message.decode('utf-8', 'replace') or 'it ended'}")
    pid: int = next(_CREDENTIALS.unpack(raw[: _CREDENTIALS.size])[0] for _, _, raw in ancillary)
    return pid


def _poll(fds: tuple[int, ...], timeout_s: float) -> bool:
    """Whether one of them becomes readable, or ends, within this time."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
