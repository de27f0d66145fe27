"""The native backend: no daemon, every run in namespaces of its own.

What is not covered: side channels through shared caches and timing, bugs in the kernel, and, at level L2 where no
control group can be written, memory and processes of a run as a whole (the limits then hold per process). A `Way`
adds what it does not cover.
"""

from __future__ import annotations

import itertools
from functools import partial
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from sandbox.contract import Result, SandboxUnavailable, Spec
from sandbox.environment import HarnessEnvironment
from sandbox.native.cold import cold_start
from sandbox.native.payload import UnusableSpecError
from sandbox.native.plan import inside
from sandbox.native.room import Site
from sandbox.native.run import run_one
from sandbox.native.spare import NoSpare, OneSpare
from sandbox.native.warm_server import Premises, WarmServer, explain
from sandbox.native.way import WAYS, Way

_MAX_STARTS = 10
"""A server that keeps dying is a fault of this machine that starting again does not mend."""


class NativeSandbox:
    """A contained process tree per run: forked by a warm server, or, where that cannot be, started cold."""

    def __init__(
        self,
        environment: HarnessEnvironment,
        *,
        use_groups: bool = True,
        ways: tuple[Way, ...] = WAYS,
        has_spare: bool = False,
    ) -> None:
        self.level = "native:L2:rlimits"
        self.way = ways[0]
        """The first of `ways` that works here."""
        self.failed: tuple[str, ...] = ()
        """Why the ways before it do not work, each with its name."""
        self.warmed: tuple[str, ...] = ()
        """SDKs that the warm server has imported and used."""
        self._environment = environment
        self._use_groups = use_groups
        self._ways = ways
        self._has_spare = has_spare
        """Whether a warm server makes the next room ahead: answers come sooner, and a few MB and processes wait."""
        self._site: Site | None = None
        self._spares: OneSpare | NoSpare = NoSpare()
        self._premises: Premises | None = None
        self._server: WarmServer | None = None
        self._starting = anyio.Lock()
        self._n_starts = 0
        self._names = itertools.count()

    @property
    def not_covered(self) -> tuple[str, ...]:
        """What the level reached does not limit."""
        per_process = ("memory and processes of a run as a whole (limits hold per process)",)
        return (per_process if ":L2:" in self.level else ()) + self.way.not_covered

    async def __aenter__(self) -> Self:
        """Make the premises and find the way that works. Raises SandboxUnavailable with the reason of each."""
        try:
            self._premises = Premises.open(use_groups=self._use_groups)
        except OSError as error:
            raise SandboxUnavailable(f"no temporary folder for the sandbox can be made: {error}") from error
        try:
            self._site = await self._find_way(self._premises)
            if self._has_spare and not self.way.is_cold:
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
        assert self._premises is not None, "the sandbox is used outside its `async with`"
        assert self._site is not None, "the sandbox is used outside its `async with`"
        name = f"run{next(self._names)}"
        try:
            if not self.way.is_cold:
                server = await self._alive_server()
                spare = partial(self._spares.take, server, spec.limits)
                return await run_one(server, self._site, name, spec, spare=spare)
            with_bwrap = self.way.launcher == "bwrap"
            async with cold_start(self._environment, self._premises, name, spec, with_bwrap=with_bwrap) as start:
                return await run_one(start, self._site, name, spec)
        except (SandboxUnavailable, UnusableSpecError, OSError) as error:
            return Result(kind="infra", status=None, level=self.level, note=str(error))

    async def _find_way(self, premises: Premises) -> Site:
        """Probe by doing: in each way one empty run, until one comes out clean."""
        for way in self._ways:
            self.way = way
            self._site = _site(way, self._environment, premises)
            self.level = self._site.level
            try:
                if way.launcher == "bwrap":
                    premises.furnish_for_bwrap()
                await self._smoke(premises)
            except (SandboxUnavailable, OSError) as error:
                self.failed = (*self.failed, f"{way.name}: {error}")
                await self._end_server()
            else:
                return self._site
        reasons = "\n".join(f"  {reason}" for reason in self.failed)
        raise SandboxUnavailable(
            f"the native sandbox cannot be set up here. What was tried:\n{reasons}\n{REDUCED_INSTEAD}"
        )

    async def _smoke(self, premises: Premises) -> None:
        premises.log.write_bytes(b"")
        if not self.way.is_cold:
            await self._alive_server()
        spec = Spec(files={"agent.py": b"async def run(session):\n    pass\n"}, env={"HONE_CONFORMANCE": "1"})
        result = await self.run(spec)
        if result.kind != "ok":
            said = f"{result.note} {result.stderr.text}".strip()
            raise SandboxUnavailable(explain(f"an empty run ends as {result.kind}: {said} {premises.last_words()}"))

    async def _alive_server(self) -> WarmServer:
        """The server; a new one if the last has died. Raises SandboxUnavailable."""
        assert self._premises is not None, "the sandbox is used outside its `async with`"
        if self._server is not None and self._server.is_alive:
            return self._server
        async with self._starting:
            if self._server is None or not self._server.is_alive:
                await self._end_server()
                self._n_starts += 1
                if self._n_starts > _MAX_STARTS:
                    raise SandboxUnavailable(f"the warm server died {_MAX_STARTS} times; see `hone doctor`")
                self._server = await WarmServer.start(
                    self._environment, self._premises, with_bwrap=self.way.launcher == "bwrap"
                )
                self.warmed = self._server.warmed
            return self._server

    async def _end_server(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._spares.close)
            self._spares = NoSpare()
            await self._end_server()
            if self._premises is not None:
                self._premises.close()
                self._premises = None


def _site(way: Way, environment: HarnessEnvironment, premises: Premises) -> Site:
    groups = premises.groups
    return Site(
        level=f"{way.name}:{'L2:rlimits' if groups is None else f'L3:{groups.version}'}",
        prefix=inside(environment),
        doors=premises.doors,
        groups=groups,
    )


REDUCED_INSTEAD = (
    "Nothing weaker is put in its place. `--sandbox docker` is as strong where a docker daemon runs. "
    "`--sandbox reduced` (Landlock, seccomp, limits per process) works without namespaces; its cost: no limit for disk "
    "and CPU of a run as a whole, names of host files and processes can be probed, no entry command reaches the model."
)
"""The choices a person has; the cost is told with the choice."""
