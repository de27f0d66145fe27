"""Linux system calls that Python's standard library does not offer, through ctypes.

Every function raises OSError with the name of the call when the kernel refuses.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
from pathlib import Path
from typing import NoReturn

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 2

ATTR_RDONLY = 0x1
ATTR_NOSUID = 0x2
ATTR_NODEV = 0x4
ATTR_NOEXEC = 0x8
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

CAP_SETPCAP = 8
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
_N_CAPS = 64

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

MACHINE = platform.machine()
_NUMBERS = {
    "x86_64": {"pivot_root": 155, "capset": 126, "mount_setattr": 442, "keyctl": 250},
    "aarch64": {"pivot_root": 41, "capset": 91, "mount_setattr": 442, "keyctl": 219},
}
_EPERM = 1
_EINVAL = 22
_ENOSYS = 38
_EDQUOT = 122
_KEYCTL_JOIN_SESSION_KEYRING = 1
_HUGE = 2 * 2**20
_MADV_COLLAPSE = 25

_libc = ctypes.CDLL(None, use_errno=True)
# Declared once: a fresh fork makes these calls, where every object that is touched costs the copy of a page.
_libc.prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.unshare.argtypes = (ctypes.c_int,)
_libc.setns.argtypes = (ctypes.c_int, ctypes.c_int)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_fork = ctypes.PyDLL(None, use_errno=True).fork


def _refused(call: str) -> NoReturn:
    code = ctypes.get_errno()
    raise OSError(code, f"{call}: {os.strerror(code)}")


def _syscall(name: str, *args: object) -> None:
    number = _NUMBERS[MACHINE][name]
    if _libc.syscall(ctypes.c_long(number), *args) < 0:
        _refused(name)


def fork() -> int:
    """Fork a process of one thread, without the interpreter's work after a fork.

    That work (new locks, a fresh seed, a new list of threads) copies many pages. Nothing of it is needed where one
    thread holds no lock; what a harness may see of it, `run_agent` makes up for.
    """
    pid: int = _fork()
    if pid < 0:
        _refused("fork")
    return pid


def gather_memory() -> None:
    """Put this process's anonymous memory on huge pages where it can be.

    A fork then copies one entry where it copied 512, and so does the end of the child; a page that the child
    writes is still copied alone. Advice only: a kernel that knows it not, or has no huge page free, changes nothing.
    """
    for text in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        line = text.split()
        if line[1] == "rw-p" and (len(line) == 5 or line[5] == "[heap]"):
            start, end = (int(bound, 16) for bound in line[0].split("-"))
            start, end = -(-start // _HUGE) * _HUGE, end // _HUGE * _HUGE
            if start < end:
                _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_COLLAPSE)


def unshare(flags: int) -> None:
    """Leave the namespaces in `flags` for new ones."""
    if _libc.unshare(flags) < 0:
        _refused(f"unshare({flags:#x})")


def setns(fd: int, flags: int) -> None:
    """Join the namespace behind `fd`."""
    if _libc.setns(fd, flags) < 0:
        _refused("setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`."""
    if _libc.mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, options.encode()) < 0:
        _refused(f"mount {kind or 'bind'} {source} on {target}")


def bind(source: str, target: str, *, attributes: int = 0) -> None:
    """Bind `source` and what is mounted below it on `target`, then add `attributes` to all of it."""
    mount(source, target, flags=MS_BIND | MS_REC)
    if attributes:
        set_attributes(target, attributes, recursive=True)


def set_attributes(target: str, attributes: int, *, recursive: bool = False) -> None:
    """Add mount attributes, such as read-only, and keep those that are there."""
    attr = struct.pack("QQQQ", attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    _syscall(
        "mount_setattr",
        ctypes.c_int(_AT_FDCWD),
        os.fsencode(target),
        ctypes.c_uint(flags),
        attr,
        ctypes.c_size_t(len(attr)),
    )


def unmount(target: str) -> None:
    """Detach the mount at `target` from this namespace."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH) < 0:
        _refused(f"umount {target}")


def change_root(new_root: str) -> None:
    """Make `new_root` the only file system this mount namespace can see."""
    os.chdir(new_root)
    _syscall("pivot_root", b".", b".")
    unmount(".")
    os.chdir("/")


def _prctl(option: int, first: int = 0, second: int = 0) -> None:
    if _libc.prctl(option, first, second, 0, 0) < 0:
        _refused(f"prctl({option})")


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the parent dies, and leave at once if it already has."""
    _prctl(_PR_SET_PDEATHSIG, 9)
    if os.getppid() != parent:
        os._exit(1)


def set_dumpable(*, dumpable: bool) -> None:
    """Say whether others of the same user may look into this process."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def no_new_privileges() -> None:
    """Give up set-uid programs and file capabilities for good."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_bounding(*, keep: frozenset[int] = frozenset()) -> None:
    """Remove from the bounding set all capabilities but `keep`."""
    for cap in set(range(_N_CAPS)) - keep:
        try:
            _prctl(_PR_CAPBSET_DROP, cap)
        except OSError as error:
            if error.errno != _EINVAL:  # EINVAL: this kernel has fewer capabilities
                raise


def drop_bounding_of(caps: frozenset[int]) -> None:
    """Remove `caps` from the bounding set."""
    for cap in caps:
        _prctl(_PR_CAPBSET_DROP, cap)


def set_capabilities(caps: frozenset[int]) -> None:
    """Hold exactly `caps`, also through exec."""
    mask = sum(1 << cap for cap in caps)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("Ii", 0x20080522, 0)
    sets = struct.pack("6I", low, low, low, high, high, high)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    _syscall("capset", header, sets)
    for cap in caps:
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, cap)


class Filter:
    """A seccomp program in the form the kernel takes; made once, installed in every run."""

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(self._code))
        self._header = ctypes.create_string_buffer(header, len(header))
        self._address = ctypes.addressof(self._header)

    def install(self) -> None:
        """Put it on this thread and all it will start."""
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._address)


def loopback_up() -> None:
    """Bring `lo` up in the current network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH22x", b"lo", 0)
        flags = struct.unpack("16sH22x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))


def new_session_keyring() -> None:
    """Leave the session keyring that came with the login; a kernel without keyrings has none to leave."""
    try:
        _syscall("keyctl", ctypes.c_int(_KEYCTL_JOIN_SESSION_KEYRING), None)
    except OSError as error:
        if error.errno not in {_EPERM, _ENOSYS, _EDQUOT}:
            raise
