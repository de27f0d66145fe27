import time

from attempts import run

print("before", flush=True)
time.sleep(600)
