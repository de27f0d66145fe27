import ctypes
import os
from pathlib import Path

from attempts import libc, run, tell

marks = [Path(folder, "mark") for folder in ("/scratch", "/tmp", "/dev/shm")]
found = [str(mark) for mark in marks if mark.exists()]
for mark in marks:
    mark.write_text("was here")
IPC_CREAT, IPC_EXCL = 0o1000, 0o2000
shm = libc.shmget(4711, 4096, IPC_CREAT | IPC_EXCL | 0o666)
sem = libc.semget(4711, 1, IPC_CREAT | IPC_EXCL | 0o666)
msg = libc.msgget(4711, IPC_CREAT | IPC_EXCL | 0o666)
mq = libc.syscall(
    240 if os.uname().machine == "x86_64" else 180, b"mark", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666, None
)
import random

tell(found=found, fresh=[shm >= 0, sem >= 0, msg >= 0, mq >= 0], lucky=random.random())
