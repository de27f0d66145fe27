"""Three-way merge of one file."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from optimizer.domain.errors import RepoError

MAX_CONFLICTS = 127
"""`git merge-file` exits with the number of conflicts, up to this; above it is an error, such as binary content."""


def merge_file(*, ours: bytes, base: bytes, theirs: bytes) -> bytes | None:
    """Bring the changes from `base` to `theirs` into `ours`; None when they conflict.

    Raises:
        RepoError: git cannot be run.
    """
    if theirs in {base, ours}:
        return ours
    if ours == base:
        return theirs
    with tempfile.TemporaryDirectory(prefix="hone-merge-") as name:
        folder = Path(name).resolve()
        for part, content in (("ours", ours), ("base", base), ("theirs", theirs)):
            (folder / part).write_bytes(content)
        return _run_git(folder)


def _run_git(folder: Path) -> bytes | None:
    """Run `git merge-file` on plain files, where no repository, configuration or hook is in reach."""
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }
    command = ["git", "merge-file", "-p", "-q", "ours", "base", "theirs"]
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=30, check=False)
    except FileNotFoundError as error:
        raise RepoError("git is not on the PATH; install it to merge playbook entries") from error
    return done.stdout if done.returncode == 0 else None
