"""What a container's own control group counts, read from inside it; standard library only."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the container's own control group counts."""

    cpu_s: float
    peak_memory_bytes: int | None
    n_oom_kills: int


def account() -> Account:
    """Read the container's control group, version 1 or 2; where there is none, what this process has waited for."""
    try:
        if (_GROUPS / "cgroup.controllers").exists():
            peak = _GROUPS / "memory.peak"
            return Account(
                cpu_s=_field(_GROUPS / "cpu.stat", "usage_usec") / 1e6,
                peak_memory_bytes=int(peak.read_text()) if peak.exists() else None,
                n_oom_kills=_field(_GROUPS / "memory.events", "oom_kill"),
            )
        return Account(
            cpu_s=int((_GROUPS / "cpuacct" / "cpuacct.usage").read_text()) / 1e9,
            peak_memory_bytes=int((_GROUPS / "memory" / "memory.max_usage_in_bytes").read_text()),
            n_oom_kills=_field(_GROUPS / "memory" / "memory.oom_control", "oom_kill"),
        )
    except (OSError, ValueError):
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Account(cpu_s=used.ru_utime + used.ru_stime, peak_memory_bytes=None, n_oom_kills=0)


def _field(path: Path, key: str) -> int:
    for line in path.read_text().splitlines():
        name, _, number = line.partition(" ")
        if name == key:
            return int(number)
    return 0
