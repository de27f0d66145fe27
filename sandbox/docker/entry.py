# ruff: noqa: PTH123 - single system calls, in the order they must have
"""Process 1 of a run's container: takes the order, starts the agent, passes its output on, says how it ended.

The container's stdin is a line to the host: it brings the order, and its end means that the host is gone and the
run is over. The container's stdout carries frames that only this process can write: the agent has pipes to here,
and nobody inside can look into this process, signal it or trace it. So the raw exit status is believed.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from sandbox.docker.account import Account, account
from sandbox.docker.shim import FRAME, OVER, Heard, Shim
from sandbox.guest import door, kernel, relay, run_agent
from sandbox.guest.layout import DOOR, HARNESS
from sandbox.guest.seccomp import build_filter

_LENGTH_BYTES = 8
_CHUNK = 65536
_SETUP_FAILED = 70
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
_SPARE_S = 10.0
"""How much later than the host this process ends the run by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run, as the host wrote it."""

    command: tuple[str, ...] | None
    env: dict[str, str]
    has_door: bool
    is_relayed: bool
    """Whether the door is a socket of this process's own, which speaks to the host over the container's streams."""
    cpu_s: int
    wall_s: float
    scratch_bytes: int
    stdin: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """How the agent comes about."""

    uid: int | None = None
    """Whom it becomes; None when this process itself is already unprivileged."""
    caps: frozenset[int] = frozenset()
    """What it must give up for good."""
    fork: Callable[[], int] = os.fork
    is_warm: bool = False
    """Whether the door's patches are already in place."""


@dataclass(slots=True, kw_only=True)
class _Run:
    """What is known while the agent runs."""

    agent: int
    pipes: dict[int, bytes]
    """Reading end and the tag of its frames."""
    wake: int
    deadline: float
    cpu_limit: float
    poll: select.poll
    shim: Shim | None
    raw: int | None = None
    ending: str = ""


def main() -> None:
    """Carry out one order; never returns."""
    become_init()
    carry_out(Maker())
    os._exit(0)


def carry_out(maker: Maker) -> None:
    """Read one order, carry it out, report; when another may follow, hear the host out."""
    heard = Heard()
    try:
        report = _supervise(_read_order(), maker, heard)
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        report = {"error": f"{type(error).__name__}: {error}"}
    say(b"r", json.dumps(report).encode())
    if "error" in report:
        os._exit(1)  # how much of the order has been read is not known
    while maker.is_warm and all(tag != OVER for tag, _ in heard.feed(_read_some())):
        pass


def become_init() -> None:
    """Be out of reach of everybody inside."""
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        # A process 1 without handlers cannot be signalled from inside its namespace.
        signal.signal(number, signal.SIG_DFL)
    kernel.set_dumpable(dumpable=False)


def say(tag: bytes, content: bytes) -> None:
    """Send one frame to the host; if it cannot be reached, the run is over."""
    view = memoryview(FRAME.pack(tag, len(content)) + content)
    try:
        while view:
            view = view[os.write(1, view) :]
    except OSError:
        os._exit(1)


