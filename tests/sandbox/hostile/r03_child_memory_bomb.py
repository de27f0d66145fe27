import os

from attempts import run, tell

child = os.fork()
if child == 0:
    hoard = []
    while True:
        hoard.append(b"x" * (8 * 2**20))
_, status = os.waitpid(child, 0)
tell(status=status)
