import os

from attempts import run

while True:
    os.write(1, b"x" * 65536)
