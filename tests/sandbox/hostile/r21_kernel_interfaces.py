import ctypes
import os

from attempts import attempt, run, syscall, tell

x86 = os.uname().machine == "x86_64"
blank = ctypes.create_string_buffer(256)
NUMBERS = {
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "io_uring_setup": (425, 425),
    "fanotify_init": (300, 262), "syslog": (103, 116), "acct": (163, 89), "swapon": (167, 224), "reboot": (169, 142),
    "personality": (135, 92), "memfd_secret": (447, 447), "unknown": (999, 999),
}  # fmt: skip
for name, (on_x86, on_arm) in NUMBERS.items():
    attempt(name, lambda number=on_x86 if x86 else on_arm: syscall(number, 0, blank, 0, 0, 0, 0))
if x86:
    attempt("x32", lambda: syscall(0x40000000 + 39))
tell()
