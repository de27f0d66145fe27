import os
import time

from attempts import run, tell

for _ in range(3):
    if os.fork() == 0:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            pass
        os._exit(0)
for _ in range(3):
    os.wait()
tell()
