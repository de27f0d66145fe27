import os
import sys
from pathlib import Path

from attempts import attempt, outcomes, run, tell

for name in os.environ["PATHS"].split(":"):
    attempt(name, lambda name=name: os.stat(name))
attempt("init_root", lambda: os.listdir("/proc/1/root"))
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("home", lambda: os.listdir("/home"))
attempt("var", lambda: os.listdir("/var"))
attempt("sys", lambda: os.listdir("/sys"))
for name in ("devices", "class", "block", "module", "kernel", "bus", "firmware"):
    attempt(f"sys/{name}", lambda name=name: os.listdir(f"/sys/{name}")[0])
for module in ("optimizer", "benchmarks", "pip_audit", "litellm", "pytest"):
    attempt(f"import {module}", lambda module=module: __import__(module))
root = sorted(os.listdir("/"))
packages = [str(found) for found in Path(sys.base_prefix).glob("lib/python3*/site-packages/*")]
tell(root=root, packages=packages, pids=sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit()))
