# ruff: noqa: S108, S606, PTH102, PTH103, PTH112, PTH116, PTH120, PTH123, PTH208 - one system call each
"""Starts one reduced run; a process of its own under the host's interpreter, `-I -S`.

keeper   adopts whatever the run orphans; when the init or the host ends, it kills all that is left
init     reads the order, lays out the run's folder, lends connections to the gateway, reports how the agent ended
agent    the harness, under another uid where the host is root, behind Landlock and a seccomp filter
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from sandbox.guest import kernel
from sandbox.guest.borrowed import LENDER_FD
from sandbox.guest.cell import Order, Room, Streams, await_order, read_order
from sandbox.guest.layout import BASE_ENV
from sandbox.guest.seccomp import build_lone_filter
from sandbox.reduced import landlock

_FIRST_UID = 0x60000000
"""Above any uid that people or services have; the init's own pid is added, which no other run has at this time."""
_DEVICES = ("null", "zero", "full", "random", "urandom")
_BOOT = (
    "import sys; lib = sys.argv[1]; sys.path += [lib, lib + '/sandbox/guest']; "
    "from sandbox.guest.borrowed import main; main()"
)
_SETUP_FAILED = 70
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What the host asks for."""

    host_pid: int
    fds: tuple[int, ...]
    """Status socket, stdout, stderr."""
    room: Room
    python: str
    library: str
    """Folder of the copied guest modules."""
    folder: str
    """The run's own folder, which does not exist yet."""
    door: str
    """The gateway's socket; empty for none."""
    readable: tuple[str, ...]
    masks: tuple[str, ...]
    abi: int


def main() -> None:
    """Keep the run until it or the host ends."""
    request = json.load(sys.stdin)
    launch = Launch(**request | {"room": Room(**request["room"])})
    host = os.pidfd_open(launch.host_pid)
    if os.getppid() != launch.host_pid:
        return
    kernel.become_subreaper()
    init = os.fork()
    if init == 0:
        _guarded_init(launch)
    for fd in launch.fds:
        os.close(fd)
    watched = os.pidfd_open(init)
    poll = select.poll()
    poll.register(host, select.POLLIN)
    poll.register(watched, select.POLLIN)
    poll.poll()
    end_descendants()
    remove(launch.folder)


def end_descendants() -> None:
    """Kill every process that descends from this one, until the kernel says that there is none."""
    while True:
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _descendants(root: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{name}/stat").read_bytes()
                parent = int(stat[stat.rindex(b")") + 2 :].split()[1])
                children.setdefault(parent, []).append(int(name))
    found: set[int] = set()
    pending = [root]
    while pending:
        fresh = [pid for pid in children.get(pending.pop(), []) if pid not in found]
        found.update(fresh)
        pending += fresh
    return found


def remove(folder: str) -> None:
    """Remove a tree of any depth and any modes, without following a link."""
    for words in (["chmod", "-R", "u+rwX", folder], ["rm", "-rf", "--", folder]):
        program = shutil.which(words[0], path="/usr/bin:/bin")
        if program is not None and os.path.isdir(folder):
            quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (1, 2)]
            pid = os.posix_spawn(program, words, {}, file_actions=quiet)
            os.waitpid(pid, 0)


def _guarded_init(launch: Launch) -> NoReturn:
    try:
        _init(launch)
    except BaseException:  # noqa: BLE001 - the edge of a process
        traceback.print_exc()
    finally:
        os._exit(1)


