# ruff: noqa: PTH101, PTH104, PTH106, PTH108, PTH112, PTH114, PTH116, PTH123, PTH208, S108 - single system calls
"""Process 1 of a warm container: imports the SDKs once, then forks a trusted child for one run after the other.

It never reads an order, an output or a conversation itself, so a run's fork holds nothing of an earlier run. After
each run it ends whatever is left and empties every writable place; where it cannot, it says so and the container is
thrown away. Each run has a user number of its own, and none of the few capabilities this process keeps.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
import threading
import traceback
from typing import NoReturn

from sandbox.docker.entry import Maker, become_init, carry_out, say, start_clock
from sandbox.guest import kernel, warm
from sandbox.guest.layout import BASE_ENV, DOOR

FIRST_UID = 20000
MOST_RUNS = 1000
"""Runs of one container, each of which takes a user number."""
CAPS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
}
"""What process 1 needs to make a run nobody in particular and to clear up after it."""
_WRITABLE = ("/scratch", "/tmp", "/dev/shm")
_QUEUES = "/dev/mqueue"
_SYSTEM_V = ("/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/sysvipc/sem")


def main() -> None:
    """Warm up, say so, serve until the host goes away or has had enough."""
    become_init()
    os.environ.update(BASE_ENV)
    warmed = warm.warm_up()
    start_clock(float(sys.argv[1]))
    fork = kernel.fork if threading.active_count() == 1 else os.fork
    gc.collect()
    gc.freeze()
    _tell_state(warmed)
    for number in range(MOST_RUNS):
        _await_order()
        _one_run(Maker(uid=FIRST_UID + number, caps=frozenset(CAPS.values()), fork=fork, is_warm=True))
        _tell_state(warmed)


def _tell_state(warmed: list[str]) -> None:
    trouble = clean()
    say(b"k", json.dumps({"is_clean": not trouble, "trouble": trouble, "warmed": warmed}).encode())


def _await_order() -> None:
    """Wait for the host to say something, or to go; the child finds out which."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while not poll.poll():
        pass


def _one_run(maker: Maker) -> None:
    child = maker.fork()
    if child == 0:
        try:
            become_init()
            carry_out(maker)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the edge of a process
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(1)
    while True:
        pid, raw = os.wait()
        if pid == child:
            break
    if raw != 0:
        os._exit(1)  # killed, or at odds with the host: this container is of no more use


def clean() -> str:
    """End every process but this one and empty every writable place; what is left all the same, or nothing."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(DOOR)
    try:
        for place in (*_WRITABLE, _QUEUES):
            empty(place)
        if _has_neighbours():
            return "processes are left"
        return "shared memory, semaphores or queues are left" if _has_objects() else ""
    except OSError as error:
        return f"what is left cannot be seen or removed: {error}"


def empty(place: str) -> None:
    """Remove everything below, however deep it lies: what is in a folder is first moved up. Raises OSError."""
    n_moved = 0
    while names := os.listdir(place):
        for name in names:
            path = f"{place}/{name}"
            if os.path.islink(path) or not os.path.isdir(path):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            for inner in os.listdir(path):
                n_moved += 1
                os.rename(f"{path}/{inner}", f"{place}/.{n_moved}-{os.urandom(8).hex()}")
            os.rmdir(path)
    if os.stat(place).st_uid == os.geteuid():
        os.utime(place, (0, 0))


def _has_neighbours() -> bool:
    return any(name.isdigit() and int(name) != os.getpid() for name in os.listdir("/proc"))


def _has_objects() -> bool:
    """Whether a run has left shared memory, semaphores or queues of the old kind, which outlive their makers."""
    for path in _SYSTEM_V:
        with open(path, encoding="ascii") as listing:
            if len(listing.readlines()) > 1:
                return True
    return False


def guarded() -> NoReturn:
    """The entry point."""
    try:
        main()
    except BaseException:  # noqa: BLE001 - the edge of a process
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(1)
