"""The docker backend: a container per run, without network, capabilities or a writable root.

What is not covered: side channels through shared caches and timing, bugs in the kernel or in the daemon, and, at
level L2 where the daemon cannot limit, memory and processes of a run as a whole.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import anyio

from sandbox.contract import Result, SandboxUnavailable, Spec
from sandbox.docker import entry
from sandbox.docker.container import Site
from sandbox.docker.daemon import TROUBLES, Daemon, connect, reap, remove_all_of
from sandbox.docker.image import Image, built, skeleton
from sandbox.docker.run import run_one
from sandbox.environment import HarnessEnvironment
from sandbox.guest.seccomp import MACHINES
from sandbox.native.plan import GUEST

ImageKind = Literal["skeleton", "built"]
_PREFIX = "hone-docker-"
_CALLS_AT_ONCE = 32
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
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`endpoint` None is DOCKER_HOST or the usual place; `runtime` None is the daemon's own, `runsc` is gVisor.

        `image` None is the skeleton on Linux and a built image elsewhere.
        """
        self.level = "docker:closed"
        self._environment = environment
        self._endpoint = endpoint
        self._runtime = runtime
        self._image: ImageKind = image or ("skeleton" if sys.platform == "linux" else "built")
        self._report = report
        self._site: Site | None = None
        self._lock_fd: int | None = None
        self._names = itertools.count()

    async def __aenter__(self) -> Self:
        """Reach the daemon, remove what dead hosts left, make the image, try one run. Raises SandboxUnavailable."""
        try:
            self._site = await anyio.to_thread.run_sync(self._open)
            self.level = self._site.daemon.level
            await self._smoke()
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
        return await run_one(self._site, f"run{next(self._names)}", spec)

    def _open(self) -> Site:
        daemon = connect(self._endpoint, self._runtime)
        try:
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
        return Site(daemon=daemon, image=image, machine=machine, folder=folder, limiter=limiter)

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
        for name, sources in (("guest", sorted(GUEST.glob("*.py"))), ("docker", [Path(entry.__file__)])):
            (package / name).mkdir(parents=True)
            for source in sources:
                (package / name / source.name).write_bytes(source.read_bytes())
                (package / name / source.name).chmod(0o644)
        for place in (folder / "lib", package, package / "guest", package / "docker"):
            place.chmod(0o755)
        return folder

    async def _smoke(self) -> None:
        """Probe by doing: one empty run must come out clean."""
        spec = Spec(files={"agent.py": b"async def run(session):\n    pass\n"}, env={"HONE_CONFORMANCE": "1"})
        result = await self.run(spec)
        if result.kind != "ok":
            raise SandboxUnavailable(
                f"an empty run in a container ends as {result.kind}: {result.note} {result.stderr.text}".strip()
                + "; the daemon must run on this machine and see its files"
            )

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
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
