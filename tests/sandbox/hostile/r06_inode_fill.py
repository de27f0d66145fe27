from pathlib import Path

from attempts import SCRATCH, run, tell

n = 0
try:
    for n in range(100_000):
        Path(f"{SCRATCH}/{n}").touch()
except OSError as refused:
    tell(n=n, error=refused.strerror)