def _read_exactly(size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        chunk = os.read(0, min(_CHUNK, size - len(parts)))
        if not chunk:
            os._exit(1)
        parts += chunk
    return bytes(parts)


def _read_some() -> bytes:
    chunk = os.read(0, _CHUNK)
    return chunk or os._exit(1)


def _read_order() -> Order:
    header = json.loads(_read_exactly(int.from_bytes(_read_exactly(_LENGTH_BYTES), "big")))
    stdin = _read_exactly(header.pop("n_stdin"))
    command = header.pop("command")
    return Order(command=None if command is None else tuple(command), stdin=stdin, **header)


def _supervise(order: Order, maker: Maker, heard: Heard) -> dict[str, object]:
    """Start the agent, wait for it alone, end everything else, and say what the kernel said."""
    start_clock(order.wall_s + _SPARE_S)
    poll = select.poll()
    shim = Shim(DOOR, poll, say, heard) if order.is_relayed else None
    if order.command is None:
        if not maker.is_warm:
            door.install()
    elif order.has_door:
        _start_relay(maker)
    modules = run_agent.own_modules()
    before = account()
    wake, told_wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(told_wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    say(b"h", b"")
    agent, pipes, ready = _start_agent(order, modules, maker)
    deadline = time.monotonic() + order.wall_s + _SPARE_S / 2
    run = _Run(
        agent=agent,
        pipes=pipes,
        wake=wake,
        deadline=deadline,
        cpu_limit=before.cpu_s + order.cpu_s,
        poll=poll,
        shim=shim,
    )
    _watch(run)
    _end_the_rest(run)
    trouble = os.read(ready, _CHUNK)
    if trouble:
        return {"error": trouble.decode("utf-8", "replace")}
    after = account()
    return {
        "status": run.raw,
        "ending": run.ending,
        "cpu_s": after.cpu_s - before.cpu_s,
        "peak_memory_bytes": _own_peak(before, after, maker),
        "n_oom_kills": after.n_oom_kills - before.n_oom_kills,
    }


def _own_peak(before: Account, after: Account, maker: Maker) -> int | None:
    """The container's peak is this run's, unless an earlier run went as high."""
    if maker.is_warm and before.peak_memory_bytes == after.peak_memory_bytes:
        return None
    return after.peak_memory_bytes


def start_clock(seconds: float) -> None:
    """End this process, and with it the container, at the latest then, even while it waits to be read."""
    deadline = time.monotonic() + seconds

    def on_alarm(*_: object) -> None:
        if time.monotonic() >= deadline:  # anyone inside can send the signal, but not make it late
            os._exit(1)

    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)


def _start_relay(maker: Maker) -> None:
    listener = relay.listen()
    if os.fork() == 0:
        try:
            os.dup2(listener.detach(), 3)
            os.dup2(os.open("/dev/null", os.O_RDWR), 0)
            os.dup2(0, 1)
            os.closerange(4, 1 << 16)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            _become(maker)
            kernel.Filter(build_filter(kernel.MACHINE, inet=True)).install()
            relay.serve(socket.socket(fileno=3), DOOR)
        finally:
            os._exit(1)
    listener.close()


def _start_agent(order: Order, modules: tuple[str, ...], maker: Maker) -> tuple[int, dict[int, bytes], int]:
    """The agent's number, its output pipes with their tags, and where its trouble in starting is told."""
    stdin = os.memfd_create("stdin", os.MFD_CLOEXEC)
    view = memoryview(order.stdin)
    while view:
        view = view[os.write(stdin, view) :]
    os.lseek(stdin, 0, os.SEEK_SET)
    out, out_end = os.pipe2(os.O_CLOEXEC)
    err, err_end = os.pipe2(os.O_CLOEXEC)
    ready, told = os.pipe2(os.O_CLOEXEC)
    if maker.uid is not None:
        for fd in (stdin, out, err):  # or /dev/stdout could not be opened by its name
            os.fchown(fd, maker.uid, maker.uid)
    agent = maker.fork()
    if agent == 0:
        _agent(order, maker, (modules, (stdin, out_end, err_end), told))
    for fd in (stdin, out_end, err_end, told):
        os.close(fd)
    for fd in (out, err):
        os.set_blocking(fd, False)
    return agent, {out: b"o", err: b"e"}, ready


def _watch(run: _Run) -> None:
    """Pass output on until the agent, and only the agent, has ended or must be ended."""
    for fd in (0, run.wake, *run.pipes):
        run.poll.register(fd, select.POLLIN)
    next_check = 0.0
    while run.raw is None and not run.ending:
        for fd, _ in run.poll.poll(1000):
            if _attend(run, fd) == 0:
                run.poll.unregister(fd)
        now = time.monotonic()
        if now >= run.deadline:
            run.ending = "wall"
        elif now >= next_check:
            # The kernel limits CPU seconds per process; the whole run's are counted by its group.
            next_check = now + 1.0
            run.ending = "cpu" if account().cpu_s > run.cpu_limit else ""


def _attend(run: _Run, fd: int) -> int:
    """Deal with one descriptor; 0 when it has nothing more to give."""
    if fd == 0:
        chunk = os.read(0, _CHUNK)
        if not chunk or run.shim is None:
            os._exit(1)  # without a relay the host says nothing after the order: this is the end of the line
        run.shim.hear(chunk)
    elif fd == run.wake:
        os.read(run.wake, _CHUNK)
        _reap(run)
    elif fd in run.pipes:
        return _pass_on(run, fd)
    elif run.shim is not None:
        run.shim.attend(fd)
    return -1


def _pass_on(run: _Run, fd: int) -> int:
    """Bytes passed on; 0 at the end of the stream, -1 when there is nothing now."""
    try:
        chunk = os.read(fd, _CHUNK)
    except BlockingIOError:
        return -1
    if chunk:
        say(run.pipes[fd], chunk)
    return len(chunk)


def _reap(run: _Run) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, raw = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if pid == run.agent:
                run.raw = raw


def _end_the_rest(run: _Run) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    for fd in run.pipes:
        while _pass_on(run, fd) > 0:
            pass


def _become(maker: Maker) -> None:
    """Be nobody in particular, for good."""
    if maker.uid is not None:
        kernel.drop_bounding_of(maker.caps)
        os.setgroups([])
        os.setresgid(maker.uid, maker.uid, maker.uid)
        os.setresuid(maker.uid, maker.uid, maker.uid)
        kernel.set_capabilities(frozenset())


def _agent(order: Order, maker: Maker, rest: tuple[tuple[str, ...], tuple[int, int, int], int]) -> NoReturn:
    """Become the agent: nothing of the host's or the init's is left in reach when its code starts."""
    modules, streams, told = rest
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        os.setpgid(0, 0)
        for place, fd in enumerate(streams):
            os.dup2(fd, place)
        os.dup2(told, 3)
        os.set_inheritable(3, False)
        os.closerange(4, 1 << 16)
        _become(maker)
        kernel.set_dumpable(dumpable=True)
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as knob:
            knob.write("1000")
        _limit(order)
        kernel.no_new_privileges()
        kernel.Filter(build_filter(kernel.MACHINE, inet=order.command is not None)).install()
    except OSError as error:
        os.write(told, str(error).encode())
        os._exit(_SETUP_FAILED)
    if order.command is None:
        os.close(3)
        sys.path[:] = [HARNESS, *(entry for entry in sys.path if entry)]
        run_agent.run_forked(dict(os.environ), order.env, modules)
    _exec(order.command, order.env)


def _limit(order: Order) -> None:
    limits = (
        (resource.RLIMIT_CPU, order.cpu_s, order.cpu_s + 1),
        (resource.RLIMIT_FSIZE, order.scratch_bytes, order.scratch_bytes),
        (resource.RLIMIT_NOFILE, 1024, 1024),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 65536, 65536),
    )
    for which, soft, hard in limits:
        _, ceiling = resource.getrlimit(which)
        top = ceiling if ceiling != resource.RLIM_INFINITY else hard
        resource.setrlimit(which, (min(soft, top), min(hard, top)))


def _exec(command: tuple[str, ...], env: dict[str, str]) -> NoReturn:
    try:
        os.execvpe(command[0], list(command), env)  # noqa: S606 - the very purpose
    except FileNotFoundError:
        message, code = f"{command[0]} is not inside the sandbox (PATH={env['PATH']}, folder {HARNESS})", _NOT_FOUND
    except OSError as error:
        message, code = f"{command[0]} cannot be run: {error.strerror}", _NOT_EXECUTABLE
    except ValueError as error:
        message, code = f"{command[0]} cannot be run: {error}", _NOT_EXECUTABLE
    os.write(2, f"hone: {message}\n".encode())
    os._exit(code)


def guarded() -> NoReturn:
    """The entry point: a forked child never returns into the code above it."""
    try:
        main()
    except BaseException:  # noqa: BLE001 - the edge of a process
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(1)
