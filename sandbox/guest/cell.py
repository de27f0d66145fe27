# ruff: noqa: S108, S606, PTH103, PTH120 - paths of the sandbox itself, one system call each
"""One contained run, as its trusted init sees it: close every door, start the agent, report how it ended.

All that does not depend on what is run happens before the order comes, so that a run can be made ready ahead. A
room and its processes serve one order and then end.

The init is process 1 of the run's own process namespace. It keeps capabilities in the sandbox's user namespace and
nothing else, cannot be looked into, and is the only one that talks to the host about the run. The agent is its
child, without capabilities and under a seccomp filter; when the init ends, the kernel ends all that is left.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from sandbox.guest import kernel, relay, run_agent
from sandbox.guest.layout import DOOR, DOORS, HARNESS, SERVER_CAPS

_SETUP_FAILED = 70
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_PAGE = 4096
_MIB = 2**20
_LENGTH_BYTES = 8
_N_ORDER_FDS = 2
"""Payload and stdin."""
_signal = importlib.import_module("_signal")
"""The kernel's view of signals, without the enums that `signal` wraps around each call."""
_HANDLED = tuple(int(number) for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ))


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """Descriptors that came with the request."""

    status: int
    stdout: int
    stderr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much a run may use; known before what it runs, so that a room can be ready ahead of its order."""

    cpu_s: int
    data_bytes: int | None
    """Memory limit per process; None where a control group accounts for the whole run."""
    n_processes: int | None
    scratch_bytes: int
    scratch_inodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run, as the host wrote it."""

    files: tuple[tuple[str, bytes], ...]
    command: tuple[str, ...] | None
    env: dict[str, str]
    door: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """What the server has prepared for every run."""

    filter: kernel.Filter
    """Seccomp program that allows unix sockets only."""
    tcp_filter: kernel.Filter
    """The same with TCP, which reaches the private loopback."""
    modules: tuple[str, ...]
    """The server's own modules, which a harness must not meet."""
    env: dict[str, str]
    """The server's variables, which are those of every run."""
    fork: Callable[[], int]
    """The cheapest fork that is safe for this server."""


def read_order(fd: int) -> Order:
    """Parse the request: a length, a JSON header of that length, then the files' bytes."""
    raw = memoryview(os.pread(fd, os.fstat(fd).st_size, 0))
    end = _LENGTH_BYTES + int.from_bytes(raw[:_LENGTH_BYTES], "big")
    header = json.loads(bytes(raw[_LENGTH_BYTES:end]))
    files: list[tuple[str, bytes]] = []
    for path, size in header.pop("files"):
        files.append((path, bytes(raw[end : end + size])))
        end += size
    command = header.pop("command")
    return Order(files=tuple(files), command=None if command is None else tuple(command), **header)


def run_cell(room: Room, streams: Streams, warm: Warm) -> NoReturn:
    """Become the init of a new run; never returns."""
    _become_init()
    status = socket.socket(fileno=streams.status)
    try:
        # The kernel attaches this process's identity: the host learns its pid, puts it in a control group, says go.
        status.send(b"hello")
        if status.recv(16) != b"go":
            os._exit(1)
        kernel.unshare(
            kernel.CLONE_NEWNS
            | kernel.CLONE_NEWNET
            | kernel.CLONE_NEWIPC
            | kernel.CLONE_NEWUTS
            | kernel.CLONE_NEWCGROUP
        )
        _furnish(room)
        report = _supervise(room, status, streams, warm)
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        report = {"error": f"{type(error).__name__}: {error}"}
    status.send(json.dumps(report).encode())
    os._exit(0)


def _become_init() -> None:
    _signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        # A process 1 without handlers cannot be signalled from inside its namespace.
        _signal.signal(number, 0)
    os.setsid()
    kernel.die_with_parent(0)  # the server is outside this process namespace, so its number is 0 here
    kernel.set_dumpable(dumpable=False)


def _furnish(room: Room) -> None:
    """Private writable places of limited size and a fresh /proc; all else is read-only."""
    size = f"size={room.scratch_bytes},nr_inodes={room.scratch_inodes}"
    for place, mode in (("/scratch", "0700"), ("/tmp", "1777"), ("/dev/shm", "1777")):
        kernel.mount("tmpfs", place, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"{size},mode={mode}")
    _mount_proc()


