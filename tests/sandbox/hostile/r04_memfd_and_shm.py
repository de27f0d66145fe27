import os
import signal

from attempts import attempt, run, tell

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def fill(fd):
    n = 0
    try:
        while n < 2**30:
            n += os.write(fd, b"x" * 2**20)
    except OSError:
        return n
    return n


sizes = {"memfd": fill(os.memfd_create("bomb")), "shm": fill(os.open("/dev/shm/bomb", os.O_CREAT | os.O_WRONLY))}
tell(**sizes)
