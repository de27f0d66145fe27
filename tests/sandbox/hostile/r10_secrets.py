import os
import re

from attempts import attempt, run, tell

canary = os.environ["MARK_A"] + os.environ["MARK_B"]
seen = []


def look(where, raw):
    if canary.encode() in raw:
        seen.append(where)


def heap():
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps:
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if "rw" in line and "[v" not in line:
                memory.seek(low)
                raw = memory.read(high - low) or b""
                # The two halves and this very string are ours; a third party's copy would carry the key's name.
                look(f"memory {line.split()[-1]}", raw) if (b"SECRET_KEY=" + canary.encode()) in raw else None


for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
    for name in ("environ", "cmdline"):
        attempt(f"{pid}/{name}", lambda pid=pid, name=name: look(name, open(f"/proc/{pid}/{name}", "rb").read()))
look("environ", repr(dict(os.environ)).encode())
attempt("heap", heap)
attempt("init_environ", lambda: open("/proc/1/environ", "rb").read())
attempt("init_memory", lambda: open("/proc/1/mem", "rb").read(1))
attempt("init_maps", lambda: open("/proc/1/maps").read(1))
tell(seen=seen, names=sorted(os.environ))
