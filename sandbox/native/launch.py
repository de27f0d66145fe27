# ruff: noqa: S108, S606, PTH102, PTH103, PTH112, PTH119, PTH120, PTH211 - paths of the sandbox itself, one system call each
"""Starts the warm server in its sandbox; runs as a process of its own under the host's interpreter, `-I -S`.

Three processes, each the parent of the next and each killed with it:

    keeper   the host's user; waits; if the host dies it ends everything and removes control groups and files
    builder  an unprivileged user; leaves the host's namespaces
    server   process 1 of the new namespaces; builds the file system it may see, then becomes the harness Python

As root the sources are first bound to a private stage, because an unprivileged user cannot pass a home folder with
mode 0700; then root is given up *before* the user namespace is made. A user namespace that maps host root would be
an escape: /proc/sys/kernel/core_pattern is writable to it.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sandbox.guest import kernel
from sandbox.guest.layout import CONTROL_FD, DOORS, SERVER_CAPS, path_variable
from sandbox.native.bubblewrap import SERVER_CAPS_BY_NAME, Bubblewrap, View, arguments
from sandbox.native.cgroup import remove_folders
from sandbox.native.etc import ETC, INSIDE_UID

UNPRIVILEGED = 65534
_SPACE = "/tmp"
_STAGE = "/tmp/stage"
_ROOT = "/tmp/root"
_LIBRARY = "/hone/lib"
_DEVICES = ("null", "zero", "full", "random", "urandom")
_FOLDERS = ("/proc", "/run/hone", "/scratch", "/tmp", "/harness", "/dev/shm", DOORS)
_BOOT = f"import sys; sys.path[len(sys.path):] = ['{_LIBRARY}', '{_LIBRARY}/sandbox/guest']; from sandbox.guest."
_SERVER_ENV = {
    "HOME": "/tmp",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OPENAI_BASE_URL": "http://127.0.0.1:8377/v1",
    "OPENAI_API_KEY": "hone-sandbox",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:8377",
    "ANTHROPIC_API_KEY": "hone-sandbox",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What the host asks for; see `sandbox.native.plan.Plan` for binds, links and masks."""

    host_pid: int
    fds: tuple[int, ...]
    """Descriptors that the server, or the one cold run, finds from CONTROL_FD on."""
    python: str
    guest: str
    doors: str
    workdir: str
    groups: tuple[str, ...]
    binds: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    masks: tuple[str, ...]
    room: str | None
    """Where the process started is the init of one single run instead of a warm server: the limits of that run."""
    bwrap: Bubblewrap | None
    """Where only bubblewrap may make a user namespace: how to start it."""


def main() -> None:
    """Keep the sandbox until it or the host ends."""
    request = json.load(sys.stdin)
    if request["bwrap"] is not None:
        request["bwrap"] = Bubblewrap(**request["bwrap"])
    launch = Launch(**request)
    host = os.pidfd_open(launch.host_pid)
    if os.getppid() != launch.host_pid:
        return
    keeper = os.getpid()
    builder = os.fork()
    if builder == 0:
        _guarded_build(launch, keeper)
    _close(launch.fds)
    _keep(launch, host, builder)


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        os.close(fd)


def _keep(launch: Launch, host: int, builder: int) -> None:
    child = os.pidfd_open(builder)
    poll = select.poll()
    poll.register(host, select.POLLIN)
    poll.register(child, select.POLLIN)
    host_died = any(fd == host for fd, _ in poll.poll())
    signal.pidfd_send_signal(child, signal.SIGKILL)
    os.waitpid(builder, 0)
    if host_died:
        remove_folders(tuple(Path(group) for group in launch.groups))
        shutil.rmtree(launch.workdir, ignore_errors=True)


def _guarded_build(launch: Launch, keeper: int) -> NoReturn:
    try:
        _build(launch, keeper)
    except BaseException as error:  # noqa: BLE001 - the edge of a process
        # Nothing may be imported once root is given up: the interpreter's own folder may be out of reach.
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(1)


