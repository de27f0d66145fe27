import os
import time

from attempts import run

os.write(1, b"last words")
for fd in (0, 1, 2):
    os.close(fd)
time.sleep(0.2)
os._exit(3)
