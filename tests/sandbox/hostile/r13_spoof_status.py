import json
import os

from attempts import attempt, run, tell

report = json.dumps({"status": 0, "cpu_s": 0.0}).encode()
for fd in range(3, 48):
    attempt(f"own{fd}", lambda fd=fd: os.write(fd, report))
    attempt(f"init{fd}", lambda fd=fd: os.write(os.open(f"/proc/1/fd/{fd}", os.O_WRONLY), report))
attempt("list", lambda: os.listdir("/proc/1/fd"))
tell(own_fds=sorted(int(fd) for fd in os.listdir("/proc/self/fd")))
os._exit(7)
