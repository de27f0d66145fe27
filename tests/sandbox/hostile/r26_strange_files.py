import os

from attempts import SCRATCH, attempt, outcomes, run, tell

os.chdir(SCRATCH)
os.symlink("/etc/shadow", "link")
os.mkfifo("fifo")
attempt("hard link", lambda: os.link("/usr/bin/env", "hard"))


def sparse():
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("sparse", "wb") as huge:
        huge.truncate(2**40)


attempt("sparse", sparse)
depth = 0
try:
    for depth in range(1500):
        os.mkdir("d")
        os.chdir("d")
except OSError:
    pass
tell(depth=depth)
