"""The host's end of one warm server: start it, hand it runs, notice its death, leave nothing behind."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import anyio

from sandbox.contract import SandboxUnavailable
from sandbox.environment import HarnessEnvironment
from sandbox.native.cgroup import Groups, Tree, open_groups, own_trees, remove_folders
from sandbox.native.launch import UNPRIVILEGED
from sandbox.native.plan import GUEST, inside, plan_view

_START_TIMEOUT_S = 120
_END_TIMEOUT_S = 10
_ACCEPT_TIMEOUT_S = 60
_LOG_TAIL_BYTES = 2000
_PREFIX = "hone-sandbox-"
_BOOT = "import sys; sys.path[:0] = [sys.argv[1]]; from sandbox.native.launch import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """What belongs to one running sandbox on the host: a folder and, where possible, control groups."""

    folder: Path
    doors: Path
    log: Path
    groups: Groups | None
    lock_fd: int
    """Held for as long as the sandbox lives; a folder whose lock is free belongs to nobody."""

    @classmethod
    def open(cls, *, use_groups: bool) -> Self:
        """Make them, after removing what earlier hosts may have left behind."""
        trees = own_trees() if use_groups else ()
        sweep(trees)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock_fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        doors = folder / "doors"
        doors.mkdir()
        doors.chmod(0o711)  # the server passes through to one socket; the folder above is closed to everyone else
        return cls(
            folder=folder,
            doors=doors,
            log=folder / "server.log",
            groups=open_groups(folder.name, trees),
            lock_fd=lock_fd,
        )

    def close(self) -> None:
        """Remove them."""
        if self.groups is not None:
            remove_folders(self.groups.folders)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self.lock_fd)


def sweep(trees: tuple[Tree, ...]) -> None:
    """Remove folders and control groups of hosts that died together with their keeper."""
    places = {tree.own for tree in trees} | {tree.mount for tree in trees}
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # another user's, or just being made
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_folders(tuple(place / folder.name for place in places))
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, or its processes are still there
        finally:
            os.close(fd)


class WarmServer:
    """A running server; `send` hands it one run."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, log: Path) -> None:
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._control = control
        self._log = log
        self.warmed: tuple[str, ...] = ()

    @classmethod
    async def start(cls, environment: HarnessEnvironment, premises: Premises) -> Self:
        """Start a server and wait until it is warm. Raises SandboxUnavailable with the server's last words."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = _spawn(environment, premises, theirs)
        ours.setblocking(False)
        server = cls(process, ours, premises.log)
        try:
            with anyio.fail_after(_START_TIMEOUT_S):
                await anyio.wait_readable(ours)
            message = ours.recv(65536)
        except (TimeoutError, OSError) as error:
            await server.close()
            raise SandboxUnavailable(
                f"the sandbox did not start in {_START_TIMEOUT_S} s: {server.last_words()}"
            ) from error
        except BaseException:
            await server.close()
            raise
        if not message:
            await server.close()
            raise SandboxUnavailable(explain(server.last_words()))
        server.warmed = tuple(json.loads(message)["warmed"])
        return server

    @property
    def is_alive(self) -> bool:
        """Whether runs can still be handed over."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """The end of what the server said about its own troubles."""
        try:
            return self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode("utf-8", "replace").strip() or "(it said nothing)"
        except OSError:
            return "(its log is gone)"

    def send(self, room: bytes, fds: tuple[int, ...]) -> None:
        """Ask for one room: status socket, stdout, stderr. For a worker thread; raises OSError."""
        deadline = time.monotonic() + _ACCEPT_TIMEOUT_S
        while True:
            try:
                socket.send_fds(self._control, [room], fds)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                poll = select.poll()
                poll.register(self._control, select.POLLOUT)
                poll.poll(1000)
            else:
                return

    async def close(self) -> None:
        """End the server and everything in it; the socket's end is enough, a kill makes sure."""
        with anyio.CancelScope(shield=True):
            self._control.close()
            try:
                with anyio.move_on_after(_END_TIMEOUT_S) as patience:
                    await anyio.wait_readable(self._pidfd)
                if patience.cancelled_caught:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            finally:
                os.close(self._pidfd)
            self._process.wait()


def _spawn(environment: HarnessEnvironment, premises: Premises, control: socket.socket) -> subprocess.Popen[bytes]:
    # Started by this thread and not a worker: the kernel would end the child together with the thread.
    plan = plan_view(environment)
    groups = premises.groups.folders if premises.groups is not None else ()
    request = asdict(plan) | {
        "host_pid": os.getpid(),
        "control_fd": control.fileno(),
        "python": f"{inside(environment)}/bin/python",
        "guest": str(GUEST),
        "doors": str(premises.doors),
        "workdir": str(premises.folder),
        "groups": [str(group) for group in groups],
    }
    library = str(GUEST.parent.parent)
    with premises.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT, library, premises.folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={},
            cwd="/",
            start_new_session=True,  # a Ctrl-C is for the host, which then closes in order
            pass_fds=(control.fileno(), premises.lock_fd),
        )
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(json.dumps(request).encode())
    return process


def explain(words: str) -> str:
    """The reason why no sandbox could be made, with a remedy for the ones that are known."""
    namespaces = (
        "this user may not create user namespaces: run as root, or allow them "
        "(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
    )
    remedies = (
        ("unshare(", namespaces),
        ("mount_setattr", "the kernel is too old: Linux 5.12 or newer is needed"),
        ("proc on", "the surrounding container hides parts of /proc: start it with an unmasked /proc, or as root"),
        ("PermissionError", "make the interpreter and the harness environment readable for others (chmod -R go+rX)"),
    )
    remedy = next((text for mark, text in remedies if mark in words), "run `hone doctor` for each requirement in turn")
    return f"the native sandbox cannot be set up here; {remedy}. It said: {words}"


def owner_of_doors() -> int | None:
    """The uid that must be able to open a gateway socket, where it is not the host's own."""
    return UNPRIVILEGED if os.geteuid() == 0 else None
