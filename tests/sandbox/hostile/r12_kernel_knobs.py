from attempts import attempt, run, tell


def write(path, text="x"):
    with open(path, "w") as knob:
        knob.write(text)


for path, text in {
    "/proc/sys/kernel/core_pattern": "|/tmp/x",
    "/proc/sys/kernel/modprobe": "/tmp/x",
    "/proc/sys/vm/drop_caches": "1",
    "/proc/sys/kernel/hostname": "x",
    "/proc/sys/net/ipv4/ip_forward": "1",
    "/proc/sysrq-trigger": "h",
    "/proc/self/oom_score_adj": "-1000",
    "/proc/1/oom_score_adj": "1000",
    "/proc/self/uid_map": "0 0 1",
    "/sys/fs/cgroup/x": "x",
}.items():
    attempt(path, lambda path=path, text=text: write(path, text))
for path in ("/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/tty", "/dev/kvm"):
    attempt(path, lambda path=path: open(path, "rb").read(1))
tell()
