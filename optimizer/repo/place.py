"""Find the repository a harness folder lies in, or say clearly why there is none that can be used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from optimizer.domain.errors import RepoError
from optimizer.repo.plumbing import outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a harness lies."""

    git_dir: Path
    """Of this work tree: `.git`, or `.git/worktrees/<name>` in a linked one."""
    work_tree: Path
    prefix: str
    """Harness folder relative to the work tree, POSIX; empty when they are the same."""


def find(folder: Path) -> Place:
    """Look the harness folder up.

    Raises:
        RepoError: no such folder, no git, no repository, a bare one, or one that belongs to somebody else.
    """
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.X_OK):
        raise RepoError(f"{folder} is not a folder that can be read. Name the folder that holds campaign.toml.")
    git = outside(folder.resolve())
    answer = git.ask("rev-parse", "--is-bare-repository", "--is-inside-work-tree")
    if answer.status != 0:
        raise RepoError(_why_not(folder, answer.err))
    is_bare, is_inside = (word == b"true" for word in answer.out.split())
    if is_bare or not is_inside:
        kind = "a bare repository" if is_bare else "inside a .git folder"
        raise RepoError(f"{folder} is {kind}; a harness needs files. Clone it: `git clone {folder} my-harness`.")
    return Place(
        git_dir=Path(git.line("rev-parse", "--absolute-git-dir")),
        work_tree=Path(git.line("rev-parse", "--show-toplevel")),
        prefix=git.line("rev-parse", "--show-prefix").removesuffix("/"),
    )


def _why_not(folder: Path, words: str) -> str:
    if "dubious ownership" in words or "unsafe repository" in words:
        return (
            f"git does not trust the repository at {folder}: it has dubious ownership (another user owns it)."
            f" If you trust it: `git config --global --add safe.directory {folder.resolve()}`."
        )
    if "not a git repository" in words:
        return (
            f"{folder} is not in a git repository, and a campaign is a series of commits."
            f" In that folder: `git init && git add -A && git commit -m 'First harness'`, or `hone init` a new one."
        )
    return f"git cannot open the repository at {folder}: {words or 'it gives no reason'}"
