import os
import time

from attempts import run, tell

n = 0
error = ""
try:
    while n < 2000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        n += 1
except OSError as refused:
    error = refused.strerror
tell(n=n, error=error)
