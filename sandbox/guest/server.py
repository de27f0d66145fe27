"""The warm server: imports and exercises the SDKs once, then forks one contained child per run.

It is process 1 of the sandbox, reachable only through the socket it inherited. A request is one message, the
room that the run gets, with three descriptors: status socket, stdout, stderr. What is to be run comes later, over the
status socket. The control socket's end is the server's end.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import threading

from sandbox.guest import kernel, warm
from sandbox.guest.cell import Room, Streams, Warm, guarded, run_cell
from sandbox.guest.layout import BASE_ENV, CONTROL_FD, HARNESS
from sandbox.guest.run_agent import own_modules
from sandbox.guest.seccomp import build_filter

_N_DESCRIPTORS = 3
_MAX_REQUEST = 4096


def main() -> None:
    """Warm up, say so, serve until the host goes away."""
    control = socket.socket(fileno=CONTROL_FD)
    warmed = warm.warm_up()
    ready = Warm(
        filter=kernel.Filter(build_filter(kernel.MACHINE, inet=False)),
        tcp_filter=kernel.Filter(build_filter(kernel.MACHINE, inet=True)),
        modules=own_modules(),
        env=_run_env(),
        fork=kernel.fork if threading.active_count() == 1 else os.fork,
    )
    sys.path[:] = [HARNESS, *(entry for entry in sys.path if entry)]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    gc.collect()
    gc.freeze()
    warm.fill_gaps()
    kernel.gather_memory()
    control.send(json.dumps({"warmed": warmed}).encode())
    _serve(control, ready)


def _run_env() -> dict[str, str]:
    """Make the server's variables those of a run, so that a run only changes its own few."""
    path = os.environ["PATH"]
    os.environ.clear()
    os.environ.update({"PATH": path, **BASE_ENV})
    return dict(os.environ)


def _serve(control: socket.socket, ready: Warm) -> None:
    own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    child_ended, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(child_ended, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == child_ended:
                os.read(child_ended, 4096)
                _reap()
            else:
                received = _receive(control)
                if received is None:
                    return
                _start(*received, own_pids, ready)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _receive(control: socket.socket) -> tuple[Room, Streams] | None:
    message, fds, _, _ = socket.recv_fds(control, _MAX_REQUEST, _N_DESCRIPTORS)
    if not message:
        return None
    status, stdout, stderr = fds
    return Room(**json.loads(message)), Streams(status=status, stdout=stdout, stderr=stderr)


def _start(room: Room, streams: Streams, own_pids: int, ready: Warm) -> None:
    """Fork the run's init into a new process namespace; the server itself stays in its own."""
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
        child = ready.fork()
    except OSError as error:
        os.write(streams.status, json.dumps({"error": f"the warm server cannot fork: {error}"}).encode())
        child = -1
    if child == 0:
        guarded(lambda: run_cell(room, streams, ready))
    kernel.setns(own_pids, kernel.CLONE_NEWPID)
    for fd in (streams.status, streams.stdout, streams.stderr):
        os.close(fd)
