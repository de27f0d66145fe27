"""Opens one door per rollout and closes it behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path

import anyio

from optimizer.domain.errors import ConfigError
from optimizer.domain.model import Upstream
from optimizer.domain.recording import CallRecorder
from optimizer.domain.rollout import RolloutJob
from optimizer.domain.task import Environment
from optimizer.gateway.caps import CallAccount, RolloutCaps
from optimizer.gateway.chat_request import ModelRoute
from optimizer.gateway.door import Door
from optimizer.gateway.limits import DoorLimits
from optimizer.gateway.purchase import ModelAccess, OnLost, unheard
from optimizer.gateway.server import Server
from optimizer.gateway.unix import UnixListener

_MAX_SOCKET_PATH_BYTES = 103
"""macOS has 104 with the final zero, Linux 108."""


class Gateway:
    """The way out of all sandboxes of a campaign."""

    def __init__(  # noqa: PLR0913 - the composition root names each part
        self,
        *,
        upstream: Upstream,
        model: ModelRoute,
        calls: CallRecorder,
        folder: Path,
        caps: RolloutCaps,
        account: CallAccount,
        limits: DoorLimits | None = None,
        on_lost: OnLost = unheard,
    ) -> None:
        """Sockets are made in `folder`, which is created when missing; keep its path short.

        `on_lost` is told what each attempt at a call may have cost that was sent and broke off.

        Raises:
            ConfigError: for a USD cap on a model without a known price, and for a folder whose path is too long.
        """
        if model.price is None and caps.max_usd is not None:
            raise ConfigError(
                f"no price is known for model {model.name!r}, so its USD cap of {caps.max_usd:g} cannot be kept."
                " State its price in the settings, or remove the USD limit and limit tokens instead."
            )
        if len(bytes(folder)) + 24 > _MAX_SOCKET_PATH_BYTES:
            raise ConfigError(f"{folder} is too long a path for unix sockets; choose one under 80 bytes.")
        self._access = ModelAccess(upstream=upstream, route=model, calls=calls, account=account, on_lost=on_lost)
        self._folder = folder
        self._caps = caps
        self._limits = limits or DoorLimits()
        self._open_paths: set[Path] = set()

    @asynccontextmanager
    async def open(self, job: RolloutJob, environment: Environment) -> AsyncIterator[Door]:
        """Serve one rollout until the block is left; calls still in flight are cancelled then."""
        path = self._claim_path(job)
        door = Door(
            socket=path,
            job=job,
            environment=environment,
            access=self._access,
            caps=self._caps,
            limits=self._limits,
        )
        server = Server(handler=door.handle, on_crash=door.crashed, limits=self._limits)
        try:
            with closing(UnixListener(path, backlog=self._limits.connections)) as listener:
                async with _running(server, listener):
                    yield door
        finally:
            self._open_paths.discard(path)

    def _claim_path(self, job: RolloutJob) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        names = (f"{job.id}.sock" if n == 0 else f"{job.id}.{n}.sock" for n in count())
        path = next(path for name in names if (path := self._folder / name) not in self._open_paths)
        self._open_paths.add(path)
        return path


@asynccontextmanager
async def _running(server: Server, listener: UnixListener) -> AsyncIterator[None]:
    """Run the server beside a block. What the block raises comes out as it is, not wrapped in a group."""
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run, listener)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raised = group.exceptions[0]
        raise raised from raised.__cause__
