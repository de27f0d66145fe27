"""The reduced backend, for machines without namespaces; only ever used when a person asks for it by name.

It holds: no socket but lent connections to the gateway, no file opened outside the run's folder and the programs'
own, a clean environment, an unprivileged uid, no new privileges, bounded output, the whole tree ends with the run.
`NOT_COVERED` says what it does not hold.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio

from sandbox.contract import Result, SandboxUnavailable, Spec
from sandbox.environment import HarnessEnvironment
from sandbox.native.bubblewrap import write_file
from sandbox.native.plan import GUEST, plan_view
from sandbox.native.room import Site
from sandbox.native.run import run_one
from sandbox.native.warm_server import Premises
from sandbox.reduced import landlock
from sandbox.reduced.launch import remove

_BOOT = "import sys; sys.path[:0] = [sys.argv[1]]; from sandbox.reduced.launch import main; main()"
_END_TIMEOUT_S = 30
_PASS = 0o001
_PUBLIC = ("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs")
"""Public certificates: a TLS library that may not open them fails, where it would do without if they were not there."""

NOT_COVERED = (
    "memory of a run as a whole (the limit holds per process)",
    "CPU share and CPU time of a run as a whole (the time limit holds per process)",
    "disk space of a run as a whole (the limit holds per file) and the number of files",
    "names, sizes and times of host files, which can be probed though no file can be opened",
    "which processes run on this machine, whose numbers can be probed",
    "other packages of the base interpreter: their names can be listed",
    "a uid of its own where hone is run by an ordinary user, and an empty capability bounding set",
    "entry commands with a session: only agent.py reaches the gateway",
    "fixed paths: /harness, /scratch, /dev/shm, /proc and /tmp are closed; use the working folder, HOME and TMPDIR",
)
"""What a person accepts with this backend; printed at every start."""
AS_USER = ("the number of processes of a run (the kernel counts all of this user's together)",)


class ReducedSandbox:
    """One launcher per run, in the host's own namespaces."""

    def __init__(self, environment: HarnessEnvironment) -> None:
        self._abi = landlock.abi()
        self.level = f"reduced:L1:landlock-{self._abi}"
        self.not_covered = NOT_COVERED + (() if os.geteuid() == 0 else AS_USER)
        self._environment = environment
        self._premises: Premises | None = None
        self._names = itertools.count()

    async def __aenter__(self) -> Self:
        """Check, then make one empty run. Raises SandboxUnavailable."""
        self._check()
        try:
            self._premises = Premises.open(use_groups=False)
        except OSError as error:
            raise SandboxUnavailable(f"no temporary folder for the sandbox can be made: {error}") from error
        try:
            folder = self._premises.folder
            folder.chmod(0o711)
            self._premises.doors.chmod(0o700)
            (folder / "runs").mkdir()
            (folder / "runs").chmod(0o711)
            for source in GUEST.glob("*.py"):
                write_file(folder / "kit" / "sandbox" / "guest" / source.name, source.read_bytes(), 0o644)
            await self._smoke(self._premises)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Remove everything this sandbox made."""
        self._close()

    async def run(self, spec: Spec) -> Result:
        """Run one harness to its end; see the contract."""
        premises = self._premises
        assert premises is not None, "the sandbox is used outside its `async with`"
        if spec.command is not None and spec.socket is not None:
            note = "in the reduced sandbox an entry command cannot reach the gateway; use native or docker, or agent.py"
            return Result(kind="infra", status=None, level=self.level, note=note)
        name = f"run{next(self._names)}"
        site = Site(level=self.level, prefix=str(self._environment.prefix), doors=premises.doors, groups=None)
        start = _Start(self._environment, premises, name, has_door=spec.socket is not None, abi=self._abi)
        try:
            return await run_one(start, site, name, spec)
        finally:
            with anyio.CancelScope(shield=True):
                await start.end()

    def _check(self) -> None:
        if self._abi == 0:
            raise SandboxUnavailable("the reduced sandbox needs Landlock (Linux 5.13, and `landlock` among its lsm=)")
        if os.geteuid() != 0:
            if self._abi < landlock.SCOPES_SINCE:
                raise SandboxUnavailable(
                    f"the reduced sandbox of an ordinary user needs Linux 6.12 (Landlock 6, not {self._abi}): "
                    "without it a run could signal your other processes; run as root, which gives it another uid"
                )
            return
        for needed in (self._environment.prefix, self._environment.base_prefix):
            closed = [path for path in (needed, *needed.parents) if not path.stat().st_mode & _PASS]
            if closed:
                raise SandboxUnavailable(
                    f"run by root, the reduced sandbox gives a run another uid, and {closed[-1]} is closed to it; set "
                    "HONE_CACHE to a folder that others can pass and use an interpreter such as /usr/bin/python3, "
                    "or run hone as an ordinary user"
                )

    async def _smoke(self, premises: Premises) -> None:
        spec = Spec(files={"agent.py": b"async def run(session):\n    pass\n"}, env={"HONE_CONFORMANCE": "1"})
        result = await self.run(spec)
        if result.kind != "ok":
            said = f"{result.note} {result.stderr.text} {premises.last_words()}".strip()
            raise SandboxUnavailable(f"in the reduced sandbox an empty run ends as {result.kind}: {said}")

    def _close(self) -> None:
        if self._premises is not None:
            remove(str(self._premises.folder / "runs"))
            self._premises.close()
            self._premises = None


class _Start:
    """The launcher of one run."""

    def __init__(
        self, environment: HarnessEnvironment, premises: Premises, name: str, *, has_door: bool, abi: int
    ) -> None:
        plan = plan_view(environment)
        kit = premises.folder / "kit"
        public = [place for place in _PUBLIC if Path(place).exists()]
        self._premises = premises
        self._process: subprocess.Popen[bytes] | None = None
        self._request = {
            "host_pid": os.getpid(),
            "python": str(environment.python),
            "library": str(kit),
            "folder": str(premises.folder / "runs" / name),
            "door": str(premises.doors / name) if has_door else "",
            "readable": [
                *dict.fromkeys(source for source, _ in plan.binds),
                *public,
                str(environment.prefix),
                str(kit),
            ],
            "masks": [*plan.masks, *(os.path.realpath(mask) for mask in plan.masks)],
            "abi": abi,
        }

    def send(self, room: bytes, fds: tuple[int, ...]) -> None:
        """Start it with the run's descriptors: status socket, stdout, stderr. Raises OSError."""
        self._process = self._spawn(json.loads(room), fds)

    async def end(self) -> None:
        """Wait until the keeper has killed and removed everything."""
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

    def _spawn(self, room: dict[str, int], fds: tuple[int, ...]) -> subprocess.Popen[bytes]:
        with self._premises.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, str(Path(GUEST).parent.parent), self._premises.folder.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={},
                cwd="/",
                start_new_session=True,
                pass_fds=(*fds, self._premises.lock_fd),
            )
        assert process.stdin is not None
        with process.stdin as pipe:
            pipe.write(json.dumps(self._request | {"fds": fds, "room": room}).encode())
        return process
