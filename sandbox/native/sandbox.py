"""The native backend: no daemon and no outside program, every run in namespaces of its own.

What is not covered: side channels through shared caches and timing, bugs in the kernel, and, at level L2 where no
control group can be written, memory and processes of a run as a whole (the limits then hold per process).
"""

from __future__ import annotations

import itertools
from types import TracebackType
from typing import Self

import anyio

from sandbox.contract import Result, SandboxUnavailable, Spec
from sandbox.environment import HarnessEnvironment
from sandbox.native.plan import inside
from sandbox.native.room import Site
from sandbox.native.run import run_one
from sandbox.native.spare import NoSpare, OneSpare
from sandbox.native.warm_server import Premises, WarmServer

_MAX_STARTS = 10
"""A server that keeps dying is a fault of this machine that starting again does not mend."""


class NativeSandbox:
    """A warm server in namespaces of its own, and one contained child of it per run."""

    def __init__(self, environment: HarnessEnvironment, *, use_groups: bool = True, has_spare: bool = False) -> None:
        self.level = "native:L2:rlimits"
        self.warmed: tuple[str, ...] = ()
        """SDKs that the warm server has imported and used."""
        self._environment = environment
        self._use_groups = use_groups
        self._has_spare = has_spare
        """Whether the next run's room is made ahead: an answer comes sooner, and a few MB and processes wait."""
        self._site: Site | None = None
        self._spares: OneSpare | NoSpare = NoSpare()
        self._premises: Premises | None = None
        self._server: WarmServer | None = None
        self._starting = anyio.Lock()
        self._n_starts = 0
        self._names = itertools.count()

    async def __aenter__(self) -> Self:
        """Make the premises and start the first server. Raises SandboxUnavailable."""
        try:
            self._premises = Premises.open(use_groups=self._use_groups)
        except OSError as error:
            raise SandboxUnavailable(f"no temporary folder for the sandbox can be made: {error}") from error
        groups = self._premises.groups
        if groups is not None:
            self.level = f"native:L3:{groups.version}"
        self._site = Site(
            level=self.level,
            prefix=inside(self._environment),
            doors=self._premises.doors,
            groups=groups,
        )
        try:
            await self._alive_server()
            await self._smoke()
            if self._has_spare:
                self._spares = OneSpare(self._site)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Kill and remove everything this sandbox made."""
        await self._close()

    async def run(self, spec: Spec) -> Result:
        """Run one harness to its end; see the contract."""
        assert self._site is not None, "the sandbox is used outside its `async with`"
        try:
            server = await self._alive_server()
        except SandboxUnavailable as error:
            return Result(kind="infra", status=None, level=self.level, note=str(error))
        return await run_one(server, self._site, f"run{next(self._names)}", spec, self._spares)

    async def _alive_server(self) -> WarmServer:
        """The server; a new one if the last has died. Raises SandboxUnavailable."""
        assert self._premises is not None, "the sandbox is used outside its `async with`"
        if self._server is not None and self._server.is_alive:
            return self._server
        async with self._starting:
            if self._server is None or not self._server.is_alive:
                if self._server is not None:
                    await self._server.close()
                    self._server = None
                self._n_starts += 1
                if self._n_starts > _MAX_STARTS:
                    raise SandboxUnavailable(f"the warm server died {_MAX_STARTS} times; see `hone doctor`")
                self._server = await WarmServer.start(self._environment, self._premises)
                self.warmed = self._server.warmed
            return self._server

    async def _smoke(self) -> None:
        """Probe by doing: one empty run must come out clean."""
        spec = Spec(files={"agent.py": b"async def run(session):\n    pass\n"}, env={"HONE_CONFORMANCE": "1"})
        result = await self.run(spec)
        if result.kind != "ok":
            raise SandboxUnavailable(f"an empty run ends as {result.kind}: {result.note} {result.stderr.text}".strip())

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._spares.close)
            self._spares = NoSpare()
            if self._server is not None:
                await self._server.close()
                self._server = None
            if self._premises is not None:
                self._premises.close()
                self._premises = None
