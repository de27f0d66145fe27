import ctypes
import os
import resource
import signal

from attempts import attempt, libc, outcomes, run, syscall, tell

x86 = os.uname().machine == "x86_64"
PTRACE, READV, WRITEV = (101, 310, 311) if x86 else (117, 270, 271)
buffer = ctypes.create_string_buffer(16)
for number in (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGKILL,
    signal.SIGSTOP,
    signal.SIGCHLD,
    signal.SIGPIPE,
):
    for target in {1, os.getppid()}:
        try:
            os.kill(target, number)
        except OSError as refused:
            outcomes[f"kill {target} {number}"] = str(refused)
attempt("ptrace", lambda: syscall(PTRACE, 16, 1, 0, 0))
attempt("ptrace_traceme", lambda: syscall(PTRACE, 0, 0, 0, 0))
attempt("process_vm_readv", lambda: syscall(READV, 1, buffer, 1, buffer, 1, 0))
attempt("process_vm_writev", lambda: syscall(WRITEV, 1, buffer, 1, buffer, 1, 0))
attempt("pidfd_getfd", lambda: syscall(438, os.pidfd_open(1), 3, 0))
attempt("kcmp", lambda: syscall(312 if x86 else 272, 1, os.getpid(), 0, 0, 0))
attempt("prlimit", lambda: resource.prlimit(1, resource.RLIMIT_CPU, (1, 1)))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
tell()
