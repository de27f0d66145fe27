from pathlib import Path

from attempts import run, tell

n = 0
try:
    for n in range(100_000):
        Path(f"/scratch/{n}").touch()
except OSError as refused:
    tell(n=n, error=refused.strerror)
