"""Control groups: the account and the ceiling of a whole run, in memory, processes and CPU.

Version 1 and 2 of the kernel's interface look alike from here. Where neither can be written there is no group, the
sandbox says so in its level, and limits hold per process only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sandbox.contract import Limits

_PERIOD_US = 100_000
_REMOVE_PATIENCE_S = 5.0
_V2_CONTROLLERS = ("memory", "pids", "cpu")
_SPARE_PROCESSES = 2
"""The init and the relay of a run, which are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one run has used so far."""

    cpu_s: float
    peak_memory_bytes: int
    n_oom_kills: int


class RunGroup(Protocol):
    """The group of one run."""

    def attach(self, pid: int) -> None:
        """Put a process, and all it will start, into the group."""
        ...

    def cpu_s(self) -> float:
        """CPU seconds used by the whole run so far."""
        ...

    def usage(self) -> Usage:
        """The whole account."""
        ...

    def remove(self) -> None:
        """Remove the group; its processes are gone."""
        ...


class Groups(Protocol):
    """Where runs get their groups."""

    @property
    def version(self) -> str:
        """Its name in the sandbox's level."""
        ...

    @property
    def folders(self) -> tuple[Path, ...]:
        """What must be gone when the sandbox is."""
        ...

    def create(self, name: str, limits: Limits) -> RunGroup:
        """A new group with limits set and nothing in it."""
        ...


def _write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _number(path: Path) -> int:
    return int(path.read_bytes())


def _field(path: Path, key: bytes) -> int:
    """One number of a file with lines of `key number`; 0 when the kernel does not offer it."""
    for line in path.read_bytes().splitlines():
        name, _, number = line.partition(b" ")
        if name == key:
            return int(number)
    return 0


