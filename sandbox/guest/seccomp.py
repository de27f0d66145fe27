"""A small generator of seccomp filters (classic BPF) for x86_64 and aarch64.

Namespaces do not cover everything: AF_VSOCK reaches the hypervisor from any network namespace, keyrings are shared
by all processes of a user, and a user namespace hands out capabilities anew. The filter closes those doors. It
refuses what is listed, refuses every call newer than the list knows, and allows the rest.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

_LD_WORD = 0x20
_JEQ = 0x15
_JGT = 0x25
_JSET = 0x45
_AND = 0x54
_RET = 0x06

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000
EPERM = 1
EACCES = 13
ENOSYS = 38

_OFFSET_NUMBER = 0
_OFFSET_ARCH = 4

AF_UNIX = 1
INET_FAMILIES = (2, 10)
SOCK_STREAM = 1
SOCK_TYPE_MASK = 0xF
IPPROTO_TCP = 6
CLONE_NEW_ANY = 0x7E020000
TERMINAL_INJECTION = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX type into a terminal as if a person did."""
_NEWEST_KNOWN = 462

_COMMON = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "quotactl_fd": 443, "memfd_secret": 447, "process_mrelease": 448,
    "set_mempolicy_home_node": 450, "statmount": 457, "listmount": 458,
}  # fmt: skip
_X86_64 = _COMMON | {
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "unshare": 272, "setns": 308,
    "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "bpf": 321, "perf_event_open": 298,
    "userfaultfd": 323, "kexec_load": 246, "kexec_file_load": 320, "create_module": 174, "init_module": 175,
    "delete_module": 176, "get_kernel_syms": 177, "query_module": 178, "finit_module": 313,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "add_key": 248, "request_key": 249, "keyctl": 250,
    "acct": 163, "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171,
    "iopl": 172, "ioperm": 173, "quotactl": 179, "nfsservctl": 180, "syslog": 103, "settimeofday": 164,
    "clock_settime": 227, "adjtimex": 159, "clock_adjtime": 305, "lookup_dcookie": 212, "uselib": 134,
    "sysfs": 139, "_sysctl": 156, "vhangup": 153, "modify_ldt": 154, "personality": 135, "fanotify_init": 300,
    "fanotify_mark": 301, "move_pages": 279, "migrate_pages": 256, "mbind": 237, "set_mempolicy": 238,
}  # fmt: skip
_AARCH64 = _COMMON | {
    "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271, "kcmp": 272, "unshare": 97, "setns": 268,
    "mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "bpf": 280, "perf_event_open": 241,
    "userfaultfd": 282, "kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "delete_module": 106,
    "finit_module": 273, "name_to_handle_at": 264, "open_by_handle_at": 265, "add_key": 217, "request_key": 218,
    "keyctl": 219, "acct": 89, "swapon": 224, "swapoff": 225, "reboot": 142, "sethostname": 161,
    "setdomainname": 162, "quotactl": 60, "nfsservctl": 42, "syslog": 116, "settimeofday": 170,
    "clock_settime": 112, "adjtimex": 171, "clock_adjtime": 266, "lookup_dcookie": 18, "vhangup": 58,
    "personality": 92, "fanotify_init": 262, "fanotify_mark": 263, "move_pages": 239, "migrate_pages": 238,
    "mbind": 235, "set_mempolicy": 237,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a filter must know of one processor family."""

    audit_arch: int
    refused: dict[str, int]
    clone: int
    socket: int
    socketpair: int
    ioctl: int
    prlimit: int
    clone3: int = 435
    newest_known: int = field(default=_NEWEST_KNOWN)


MACHINES = {
    "x86_64": Machine(
        audit_arch=0xC000003E, refused=_X86_64, clone=56, socket=41, socketpair=53, ioctl=16, prlimit=302
    ),
    "aarch64": Machine(
        audit_arch=0xC00000B7, refused=_AARCH64, clone=220, socket=198, socketpair=199, ioctl=29, prlimit=261
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Op:
    code: int
    value: int
    if_true: int = 0
    if_false: int = 0

    def pack(self) -> bytes:
        return struct.pack("HBBI", self.code, self.if_true, self.if_false, self.value)


def _argument(index: int) -> _Op:
    """Load the low half of an argument; the kernel itself reads the arguments tested here as 32 bits."""
    return _Op(code=_LD_WORD, value=16 + 8 * index)


def _give(value: int) -> _Op:
    return _Op(code=_RET, value=value)


def _refuse(errno: int) -> _Op:
    return _give(_ERRNO | errno)


def _unless_equal(value: int, errno: int) -> list[_Op]:
    """Refuse with `errno` unless the accumulator equals `value`."""
    return [_Op(code=_JEQ, value=value, if_true=1), _refuse(errno)]


def _when(number: int, body: list[_Op]) -> list[_Op]:
    """Run `body`, which always ends in a return, for one system call."""
    return [_Op(code=_JEQ, value=number, if_false=len(body)), *body]


def _clone_rule() -> list[_Op]:
    return [
        _argument(0),
        _Op(code=_JSET, value=CLONE_NEW_ANY, if_false=1),
        _refuse(EPERM),
        _give(_ALLOW),
    ]


def _socket_rule(*, inet: bool) -> list[_Op]:
    """AF_UNIX always; with `inet` also TCP, which reaches nothing but the private loopback."""
    rule = [_argument(0), _Op(code=_JEQ, value=AF_UNIX, if_false=1), _give(_ALLOW)]
    if not inet:
        return [*rule, _refuse(EACCES)]
    first, second = INET_FAMILIES
    return [
        *rule,
        _Op(code=_JEQ, value=first, if_true=2),
        _Op(code=_JEQ, value=second, if_true=1),
        _refuse(EACCES),
        _argument(1),
        _Op(code=_AND, value=SOCK_TYPE_MASK),
        *_unless_equal(SOCK_STREAM, EACCES),
        _argument(2),
        _Op(code=_JEQ, value=0, if_true=2),
        *_unless_equal(IPPROTO_TCP, EACCES),
        _give(_ALLOW),
    ]


def _ioctl_rule() -> list[_Op]:
    rule = [_argument(1)]
    for request in TERMINAL_INJECTION:
        rule += [_Op(code=_JEQ, value=request, if_false=1), _refuse(EPERM)]
    return [*rule, _give(_ALLOW)]


def _prlimit_rule() -> list[_Op]:
    """Only a process's own limits: another's would let an agent starve the trusted init of its rollout."""
    return [_argument(0), *_unless_equal(0, EPERM), _give(_ALLOW)]


def build_filter(machine: str, *, inet: bool) -> bytes:
    """The filter of one run as BPF bytes; `inet` allows TCP sockets."""
    target = MACHINES[machine]
    program = [
        _Op(code=_LD_WORD, value=_OFFSET_ARCH),
        _Op(code=_JEQ, value=target.audit_arch, if_true=1),
        _give(_KILL_PROCESS),
        _Op(code=_LD_WORD, value=_OFFSET_NUMBER),
        # One comparison covers calls newer than the list and the x32 numbers of x86_64.
        _Op(code=_JGT, value=target.newest_known, if_false=1),
        _refuse(ENOSYS),
        *_when(target.clone3, [_refuse(ENOSYS)]),  # its flags are behind a pointer; libc falls back to clone
        *_when(target.clone, _clone_rule()),
        *_when(target.socket, _socket_rule(inet=inet)),
        *_when(target.socketpair, _socket_rule(inet=False)),
        *_when(target.ioctl, _ioctl_rule()),
        *_when(target.prlimit, _prlimit_rule()),
    ]
    for number in sorted(target.refused.values()):
        program += _when(number, [_refuse(EPERM)])
    program.append(_give(_ALLOW))
    return b"".join(op.pack() for op in program)
