"""The docker backend: a container per run, without network, capabilities or a writable root.

What is not covered: side channels through shared caches and timing, bugs in the kernel or in the daemon, and, at
level L2 where the daemon cannot limit, memory and processes of a run as a whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import anyio
from anyio.abc import ByteStream

from sandbox.contract import Result, SandboxUnavailable, Spec
from sandbox.docker.container import Site
from sandbox.docker.daemon import TROUBLES, Daemon, connect, reap, remove_all_of
from sandbox.docker.image import Image, built, skeleton
from sandbox.docker.run import run_one
from sandbox.docker.slots import Slots
from sandbox.environment import HarnessEnvironment
from sandbox.guest.seccomp import MACHINES
from sandbox.native.plan import GUEST

ImageKind = Literal["skeleton", "built"]
Mode = Literal["mounted", "relayed", "warm"]
_PREFIX = "hone-docker-"
_CALLS_AT_ONCE = 32
_GREETING = b"hone"
_KNOCK = b"""
import os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.settimeout(20)
door.connect(os.environ["HONE_SOCKET"])
sys.stdout.write(door.recv(16).decode())
async def run(session):
    pass
"""
_INSIDE = tuple(Path(__file__).with_name(f"{name}.py") for name in ("account", "entry", "shim", "warm_entry"))
"""The modules beside this one that run inside."""
_SYNONYMS = {"amd64": "x86_64", "arm64": "aarch64"}


class DockerSandbox:
    """One container per run."""

    def __init__(
        self,
        environment: HarnessEnvironment,
        *,
        endpoint: str | None = None,
        runtime: str | None = None,
        image: ImageKind | None = None,
        mode: Mode | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`endpoint` None is DOCKER_HOST or the usual place; `runtime` None is the daemon's own, `runsc` is gVisor.

        `image` None is the skeleton on Linux and a built image elsewhere. `mode` "mounted" and "relayed" are one
        container per run; None tries whether a mounted socket works and relays where it does not. "warm" shares a
        container between the runs of one candidate, one after the other: faster and weaker, which the level says.
        """
        self.level = "docker:closed"
        self._environment = environment
        self._endpoint = endpoint
        self._runtime = runtime
        self._image: ImageKind = image or ("skeleton" if sys.platform == "linux" else "built")
        self._mode = mode
        self._report = report
        self._site: Site | None = None
        self._slots: Slots | None = None
        self._lock_fd: int | None = None
        self._names = itertools.count()

    async def __aenter__(self) -> Self:
        """Reach the daemon, remove what dead hosts left, make the image, try one run. Raises SandboxUnavailable."""
        try:
            site = await anyio.to_thread.run_sync(self._open)
            self._settle(site)
            await self._smoke(site)
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
        name = f"run{next(self._names)}"
        if self._slots is not None:
            return await self._slots.run(name, spec)
        return await run_one(self._site, name, spec)

    def _settle(self, site: Site) -> None:
        self._site = site
        self._slots = Slots(site) if site.is_warm else None
        self.level = site.level

    def _open(self) -> Site:
        daemon = connect(self._endpoint, self._runtime)
        try:
            if self._mode == "warm":
                _check_warm(daemon)
            reap(daemon.api)
            sweep()
            machine = _machine(daemon)
            image = self._prepare_image(daemon)
            folder = self._make_folder()
        except TROUBLES as error:
            daemon.api.close()
            raise SandboxUnavailable(f"the docker sandbox cannot be opened: {error}") from error
        except BaseException:
            daemon.api.close()
            raise
        limiter = anyio.CapacityLimiter(_CALLS_AT_ONCE)
        return Site(
            daemon=daemon,
            image=image,
            machine=machine,
            folder=folder,
            limiter=limiter,
            is_warm=self._mode == "warm",
            is_relayed=self._mode in {"relayed", "warm"},
        )

    def _prepare_image(self, daemon: Daemon) -> Image:
        if self._image == "skeleton":
            return skeleton(daemon.api, self._environment)
        return built(daemon.api, self._environment.requirements, report=self._report)

    def _make_folder(self) -> Path:
        """A folder of this sandbox, locked while it lives, with a copy of the guest code that any user can read."""
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock_fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        package = folder / "lib" / "sandbox"
        for name, sources in (("guest", sorted(GUEST.glob("*.py"))), ("docker", _INSIDE)):
            (package / name).mkdir(parents=True)
            for source in sources:
                (package / name / source.name).write_bytes(source.read_bytes())
                (package / name / source.name).chmod(0o644)
        for place in (folder / "lib", package, package / "guest", package / "docker"):
            place.chmod(0o755)
        return folder

    async def _smoke(self, site: Site) -> None:
        """Probe by doing: one run must come out clean and reach its door, by a mounted socket or over the streams."""
        result = await self._try_door()
        if self._mode is None and not _is_through(result):
            self._settle(replace(site, is_relayed=True))
            over_streams = await self._try_door()
            if _is_through(over_streams):
                self._report(f"a mounted socket does not work here ({_words(result)}); runs use a relay")
                return
        if not _is_through(result):
            raise SandboxUnavailable(
                f"an empty run in a container {_words(result)}; the daemon must run on this machine and see its files"
            )

    async def _try_door(self) -> Result:
        """Run a harness that reads one byte from its door."""
        folder = Path(tempfile.mkdtemp(prefix="hone-door-"))
        try:
            os.chmod(folder, 0o755)  # noqa: PTH101, S103 - the run's user must pass
            async with await anyio.create_unix_listener(folder / "s") as door, anyio.create_task_group() as group:
                group.start_soon(door.serve, _greet)
                spec = Spec(files={"agent.py": _KNOCK}, env={"HONE_CONFORMANCE": "1"}, socket=folder / "s")
                result = await self.run(spec)
                group.cancel_scope.cancel()
            return result
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            if self._slots is not None:
                with contextlib.suppress(*TROUBLES):  # what follows tries again
                    await self._slots.close()
                self._slots = None
            await anyio.to_thread.run_sync(self._remove_everything)

    def _remove_everything(self) -> None:
        site, self._site = self._site, None
        if site is not None:
            try:
                remove_all_of(site.daemon.api, site.folder.name)
            except TROUBLES as error:
                # The containers end by themselves with our connection; the next host removes them.
                self._report(f"the docker daemon failed while the sandbox was closed: {error}")
            finally:
                site.daemon.api.close()
                shutil.rmtree(site.folder, ignore_errors=True)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None


def _check_warm(daemon: Daemon) -> None:
    if not daemon.limits_runs:
        raise SandboxUnavailable(
            "the docker daemon cannot limit memory, processes and CPU of a container, and warm containers are not safe "
            "without that; leave `warm` of the sandbox off"
        )


async def _greet(stream: ByteStream) -> None:
    async with stream:
        await stream.send(_GREETING)


def _is_through(result: Result) -> bool:
    return result.kind == "ok" and result.stdout.head == _GREETING


def _words(result: Result) -> str:
    """What became of a trial."""
    return f"ends as {result.kind}: {result.note} {result.stderr.text.strip()[-300:]}".strip()


def _machine(daemon: Daemon) -> str:
    """The daemon's processor family, which decides the seccomp table."""
    name = str(daemon.api.info().get("Architecture", platform.machine()))
    machine = _SYNONYMS.get(name, name)
    if machine not in MACHINES:
        raise SandboxUnavailable(f"the docker daemon runs on {machine}, for which there is no seccomp table")
    return machine


def sweep() -> None:
    """Remove folders of hosts that died."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another user's, or just being made
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use
        finally:
            os.close(fd)