def _build(launch: Launch, keeper: int) -> None:
    guest = {path.name: path.read_bytes() for path in Path(launch.guest).glob("*.py")}
    devices = [(f"/dev/{name}", f"/dev/{name}") for name in _DEVICES]
    sources = (*launch.binds, *devices, *((launch.doors, DOORS) for _ in range(launch.doors != "")))
    os.umask(0o022)
    is_root = os.geteuid() == 0
    if is_root:
        kernel.unshare(kernel.CLONE_NEWNS)
        _stage(sources)
        _give_up_root()
    kernel.die_with_parent(keeper)
    if launch.bwrap is not None:
        _become_bubblewrap(launch, launch.bwrap, sources, is_staged=is_root)
    _leave_namespaces()
    if not is_root:
        _stage(sources)
    server = os.fork()
    if server == 0:
        kernel.die_with_parent(0)  # the parent is outside the new process namespace
        _furnish(launch, sources, guest)
        _become_server(launch)
    _close(launch.fds)
    os.waitpid(server, 0)


def _give_up_root() -> None:
    os.setgroups([])
    os.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
    os.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
    kernel.set_dumpable(dumpable=True)  # or /proc/self/uid_map stays root's


def _leave_namespaces() -> None:
    kernel.new_session_keyring()
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(
        kernel.CLONE_NEWUSER
        | kernel.CLONE_NEWNS
        | kernel.CLONE_NEWPID
        | kernel.CLONE_NEWNET
        | kernel.CLONE_NEWIPC
        | kernel.CLONE_NEWUTS
        | kernel.CLONE_NEWCGROUP
    )
    for name, text in (
        ("setgroups", "deny"),
        ("gid_map", f"{INSIDE_UID} {gid} 1"),
        ("uid_map", f"{INSIDE_UID} {uid} 1"),
    ):
        _write(f"/proc/self/{name}", text.encode())


def _write(path: str, content: bytes) -> None:
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    try:
        while content:
            content = content[os.write(fd, content) :]
    finally:
        os.close(fd)


