# ruff: noqa: S108 - paths inside the sandbox
"""bubblewrap as launcher, for machines where it alone may make a user namespace (Ubuntu 24.04 and later).

It is started by an unprivileged user only: started by root it would leave the host's uid 0 inside, for which
/proc/sys/kernel/core_pattern is writable whatever capabilities were dropped. What it cannot give is stated in
`sandbox.native.way`.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from sandbox.guest.layout import DOORS, HARNESS
from sandbox.native.etc import ETC, INSIDE_UID

_PLACES = "/usr/bin:/bin:/usr/local/bin"
SERVER_CAPS_BY_NAME = ("CAP_SETPCAP", "CAP_NET_ADMIN", "CAP_SYS_ADMIN")
"""`SERVER_CAPS` as bubblewrap spells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubblewrap:
    """What the host says about one start."""

    program: str
    scratch_bytes: int | None = None
    """Size of each writable place of a cold run; None for a warm server, whose runs mount their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is seen inside."""

    binds: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    masks: tuple[str, ...]
    devices: tuple[str, ...]
    caps: tuple[str, ...]


def find() -> str:
    """The program. Raises FileNotFoundError or PermissionError with the reason why it cannot be used."""
    found = shutil.which("bwrap", path=_PLACES)
    if found is None:
        raise FileNotFoundError("bubblewrap is not installed (apt install bubblewrap)")
    if Path(found).stat().st_mode & stat.S_ISUID:
        raise PermissionError(f"{found} is set-uid root, which is not trusted here; remove the bit (chmod u-s)")
    return found


def prepare_kit(kit: Path, guest: Path) -> None:
    """Copy what bubblewrap binds as files, so that nobody's umask matters."""
    for source in guest.glob("*.py"):
        write_file(kit / "guest" / source.name, source.read_bytes(), 0o644)
    for name, text in ETC.items():
        write_file(kit / name.lstrip("/"), text.encode(), 0o644)


def write_file(path: Path, content: bytes, mode: int) -> None:
    """Write a new file that others can read, with folders that others can pass."""
    for folder in reversed([folder for folder in path.parents if not folder.exists()]):
        folder.mkdir()
        folder.chmod(0o755)
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        os.fchmod(fd, mode)


def kit_binds(kit: Path) -> tuple[tuple[str, str], ...]:
    """Where the kit appears inside."""
    etc = tuple((str(kit / name.lstrip("/")), name) for name in ETC)
    return ((str(kit / "guest"), "/hone/lib/sandbox/guest"), *etc)


def arguments(bwrap: Bubblewrap, view: View) -> list[str]:
    """The command line up to the program inside."""
    words = [bwrap.program, "--unshare-all", "--unshare-user", "--die-with-parent", "--as-pid-1"]
    words += ["--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID), "--cap-drop", "ALL"]
    for cap in view.caps:
        words += ["--cap-add", cap]
    for folder in ("/run/hone", "/dev/shm", "/scratch", HARNESS, DOORS):
        words += ["--dir", folder]
    for path, target in view.links:
        words += ["--symlink", target, path]
    for source, place in view.binds:
        words += ["--dev-bind" if place in view.devices else "--ro-bind", source, place]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        words += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    words += ["--symlink", "/proc/self/fd", "/dev/fd"]
    for mask in view.masks:
        words += ["--perms", "0755", "--size", "4096", "--tmpfs", mask, "--remount-ro", mask]
    words += [*_writable(bwrap.scratch_bytes), "--proc", "/proc", "--remount-ro", "/", "--chdir", "/", "--"]
    return words


def _writable(scratch_bytes: int | None) -> list[str]:
    """Places that can be written, of limited size; bubblewrap has no limit for the number of files."""
    if scratch_bytes is None:
        return ["--perms", "1777", "--size", str(16 * 2**20), "--tmpfs", "/tmp"]
    words: list[str] = []
    for place, mode in (("/scratch", "0700"), ("/tmp", "1777"), ("/dev/shm", "1777")):
        words += ["--perms", mode, "--size", str(scratch_bytes), "--tmpfs", place]
    return words
