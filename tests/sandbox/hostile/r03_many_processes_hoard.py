import os
import time

from attempts import run

for _ in range(8):
    if os.fork() == 0:
        keep = b"x" * (40 * 2**20)
        time.sleep(30)
        os._exit(0)
keep = b"x" * (40 * 2**20)
time.sleep(30)
