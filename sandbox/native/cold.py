"""One launcher for one run: slower than a warm server, and the same walls around the same guest code."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio

from sandbox.contract import Spec
from sandbox.environment import HarnessEnvironment
from sandbox.guest.layout import DOOR, HARNESS
from sandbox.native.bubblewrap import Bubblewrap, find, kit_binds, write_file
from sandbox.native.payload import UnusableSpecError, check
from sandbox.native.plan import plan_view
from sandbox.native.warm_server import Order, Premises, spawn

_END_TIMEOUT_S = 10


class ColdStart:
    """Starts a run when it is handed over, and is gone after it."""

    def __init__(self, premises: Premises, order: Order) -> None:
        self._premises = premises
        self._order = order
        self._process: subprocess.Popen[bytes] | None = None

    def send(self, room: bytes, fds: tuple[int, ...]) -> None:
        """Start the launcher with the run's descriptors: status socket, stdout, stderr. Raises OSError."""
        self._process = spawn(self._premises, replace(self._order, room=room.decode()), fds)

    async def end(self) -> None:
        """Wait until the launcher is gone, which it is soon after its run."""
        if self._process is None:
            return
        pidfd = os.pidfd_open(self._process.pid)
        try:
            with anyio.move_on_after(_END_TIMEOUT_S) as patience:
                await anyio.wait_readable(pidfd)
            if patience.cancelled_caught:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
        self._process.wait()


@asynccontextmanager
async def cold_start(
    environment: HarnessEnvironment, premises: Premises, name: str, spec: Spec, *, with_bwrap: bool
) -> AsyncIterator[ColdStart]:
    """A launcher for one run; on leaving, all of it is gone. Raises OSError or UnusableSpecError."""
    check(spec)
    folder = premises.folder / "cold" / name
    order = Order(plan=plan_view(environment), environment=environment)
    if with_bwrap:
        order = _for_bwrap(order, premises, name, spec)
    start = ColdStart(premises, order)
    try:
        yield start
    finally:
        with anyio.CancelScope(shield=True):
            await start.end()
            shutil.rmtree(folder, ignore_errors=True)


def _for_bwrap(order: Order, premises: Premises, name: str, spec: Spec) -> Order:
    """The harness as files of the host, since nobody inside can mount; and the one door of this run."""
    harness = premises.folder / "cold" / name
    harness.mkdir(parents=True)
    harness.chmod(0o755)
    for path, content in spec.files.items():
        try:
            write_file(harness / path, content, 0o555)
        except (FileExistsError, NotADirectoryError) as error:
            raise UnusableSpecError(f"{path!r} collides with another path of the harness") from error
    binds = (*order.plan.binds, *kit_binds(premises.folder / "kit"), (str(harness), HARNESS))
    if spec.socket is not None:
        binds = (*binds, (str(premises.doors / name), DOOR))
    return replace(
        order,
        plan=replace(order.plan, binds=binds),
        bwrap=Bubblewrap(program=find(), scratch_bytes=spec.limits.scratch_bytes),
    )
