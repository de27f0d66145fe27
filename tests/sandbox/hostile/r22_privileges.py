import fcntl
import os
import resource
import subprocess
import time

from attempts import SCRATCH, attempt, run, tell


def program(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    if done.returncode:
        raise PermissionError(done.stderr[-100:])
    return done.stdout


attempt("mknod", lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(8, 0)))
attempt("setuid", lambda: os.setuid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("su", lambda: program("su", "-c", "id"))
attempt("mount", lambda: program("mount", "-t", "tmpfs", "none", "/tmp"))
attempt("raise_limit", lambda: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6)))
attempt("nice", lambda: os.nice(-5))
attempt("settime", lambda: time.clock_settime(time.CLOCK_REALTIME, 0))
attempt("tiocsti", lambda: fcntl.ioctl(0, 0x5412, b"x"))
attempt("ctty", lambda: os.open("/dev/tty", os.O_RDWR))
attempt("chown", lambda: os.chown(SCRATCH, 0, 0))
os.mkfifo(f"{SCRATCH}/fifo")
with open("/proc/self/status") as status:
    facts = dict(line.split(":\t", 1) for line in status.read().splitlines() if ":\t" in line)
tell(
    uid=os.getuid(), caps=[facts[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh")],
    nnp=facts["NoNewPrivs"], seccomp=facts["Seccomp"], groups=facts["Groups"],
)  # fmt: skip
