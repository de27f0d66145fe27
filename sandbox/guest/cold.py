"""The init of one cold run, for machines where a warm server cannot make namespaces of its own.

The launcher has made the namespaces, for this one run; what follows is the very code of a warm run.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import NoReturn

from sandbox.guest import door, kernel
from sandbox.guest.cell import Room, Streams, Warm, guarded, run_cell
from sandbox.guest.layout import BASE_ENV, CONTROL_FD, HARNESS
from sandbox.guest.run_agent import own_modules
from sandbox.guest.seccomp import build_filter


def main(is_built: bool) -> NoReturn:  # noqa: FBT001 - called from one line in the launcher
    """Carry out the run whose descriptors lie from CONTROL_FD on; `is_built`: places are furnished already.

    Its limits are the last argument.
    """
    status, stdout, stderr = range(CONTROL_FD, CONTROL_FD + 3)
    room = Room(**json.loads(sys.argv[-1]))
    door.install()
    env = {"PATH": os.environ["PATH"], **BASE_ENV}
    os.environ.clear()
    os.environ.update(env)
    ready = Warm(
        filter=kernel.Filter(build_filter(kernel.MACHINE, inet=False)),
        tcp_filter=kernel.Filter(build_filter(kernel.MACHINE, inet=True)),
        modules=own_modules(),
        env=env,
        fork=kernel.fork if threading.active_count() == 1 else os.fork,
        walls="built" if is_built else "bare",
    )
    sys.path[:] = [HARNESS, *(entry for entry in sys.path if entry)]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    streams = Streams(status=status, stdout=stdout, stderr=stderr)
    guarded(lambda: run_cell(room, streams, ready))
