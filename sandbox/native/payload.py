"""A run as the warm server reads it: one memory file with a header and the harness, another with stdin."""

from __future__ import annotations

import fcntl
import json
import math
import os
from dataclasses import dataclass

from sandbox.contract import Limits, Spec
from sandbox.guest.layout import BASE_ENV, path_variable

_LENGTH_BYTES = 8
_ALL_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True, kw_only=True)
class PerProcess:
    """Limits for machines without control groups, where nothing counts the whole run."""

    data_bytes: int | None = None
    n_processes: int | None = None


class UnusableSpecError(Exception):
    """A spec that no backend could run; the message says which part."""


def base_env(prefix: str) -> dict[str, str]:
    """Every variable a run sees besides the spec's own; built from nothing."""
    return {"PATH": path_variable(prefix), **BASE_ENV}


def check(spec: Spec) -> None:
    """Raise UnusableSpecError for what a host must never have asked for."""
    for path in spec.files:
        parts = path.split("/")
        if not path or "\0" in path or any(part in {"", ".", ".."} for part in parts):
            raise UnusableSpecError(f"{path!r} is not a path inside the harness")
    for name, text in spec.env.items():
        if not name or "=" in name or "\0" in name + text:
            raise UnusableSpecError(f"{name!r} cannot be an environment variable")
    if spec.command is not None and (not spec.command or "\0" in "".join(spec.command)):
        raise UnusableSpecError(f"{spec.command!r} is not a command")


def encode_room(limits: Limits, per_process: PerProcess) -> bytes:
    """What the warm server must know to make a room; see `sandbox.guest.cell.Room`."""
    return json.dumps(
        {
            "cpu_s": max(1, math.ceil(limits.cpu_s)),
            "data_bytes": per_process.data_bytes,
            "n_processes": per_process.n_processes,
            "scratch_bytes": limits.scratch_bytes,
            "scratch_inodes": limits.scratch_inodes,
        }
    ).encode()


def encode(spec: Spec, *, prefix: str, door: str | None) -> int:
    """Write the order into a new memory file and return its descriptor."""
    header = json.dumps(
        {
            "files": [(path, len(content)) for path, content in spec.files.items()],
            "command": spec.command,
            "env": base_env(prefix) | dict(spec.env),
            "door": door,
        }
    ).encode()
    return memory_file([len(header).to_bytes(_LENGTH_BYTES, "big"), header, *spec.files.values()])


def memory_file(parts: list[bytes]) -> int:
    """An anonymous file with these bytes that nobody can change any more."""
    fd = os.memfd_create("hone", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _ALL_SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd
