import ctypes
import os

from attempts import attempt, libc, run, syscall, tell

x86 = os.uname().machine == "x86_64"
CLONE, UNSHARE, SETNS, MOUNT, UMOUNT, PIVOT, CHROOT = (
    (56, 272, 308, 165, 166, 155, 161) if x86 else (220, 97, 268, 40, 39, 41, 51)
)
FLAGS = {"user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "net": 0x40000000, "time": 0x80}
for name, flag in FLAGS.items():
    attempt(f"unshare {name}", lambda flag=flag: syscall(UNSHARE, flag))
for name, flag in FLAGS.items():
    if name != "time":
        attempt(f"clone {name}", lambda flag=flag: syscall(CLONE, flag | 17, 0, 0, 0, 0))
arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
attempt("clone3", lambda: syscall(435, arguments, 88))
attempt("setns", lambda: syscall(SETNS, os.open("/proc/self/ns/net", os.O_RDONLY), 0))
attempt("mount", lambda: syscall(MOUNT, b"tmpfs", b"/tmp", b"tmpfs", 0, b""))
attempt("remount", lambda: syscall(MOUNT, b"none", b"/harness", None, 0x1020, None))
attempt("umount", lambda: syscall(UMOUNT, b"/harness", 2))
attempt("pivot_root", lambda: syscall(PIVOT, b"/tmp", b"/tmp"))
attempt("chroot", lambda: syscall(CHROOT, b"/tmp"))
attempt("open_tree", lambda: syscall(428, -100, b"/", 1))
attempt("fsopen", lambda: syscall(430, b"tmpfs", 0))
attempt("mount_setattr", lambda: syscall(442, -100, b"/harness", 0, (ctypes.c_uint64 * 4)(), 32))
tell()