def _stage(sources: tuple[tuple[str, str], ...]) -> None:
    """Bind every source below one private folder, whatever the permissions of the folders above it."""
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    # Opened first: the stage covers _SPACE, where a source may be.
    handles = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source, _ in sources]
    kernel.mount("tmpfs", _SPACE, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4m,mode=0755")
    os.mkdir(_STAGE)
    os.mkdir(_ROOT)
    for index, handle in enumerate(handles):
        target = f"{_STAGE}/{index}"
        _make_mount_point(target, is_folder=_is_folder(handle))
        kernel.bind(f"/proc/self/fd/{handle}", target)
        os.close(handle)


def _is_folder(handle: int) -> bool:
    return (os.fstat(handle).st_mode & 0o170000) == 0o040000


def _make_mount_point(path: str, *, is_folder: bool) -> None:
    if is_folder:
        os.makedirs(path, mode=0o755, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def _furnish(launch: Launch, sources: tuple[tuple[str, str], ...], guest: dict[str, bytes]) -> None:
    """Build the new root: read-only all over, with mount points for what each run gets of its own."""
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", _ROOT, "tmpfs", flags, "size=4m,nr_inodes=4096,mode=0755")
    for folder in _FOLDERS:
        os.makedirs(_ROOT + folder, mode=0o755)
    for path, target in launch.links:
        os.symlink(target, _ROOT + path)
    _write_files(guest)
    _bind_sources(sources)
    for mask in launch.masks:
        kernel.mount("tmpfs", _ROOT + mask, "tmpfs", flags | 1, "size=4k,nr_inodes=2,mode=0755")
    kernel.mount("tmpfs", f"{_ROOT}/tmp", "tmpfs", flags, "size=16m,nr_inodes=4096,mode=1777")
    try:
        kernel.mount("proc", f"{_ROOT}/proc", "proc", flags | kernel.MS_NOEXEC)
    except PermissionError:
        kernel.mount("proc", f"{_ROOT}/proc", "proc", flags | kernel.MS_NOEXEC, "subset=pid")
    kernel.set_attributes(_ROOT, kernel.ATTR_RDONLY)
    kernel.change_root(_ROOT)


def _write_files(guest: dict[str, bytes]) -> None:
    """Small files travel as bytes, so that nobody's umask matters."""
    package = f"{_ROOT}{_LIBRARY}/sandbox/guest"
    os.makedirs(package, mode=0o755)
    os.mkdir(f"{_ROOT}/etc", 0o755)
    for name, content in guest.items():
        _write(f"{package}/{name}", content)
    for name, text in ETC.items():
        _write(_ROOT + name, text.encode())
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{_ROOT}/dev/{name}")
    os.symlink("/proc/self/fd", f"{_ROOT}/dev/fd")


def _bind_sources(sources: tuple[tuple[str, str], ...]) -> None:
    fixed = kernel.ATTR_RDONLY | kernel.ATTR_NOSUID
    for index, (source, place) in enumerate(sources):
        staged = f"{_STAGE}/{index}"
        target = _ROOT + place
        _make_mount_point(target, is_folder=os.path.isdir(staged))
        is_device = source.startswith("/dev/")
        kernel.bind(staged, target, attributes=fixed | (kernel.ATTR_NOEXEC if is_device else kernel.ATTR_NODEV))


def _become_server(launch: Launch) -> None:
    """Keep three capabilities of the new user namespace through exec; a run drops these too."""
    _keep_descriptors(launch.fds)
    kernel.drop_bounding(keep=SERVER_CAPS)
    kernel.set_capabilities(SERVER_CAPS)
    kernel.no_new_privileges()
    words = _server_words(launch)
    os.execve(words[0], words, _server_env(launch))


def _keep_descriptors(fds: tuple[int, ...]) -> None:
    """Nothing is inherited but standard error and `fds`, which move to CONTROL_FD and on."""
    nowhere = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, CONTROL_FD + len(fds)) for fd in fds]
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    for place, fd in enumerate(high, CONTROL_FD):
        os.dup2(fd, place)
    os.closerange(CONTROL_FD + len(fds), 1 << 16)


def _server_words(launch: Launch) -> list[str]:
    python = [launch.python, "-I", "-B", "-X", "utf8", "-c"]
    name = os.path.basename(launch.workdir)
    if launch.room is None:
        return [*python, f"{_BOOT}server import main; main()", name]
    return [*python, f"{_BOOT}cold import main; main({launch.bwrap is not None})", name, launch.room]


def _server_env(launch: Launch) -> dict[str, str]:
    return {"PATH": path_variable(os.path.dirname(os.path.dirname(launch.python))), **_SERVER_ENV}


def _become_bubblewrap(
    launch: Launch, bwrap: Bubblewrap, sources: tuple[tuple[str, str], ...], *, is_staged: bool
) -> NoReturn:
    """Let bubblewrap make the namespaces and the view; it never runs as the host's root: an escape."""
    if 0 in os.getresuid():
        raise PermissionError("bubblewrap is not started as root")
    kernel.new_session_keyring()
    staged = tuple(f"{_STAGE}/{index}" if is_staged else source for index, (source, _) in enumerate(sources))
    view = View(
        binds=tuple((source, place) for source, (_, place) in zip(staged, sources, strict=True)),
        links=launch.links,
        masks=launch.masks,
        devices=tuple(f"/dev/{name}" for name in _DEVICES),
        caps=SERVER_CAPS_BY_NAME if launch.room is None else (),
    )
    words = [*arguments(bwrap, view), *_server_words(launch)]
    _keep_descriptors(launch.fds)
    os.execve(words[0], words, _server_env(launch))
