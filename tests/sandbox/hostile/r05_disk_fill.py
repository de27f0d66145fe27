import os
import signal

from attempts import SCRATCH, TMP, attempt, outcomes, run, tell

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def fill(folder):
    n = 0
    for index in range(64):
        try:
            fd = os.open(f"{folder}/fill{index}", os.O_CREAT | os.O_WRONLY)
            while n < 2**30:
                n += os.write(fd, b"x" * 2**20)
        except OSError:
            if index == 0 and n == 0:
                raise
    return n


for label, place in (("/scratch", SCRATCH), ("/tmp", TMP)):
    outcomes[label] = fill(place)
    for name in os.listdir(place):
        os.unlink(f"{place}/{name}")
for place in ("/", "/dev", "/etc", "/run", "/run/hone", "/harness", "/hone/lib", "/usr", "/proc", "/root", "/doors"):
    attempt(place, lambda place=place: fill(place))
tell()