def _init(launch: Launch) -> None:
    keeper = os.getppid()
    status_fd, stdout, stderr = launch.fds
    streams = Streams(status=status_fd, stdout=stdout, stderr=stderr)
    kernel.die_with_parent(keeper)
    kernel.set_dumpable(dumpable=False)
    status = socket.socket(fileno=streams.status)
    try:
        status.send(b"hello")
        if status.recv(16) != b"go":
            return
        payload, stdin = await_order(status)
        order = _moved(read_order(payload), launch)
        os.close(payload)
        report = _supervise(launch, order, streams, stdin)
    except (OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        report = {"error": f"{type(error).__name__}: {error}"}
    status.send(json.dumps(report).encode())
    os._exit(0)


def _moved(order: Order, launch: Launch) -> Order:
    """The order with the places where they are on this machine; what the spec itself set stays."""
    places = {
        "HOME": f"{launch.folder}/scratch",
        "TMPDIR": f"{launch.folder}/tmp",
        "PYTHONPATH": f"{launch.library}/sandbox/guest",
        "HONE_SOCKET": f"{launch.folder}/gateway.sock",
    }
    moved = {name: place for name, place in places.items() if order.env.get(name) == BASE_ENV[name]}
    return replace(order, env=order.env | moved)


def _supervise(launch: Launch, order: Order, streams: Streams, stdin: int) -> dict[str, object]:
    uid = _FIRST_UID + os.getpid() if os.geteuid() == 0 else None
    _furnish(order, launch.folder, uid)
    rules = _rules(launch)
    lender, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ready, told = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    agent = os.fork()
    if agent == 0:
        kernel.die_with_parent(parent)
        standard = (stdin, streams.stdout, streams.stderr)
        _agent(_Cell(launch=launch, order=order, uid=uid), rules, standard, (theirs.fileno(), told))
    theirs.close()
    for fd in (told, stdin, streams.stdout, streams.stderr):
        os.close(fd)
    trouble = os.read(ready, 4096)
    _lend(lender, launch.door, os.pidfd_open(agent))
    _, raw, used = os.wait4(agent, 0)
    if trouble:
        return {"error": trouble.decode("utf-8", "replace")}
    return {"status": raw, "cpu_s": used.ru_utime + used.ru_stime}


def _furnish(order: Order, folder: str, uid: int | None) -> None:
    os.umask(0o022)
    os.mkdir(folder, 0o755)
    for path, content in order.files:
        full = f"{folder}/harness/{path}"
        os.makedirs(os.path.dirname(full), mode=0o755, exist_ok=True)
        with open(os.open(full, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o555), "wb") as file:
            file.write(content)
    os.makedirs(f"{folder}/harness", mode=0o755, exist_ok=True)
    for name in ("scratch", "tmp"):
        os.mkdir(f"{folder}/{name}", 0o700)
        if uid is not None:
            os.chown(f"{folder}/{name}", uid, uid)


def _rules(launch: Launch) -> landlock.Ruleset:
    rules = landlock.Ruleset(launch.abi)
    for path in launch.readable:
        for place, rights in landlock.without(path, launch.masks):
            rules.allow(place, rights)
    for name in _DEVICES:
        rules.allow(f"/dev/{name}", landlock.DEVICE)
    rules.allow(f"{launch.folder}/harness", landlock.LOOK)
    for name in ("scratch", "tmp"):
        rules.allow(f"{launch.folder}/{name}", landlock.keep(launch.abi))
    return rules


def _lend(lender: socket.socket, door: str, agent: int) -> None:
    """Answer every message with a connection to the gateway until the agent ends; nothing that comes is read."""
    poll = select.poll()
    poll.register(agent, select.POLLIN)
    if door:
        poll.register(lender, select.POLLIN)
    while True:
        events = dict(poll.poll())
        if agent in events:
            return
        if not lender.recv(16):
            poll.unregister(lender)
            continue
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            _answer(lender, door)


def _answer(lender: socket.socket, door: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(door)
        except OSError as error:
            lender.send(str(error).encode()[:200], socket.MSG_DONTWAIT)
            return
        connection.setblocking(True)
        socket.send_fds(lender, [b"connected"], [connection.fileno()], socket.MSG_DONTWAIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    launch: Launch
    order: Order
    uid: int | None


def _agent(cell: _Cell, rules: landlock.Ruleset, standard: tuple[int, ...], ends: tuple[int, int]) -> NoReturn:
    """Become the agent: nothing of the host's or the init's is left in reach when its code starts."""
    lender, told = ends
    order = cell.order
    try:
        os.setsid()
        program = kernel.Filter(build_lone_filter(kernel.MACHINE, is_owner=cell.uid is None))
        os.chdir(f"{cell.launch.folder}/harness")
        _limit(cell.launch.room, cell.uid)
        _drop_user(cell.uid)
        kernel.no_new_privileges()
        rules.apply()
        _arrange_descriptors(standard, lender, told, keeps_lender=order.command is None)
        program.install()
    except OSError as error:
        os.write(told, str(error).encode())
        os._exit(_SETUP_FAILED)
    if order.command is not None:
        _exec(order.command, order.env)
    python = cell.launch.python
    env = order.env if cell.launch.door else {k: v for k, v in order.env.items() if k != "HONE_SOCKET"}
    _exec((python, "-I", "-B", "-X", "utf8", "-c", _BOOT, cell.launch.library), env)


def _arrange_descriptors(standard: tuple[int, ...], lender: int, told: int, *, keeps_lender: bool) -> None:
    """Standard streams, the lender and, until the program starts, the pipe for troubles; no other one."""
    moved = [os.dup(fd) for fd in (lender, told)]
    high = [os.dup2(fd, 200 + place) for place, fd in enumerate(moved)]
    for place, fd in enumerate(standard):
        os.dup2(fd, place)
    os.dup2(high[0], LENDER_FD, inheritable=keeps_lender)
    os.dup2(high[1], LENDER_FD + 1, inheritable=False)
    os.closerange(LENDER_FD + 2, 1 << 16)


def _drop_user(uid: int | None) -> None:
    if uid is None:
        return
    kernel.drop_bounding()
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    kernel.set_capabilities(frozenset())


def _limit(room: Room, uid: int | None) -> None:
    n_processes = room.n_processes or 0
    if uid is None:
        n_processes += _tasks_of(os.getuid())  # the kernel counts all of this user's
    limits = (
        (resource.RLIMIT_CPU, room.cpu_s, room.cpu_s + 1),
        (resource.RLIMIT_FSIZE, room.scratch_bytes, room.scratch_bytes),
        (resource.RLIMIT_NOFILE, 1024, 1024),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 65536, 65536),
        (resource.RLIMIT_DATA, room.data_bytes or resource.RLIM_INFINITY, room.data_bytes or resource.RLIM_INFINITY),
        (resource.RLIMIT_NPROC, n_processes, n_processes),
    )
    for which, soft, hard in limits:
        _, ceiling = resource.getrlimit(which)
        top = ceiling if ceiling != resource.RLIM_INFINITY else hard
        resource.setrlimit(which, (min(soft, top), min(hard, top)))


def _tasks_of(uid: int) -> int:
    n_tasks = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid:
                    n_tasks += len(os.listdir(f"/proc/{name}/task"))
    return n_tasks


def _exec(command: tuple[str, ...], env: dict[str, str]) -> NoReturn:
    try:
        os.execvpe(command[0], list(command), env)
    except FileNotFoundError:
        message, code = f"{command[0]} is not inside the sandbox (PATH={env['PATH']})", _NOT_FOUND
    except (OSError, ValueError) as error:
        message, code = f"{command[0]} cannot be run: {error}", _NOT_EXECUTABLE
    os.write(2, f"hone: {message}\n".encode())
    os._exit(code)