def _let_in(order: Order) -> None:
    """The harness and the door, both read-only, and no way to another run's door."""
    _write_harness(order)
    if order.door is not None:
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("tmpfs", "/run/hone", "tmpfs", flags, "size=4k,nr_inodes=4,mode=0755")
        os.close(os.open(DOOR, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        kernel.mount(f"{DOORS}/{order.door}", DOOR, flags=kernel.MS_BIND)
        kernel.set_attributes("/run/hone", kernel.ATTR_RDONLY)
    kernel.unmount(DOORS)
    if order.command is not None:
        kernel.loopback_up()


def _mount_proc() -> None:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    try:
        kernel.mount("proc", "/proc", "proc", flags)
    except PermissionError:
        # In a container whose own /proc is masked the kernel only grants the part about processes.
        kernel.mount("proc", "/proc", "proc", flags, "subset=pid")


def _write_harness(order: Order) -> None:
    n_pages = sum(len(content) // _PAGE + 1 for _, content in order.files)
    n_names = sum(path.count("/") + 1 for path, _ in order.files)
    room = f"size={n_pages * _PAGE + _MIB},nr_inodes={n_names + 64},mode=0755"
    kernel.mount("tmpfs", HARNESS, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, room)
    for path, content in order.files:
        full = f"{HARNESS}/{path}"
        if "/" in path:
            os.makedirs(os.path.dirname(full), mode=0o755, exist_ok=True)
        fd = os.open(full, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o555)
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.close(fd)
    kernel.set_attributes(HARNESS, kernel.ATTR_RDONLY)


def _supervise(room: Room, status: socket.socket, streams: Streams, warm: Warm) -> dict[str, object]:
    """Have an agent ready, pass it its order, wait for it alone, end everything else, say what the kernel said."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    agent = warm.fork()
    if agent == 0:
        _agent(room, streams, warm, theirs.fileno())
    theirs.close()
    os.close(streams.stdout)
    os.close(streams.stderr)
    trouble = _pass_on(room, status, ours, warm)
    raw = _wait_for(agent)
    _end_the_rest()
    if trouble:
        return {"error": trouble.decode("utf-8", "replace")}
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"status": raw, "cpu_s": used.ru_utime + used.ru_stime}


def _pass_on(room: Room, status: socket.socket, agent: socket.socket, warm: Warm) -> bytes:
    """Wait for the order, make its place, hand it to the agent; returns what kept the agent from starting."""
    _, fds, _, _ = socket.recv_fds(status, 16, _N_ORDER_FDS)
    if len(fds) != _N_ORDER_FDS:
        os._exit(1)  # the host has gone away, or has no use for this run
    order = read_order(fds[0])
    _let_in(order)
    if order.command is not None and order.door is not None:
        _start_relay(room, warm.tcp_filter)
    trouble = b""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may be dead already, for want of memory
        socket.send_fds(agent, [b"order"], fds)
        for fd in fds:
            os.close(fd)
        trouble = agent.recv(_PAGE)
    agent.close()
    return trouble


def _wait_for(agent: int) -> int:
    while True:
        pid, raw = os.wait()
        if pid == agent:
            return raw


def _end_the_rest() -> None:
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.wait()
    except (ProcessLookupError, ChildProcessError):
        return


def _start_relay(room: Room, program: kernel.Filter) -> None:
    listener = relay.listen()
    if os.fork() == 0:
        try:
            os.dup2(listener.detach(), 3)
            os.closerange(4, 1 << 16)
            _drop(room)
            program.install()
            relay.serve(socket.socket(fileno=3), DOOR)
        finally:
            os._exit(1)
    listener.close()


def _agent(room: Room, streams: Streams, warm: Warm, init: int) -> NoReturn:
    """Become the agent: nothing of the host's or the init's is left in reach when its code starts."""
    try:
        os.setpgid(0, 0)
        os.dup2(streams.stdout, 1)
        os.dup2(streams.stderr, 2)
        os.dup2(init, 3)
        os.set_inheritable(3, False)
        os.closerange(4, 1 << 16)
        # Dumpable only gives back /proc/self; the adjustment makes the agent, not its init, pay for memory.
        kernel.set_dumpable(dumpable=True)
        knob = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(knob, b"1000")
        os.close(knob)
        kernel.set_attributes("/proc", kernel.ATTR_RDONLY)
        _drop(room)
        order = _await_order()
        (warm.filter if order.command is None else warm.tcp_filter).install()
    except OSError as error:
        os.write(3, str(error).encode())
        os._exit(_SETUP_FAILED)
    if order.command is None:
        os.close(3)
        run_agent.run_forked(warm.env, order.env, warm.modules)
    _exec(order.command, order.env)


def _await_order() -> Order:
    """What the init passes on over descriptor 3; afterwards stdin is the run's and nothing above 3 is open."""
    init = socket.socket(fileno=3)
    _, fds, _, _ = socket.recv_fds(init, 16, _N_ORDER_FDS)
    init.detach()
    payload, stdin = fds
    os.dup2(stdin, 0)
    order = read_order(payload)
    os.closerange(4, 1 << 16)
    os.chdir(HARNESS)
    return order


def _drop(room: Room) -> None:
    """Limits, then no capabilities and no way to new ones; none of it can be taken back."""
    limits: list[tuple[int, int, int]] = [
        (resource.RLIMIT_CPU, room.cpu_s, room.cpu_s + 1),
        (resource.RLIMIT_FSIZE, room.scratch_bytes, room.scratch_bytes),
        (resource.RLIMIT_NOFILE, 1024, 1024),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 65536, 65536),
    ]
    if room.data_bytes is not None:
        limits.append((resource.RLIMIT_DATA, room.data_bytes, room.data_bytes))
    if room.n_processes is not None:
        limits.append((resource.RLIMIT_NPROC, room.n_processes, room.n_processes))
    for which, soft, hard in limits:
        _, ceiling = resource.getrlimit(which)
        top = ceiling if ceiling != resource.RLIM_INFINITY else hard
        resource.setrlimit(which, (min(soft, top), min(hard, top)))
    kernel.drop_bounding_of(SERVER_CAPS)
    kernel.set_capabilities(frozenset())
    kernel.no_new_privileges()


def _exec(command: tuple[str, ...], env: dict[str, str]) -> NoReturn:
    try:
        os.execvpe(command[0], list(command), env)
    except FileNotFoundError:
        message, code = f"{command[0]} is not inside the sandbox (PATH={env['PATH']}, folder {HARNESS})", _NOT_FOUND
    except OSError as error:
        message, code = f"{command[0]} cannot be run: {error.strerror}", _NOT_EXECUTABLE
    except ValueError as error:
        message, code = f"{command[0]} cannot be run: {error}", _NOT_EXECUTABLE
    os.write(2, f"hone: {message}\n".encode())
    os._exit(code)


def guarded(body: Callable[[], None]) -> NoReturn:
    """Run `body` in a forked child; whatever happens, the child never returns into the server's loop."""
    try:
        body()
    except BaseException:  # noqa: BLE001 - the edge of a process
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(1)
