"""Finding control groups from what the kernel says about mounts and membership."""

from __future__ import annotations

from pathlib import Path

from sandbox.contract import Limits
from sandbox.native.cgroup import GroupsV2, Tree, mounted_trees, open_groups

V1 = """\
30 25 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
34 30 0:30 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
"""
V2 = "40 25 0:31 /user.slice /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_1_has_a_tree_per_controller_and_we_are_somewhere_in_each() -> None:
    own = "4:memory:/jobs/7\n3:cpu,cpuacct:/\n2:pids:/\n1:name=systemd:/\n"
    trees = {min(tree.controllers): tree for tree in mounted_trees(V1, own)}
    assert trees["memory"].own == Path("/sys/fs/cgroup/memory/jobs/7")
    assert trees["cpu"].controllers == {"cpu", "cpuacct"}
    assert trees["cpu"].own == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert not any(tree.is_v2 for tree in trees.values())


def test_version_2_has_one_tree_and_a_mount_may_show_only_a_part_of_it() -> None:
    (tree,) = mounted_trees(V2, "0::/user.slice/hone.scope\n")
    assert tree.is_v2
    assert tree.own == Path("/sys/fs/cgroup/hone.scope")


def test_without_writable_trees_there_are_no_groups(tmp_path: Path) -> None:
    assert open_groups("hone", ()) is None
    tree = Tree(controllers=frozenset({""}), mount=tmp_path, own=tmp_path, is_v2=True)
    (tmp_path / "cgroup.controllers").write_text("hugetlb\n")
    assert open_groups("hone", (tree,)) is None
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.controllers"]


def test_version_2_limits_are_written_in_its_own_words(tmp_path: Path) -> None:
    class Prepared(type(tmp_path)):  # type: ignore[misc]
        """A folder that fills with the kernel's files when it is made."""

        def mkdir(self, *args: object, **kwargs: object) -> None:
            super().mkdir()
            for name in ("memory.max", "memory.swap.max", "pids.max", "cpu.max", "cgroup.procs"):
                (self / name).touch()
            (self / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
            (self / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
            (self / "memory.peak").write_text("4096\n")

    groups = GroupsV2(tree=Prepared(tmp_path))
    group = groups.create("run1", Limits(memory_bytes=1000, pids=5))
    group.attach(42)
    usage = group.usage()
    assert (usage.cpu_s, usage.peak_memory_bytes, usage.n_oom_kills) == (1.5, 4096, 1)
    folder = tmp_path / "run1"
    assert (folder / "memory.max").read_text() == "1000"
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "pids.max").read_text() == "7"
    assert (folder / "cpu.max").read_text() == "100000 100000"
    assert (folder / "cgroup.procs").read_text() == "42"
