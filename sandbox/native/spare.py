"""One room made ahead of the next run, so that a run does not wait for the kernel to make its walls.

A spare has the limits of the last run, for campaigns seldom change them; a run with other limits has a room made on
demand. It is made by one thread of its own, a little after the last one was taken: then that run has its start
behind it, and the machine has time.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from sandbox.contract import Limits
from sandbox.native.room import InfraError, Room, Site, open_room
from sandbox.native.warm_server import WarmServer

_SETTLE_S = 0.05


class NoSpare:
    """Every room is made on demand."""

    def take(self, server: WarmServer, limits: Limits) -> None:
        """None."""
        del server, limits

    def close(self) -> None:
        """Nothing is there to close."""


class OneSpare:
    """At most one room that waits."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._names = itertools.count()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hone-spare")
        self._closing = threading.Event()
        self._made_for: tuple[WarmServer, Limits] | None = None
        self._making: Future[Room | None] | None = None

    def take(self, server: WarmServer, limits: Limits) -> Room | None:
        """The spare, if it is ready and fits; in any case another one is begun if there is none left."""
        making, fits = self._making, self._made_for == (server, limits)
        if making is None or (making.done() and making.result() is None):
            self._begin(server, limits, None)
            return None
        if not making.done():
            return None
        room = making.result()
        assert room is not None
        if fits and room.is_waiting():
            self._begin(server, limits, None)
            return room
        self._begin(server, limits, room)
        return None

    def close(self) -> None:
        """End the spare; for a worker thread, since it waits for the death."""
        self._closing.set()
        self._thread.shutdown(wait=True)
        room = self._making.result() if self._making is not None else None
        self._making = None
        if room is not None:
            room.discard()

    def _begin(self, server: WarmServer, limits: Limits, unfit: Room | None) -> None:
        self._made_for = (server, limits)
        self._making = self._thread.submit(self._make, server, limits, unfit)

    def _make(self, server: WarmServer, limits: Limits, unfit: Room | None) -> Room | None:
        if unfit is not None:
            with contextlib.suppress(OSError):
                unfit.discard()
        if self._closing.wait(_SETTLE_S) or not server.is_alive:
            return None
        with contextlib.suppress(InfraError, OSError):
            return open_room(server, self._site, f"run-spare{next(self._names)}", limits)
        return None
