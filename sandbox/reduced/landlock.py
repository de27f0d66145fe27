"""Landlock through its three system calls: what may be read, executed and written, and nothing else.

A rule grants to a whole tree; nothing can be carved out of it. `stat` is never refused by Landlock.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_TRUNCATE = 1 << 14
_N_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
_FS_RIGHTS_NEWEST = 16
_MAKE_DEVICES = 1 << 6 | 1 << 11
_ALL_TCP = 0b11
_ALL_SCOPES = 0b11
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

LOOK = _READ_FILE | _READ_DIR | _EXECUTE
LIST = _READ_DIR
DEVICE = _READ_FILE | _WRITE_FILE
SCOPES_SINCE = 6
"""ABI from which signals to processes outside are refused."""

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    found: int = _libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION)
    return max(found, 0)


def _checked(call: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")
    return result


def all_rights(version: int) -> int:
    """Every right on files that this version knows."""
    return (1 << _N_FS_RIGHTS.get(version, _FS_RIGHTS_NEWEST)) - 1


def keep(version: int) -> int:
    """All rights a run has in its own folders: all but making devices."""
    return all_rights(version) & ~_MAKE_DEVICES


class Ruleset:
    """Rules that are being collected; opened by a user who can pass all folders, applied by one who may not."""

    def __init__(self, version: int) -> None:
        self._handled = all_rights(version)
        attributes = struct.pack("QQQ", self._handled, _ALL_TCP, _ALL_SCOPES)
        size = 24 if version >= SCOPES_SINCE else 16 if version >= 4 else 8
        made = _libc.syscall(ctypes.c_long(_CREATE_RULESET), attributes, ctypes.c_size_t(size), 0)
        self._fd = _checked("landlock_create_ruleset", made)

    def allow(self, path: str, rights: int) -> None:
        """Grant rights below `path`."""
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            wanted = rights & self._handled
            if not Path(path).is_dir():
                wanted &= _OF_FILES
            rule = struct.pack("=Qi", wanted, place)
            _checked(
                f"landlock_add_rule {path}",
                _libc.syscall(ctypes.c_long(_ADD_RULE), self._fd, _RULE_PATH_BENEATH, rule, 0),
            )
        finally:
            os.close(place)

    def apply(self) -> None:
        """Restrict this process and all it will start, for good. New privileges must be given up before."""
        _checked("landlock_restrict_self", _libc.syscall(ctypes.c_long(_RESTRICT_SELF), self._fd, 0))
        os.close(self._fd)


def without(path: str, masks: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Grants for `path` except what is below a mask: there names can be listed, and no file can be opened."""
    if path in masks:
        return
    if not any(mask.startswith(f"{path}/") for mask in masks):
        yield path, LOOK
        return
    yield path, LIST
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if not entry.is_symlink():
                yield from without(entry.path, masks)
