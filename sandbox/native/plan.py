"""What a sandbox can see of this machine: the shortest list with which programs and the harness environment run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import HarnessEnvironment

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = ("/etc/ld.so.cache", "/etc/alternatives")
_PACKAGE_FOLDERS = (
    "usr/lib/python3/dist-packages",
    "usr/lib/python3*/site-packages",
    "usr/local/lib/python3*/dist-packages",
    "usr/local/lib/python3*/site-packages",
)
_PRIVATE = ("/tmp", "/scratch", "/dev", "/proc", "/run", "/harness", "/hone", "/etc")  # noqa: S108 - the sandbox's own
_MOVED = "/hone/env"
GUEST = Path(__file__).resolve().parent.parent / "guest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What appears read-only, and where; `masks` are folders that appear empty."""

    binds: tuple[tuple[str, str], ...]
    """Source on the host and path inside, which is the same wherever that can be."""
    links: tuple[tuple[str, str], ...]
    """Path of a symbolic link and where it points."""
    masks: tuple[str, ...]


def plan_view(environment: HarnessEnvironment) -> Plan:
    """The view for one harness environment."""
    links = tuple((path, str(Path(path).readlink())) for path in _SYSTEM if Path(path).is_symlink())
    binds = [path for path in _SYSTEM if Path(path).is_dir() and not Path(path).is_symlink()]
    for folder in _interpreter_folders(environment):
        _add(binds, folder)
    # Packages of the base interpreter may hold the optimizer and the benchmarks' answers.
    masks = [str(found) for pattern in _PACKAGE_FOLDERS for found in Path("/").glob(pattern)]
    for folder in _interpreter_folders(environment):
        masks += [str(found) for found in Path(folder).glob("lib/python3*/site-packages")]
    binds += [path for path in _ETC if Path(path).exists()]
    pairs = [(path, path) for path in binds]
    prefix = str(environment.prefix)
    if inside(environment) != prefix or not _is_covered(binds, prefix):
        pairs.append((prefix, inside(environment)))
    return Plan(binds=tuple(pairs), links=links, masks=tuple(sorted(set(masks))))


def inside(environment: HarnessEnvironment) -> str:
    """Where the harness environment is seen: at its own path, unless a run has something of its own there."""
    is_hidden = any(environment.prefix.is_relative_to(place) for place in _PRIVATE)
    return _MOVED if is_hidden else str(environment.prefix)


def _is_covered(binds: list[str], folder: str) -> bool:
    return any(Path(folder).is_relative_to(seen) for seen in binds)


def _add(binds: list[str], folder: str) -> None:
    """Add a folder unless one that is already visible contains it."""
    if not _is_covered(binds, folder):
        binds.append(folder)


def _interpreter_folders(environment: HarnessEnvironment) -> tuple[str, ...]:
    """The base interpreter by the name it goes by and by the name it really has."""
    base = str(environment.base_prefix)
    real = Path(os.path.realpath(environment.python)).parent.parent
    return tuple(dict.fromkeys((base, os.path.realpath(base), str(real))))