def remove_folders(folders: tuple[Path, ...]) -> None:
    """Remove groups and the groups below them; waits a little for processes that are still dying."""
    for folder in folders:
        if folder.is_dir():
            for child in [entry for entry in folder.iterdir() if entry.is_dir()]:
                _remove(child)
            _remove(folder)


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _REMOVE_PATIENCE_S
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunV1:
    folders: Mapping[str, Path]

    def attach(self, pid: int) -> None:
        for folder in set(self.folders.values()):
            _write(folder / "cgroup.procs", str(pid))

    def cpu_s(self) -> float:
        return _number(self.folders["cpuacct"] / "cpuacct.usage") / 1e9

    def usage(self) -> Usage:
        memory = self.folders["memory"]
        return Usage(
            cpu_s=self.cpu_s(),
            peak_memory_bytes=_number(memory / "memory.max_usage_in_bytes"),
            n_oom_kills=_field(memory / "memory.oom_control", b"oom_kill"),
        )

    def remove(self) -> None:
        for folder in set(self.folders.values()):
            _remove(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsV1:
    """Four controllers, each with a tree of its own."""

    trees: Mapping[str, Path]
    version: str = "cgroup-v1"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Our folder in each tree."""
        return tuple(sorted(set(self.trees.values())))

    def create(self, name: str, limits: Limits) -> RunGroup:
        """A folder of this name in each tree."""
        folders = {controller: tree / name for controller, tree in self.trees.items()}
        for folder in set(folders.values()):
            folder.mkdir()
        memory = folders["memory"]
        _write(memory / "memory.limit_in_bytes", str(limits.memory_bytes))
        with contextlib.suppress(OSError):  # exists only where swap is accounted for
            _write(memory / "memory.memsw.limit_in_bytes", str(limits.memory_bytes))
        _write(folders["pids"] / "pids.max", str(limits.pids + _SPARE_PROCESSES))
        _write(folders["cpu"] / "cpu.cfs_period_us", str(_PERIOD_US))
        _write(folders["cpu"] / "cpu.cfs_quota_us", str(_PERIOD_US))
        return _RunV1(folders=folders)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunV2:
    folder: Path

    def attach(self, pid: int) -> None:
        _write(self.folder / "cgroup.procs", str(pid))

    def cpu_s(self) -> float:
        return _field(self.folder / "cpu.stat", b"usage_usec") / 1e6

    def usage(self) -> Usage:
        peak = self.folder / "memory.peak"  # since Linux 5.19
        return Usage(
            cpu_s=self.cpu_s(),
            peak_memory_bytes=_number(peak) if peak.exists() else 0,
            n_oom_kills=_field(self.folder / "memory.events", b"oom_kill"),
        )

    def remove(self) -> None:
        _remove(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsV2:
    """One tree for all controllers."""

    tree: Path
    version: str = "cgroup-v2"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Our folder in the tree."""
        return (self.tree,)

    def create(self, name: str, limits: Limits) -> RunGroup:
        """A folder of this name."""
        folder = self.tree / name
        folder.mkdir()
        _write(folder / "memory.max", str(limits.memory_bytes))
        with contextlib.suppress(FileNotFoundError):  # exists only where swap is accounted for
            _write(folder / "memory.swap.max", "0")
        _write(folder / "pids.max", str(limits.pids + _SPARE_PROCESSES))
        _write(folder / "cpu.max", f"{_PERIOD_US} {_PERIOD_US}")
        return _RunV2(folder=folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One mounted hierarchy and where this process is in it."""

    controllers: frozenset[str]
    mount: Path
    own: Path
    is_v2: bool


def mounted_trees(mountinfo: str, own_groups: str) -> tuple[Tree, ...]:
    """Parse /proc/self/mountinfo and /proc/self/cgroup."""
    own_paths: dict[str, str] = {}
    for line in own_groups.splitlines():
        _, names, path = line.split(":", 2)
        own_paths.update(dict.fromkeys(names.split(","), path))
    trees: list[Tree] = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind not in {"cgroup", "cgroup2"}:
            continue
        root, mount = before.split(" ")[3:5]
        controllers = frozenset(options.split(",")) & own_paths.keys() if kind == "cgroup" else frozenset({""})
        if controllers and controllers <= own_paths.keys():
            own = _below(Path(mount), root, own_paths[min(controllers)])
            trees.append(Tree(controllers=controllers, mount=Path(mount), own=own, is_v2=kind == "cgroup2"))
    return tuple(trees)


def _below(mount: Path, root: str, path: str) -> Path:
    """The folder of group `path` in a mount that shows the hierarchy from `root` on."""
    inner = path.removeprefix(root) if root != "/" else path
    return mount / inner.lstrip("/")


def open_groups(name: str, trees: tuple[Tree, ...]) -> Groups | None:
    """Make our own folder where the machine lets us; None where it does not."""
    return _open_v2(name, trees) or _open_v1(name, trees)


def own_trees() -> tuple[Tree, ...]:
    """The hierarchies of this machine."""
    try:
        return mounted_trees(
            Path("/proc/self/mountinfo").read_text(encoding="utf-8"),
            Path("/proc/self/cgroup").read_text(encoding="utf-8"),
        )
    except OSError:
        return ()


def _open_v1(name: str, trees: tuple[Tree, ...]) -> Groups | None:
    found: dict[str, Path] = {}
    for tree in trees:
        for controller in {"memory", "pids", "cpu", "cpuacct"} & tree.controllers:
            base = tree.own if tree.own.is_dir() else tree.mount
            found[controller] = base / name
    if len(found) < 4:
        return None
    made: list[Path] = []
    try:
        for folder in sorted(set(found.values())):
            folder.mkdir()
            made.append(folder)
        groups = GroupsV1(trees=found)
        _try_out(groups)
    except OSError:
        remove_folders(tuple(made))
        return None
    return groups


def _open_v2(name: str, trees: tuple[Tree, ...]) -> Groups | None:
    for tree in trees:
        if not tree.is_v2:
            continue
        # As root the top of the tree, which may hold processes and children at once; else what was delegated to us.
        for base in (tree.mount, tree.own):
            groups = _try_v2(base, name)
            if groups is not None:
                return groups
    return None


def _try_v2(base: Path, name: str) -> Groups | None:
    offered = (base / "cgroup.controllers").read_text().split() if (base / "cgroup.controllers").exists() else []
    if not set(_V2_CONTROLLERS) <= set(offered) or not os.access(base, os.W_OK):
        return None
    folder = base / name
    enable = " ".join(f"+{controller}" for controller in _V2_CONTROLLERS)
    try:
        _hand_down(base, enable)
        folder.mkdir()
        _write(folder / "cgroup.subtree_control", enable)
        groups = GroupsV2(tree=folder)
        _try_out(groups)
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return None
    return groups


def _hand_down(base: Path, enable: str) -> None:
    """Let children of `base` have the controllers; a group with processes must first move them into a leaf."""
    try:
        _write(base / "cgroup.subtree_control", enable)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        leaf = base / "hone-host"
        leaf.mkdir(exist_ok=True)
        for pid in (base / "cgroup.procs").read_text().split():
            _write(leaf / "cgroup.procs", pid)
        _write(base / "cgroup.subtree_control", enable)


def _try_out(groups: Groups) -> None:
    """Probe by doing: a group that cannot be made, limited and read is no group."""
    group = groups.create("probe", Limits())
    try:
        group.usage()
    finally:
        group.remove()
