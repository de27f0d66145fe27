"""`hone init`: a new harness folder with its own repository and first commit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from optimizer.domain.errors import RepoError
from optimizer.repo.objects import Objects
from optimizer.repo.paths import safe_path
from optimizer.repo.plumbing import Plumbing, desk, outside, sealed
from optimizer.repo.values import NewHarness

BRANCH = "main"
MESSAGE = "Start from hone's harness template\n"
_NO_IDENTITY = (
    "git does not know who you are, so the first commit is by hone <hone@localhost>. Before `hone pick`, set"
    ' `git config --global user.name "Your Name"` and `git config --global user.email you@example.org`.'
)


def init_harness(template_files: Mapping[str, bytes], folder: Path) -> NewHarness:
    """Write the files into a new folder, start a repository there and commit them.

    Raises:
        RepoError: when the folder is not empty or cannot be written, or git is missing.
    """
    names = {path: safe_path(path) for path in template_files}
    _refuse_full(folder)
    try:
        for path, parts in names.items():
            target = folder.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(template_files[path])
    except OSError as error:
        raise RepoError(f"{error.filename or folder} cannot be written: {error.strerror}") from error
    around = _repository_around(folder)
    outside(folder).run("init", "--quiet", f"--initial-branch={BRANCH}")
    git_dir = folder.resolve() / ".git"
    commit, has_identity = _first_commit(git_dir, folder.resolve(), template_files)
    notes = (around, None if has_identity else _NO_IDENTITY)
    return NewHarness(commit=commit, branch=BRANCH, notes=tuple(note for note in notes if note))


def _refuse_full(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RepoError(f"{folder} is there already and not an empty folder; choose another name")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RepoError(f"the folder {folder} cannot be made: {error.strerror}") from error


def _repository_around(folder: Path) -> str | None:
    answer = outside(folder).ask("rev-parse", "--show-toplevel")
    if answer.status != 0:
        return None
    top = answer.out.decode("utf-8", "replace").strip()
    return (
        f"{folder} lies inside the repository {top} but has a repository of its own; add it to that one's .gitignore."
    )


def _first_commit(git_dir: Path, folder: Path, files: Mapping[str, bytes]) -> tuple[str, bool]:
    """The commit is made of the exact bytes; the index is filled afterwards so that the tree is clean."""
    objects = Objects(git=sealed(git_dir), prefix="")
    tree = objects.write_new(files)
    user = desk(git_dir, folder)
    has_identity = knows_user(user)
    if has_identity:
        commit = user.line("commit-tree", tree, "-F", "-", stdin=MESSAGE.encode())
    else:
        commit = objects.commit((), tree, MESSAGE, at=datetime.now(UTC))
    objects.git.run("update-ref", f"refs/heads/{BRANCH}", commit, env=_REFLOG)
    user.run("read-tree", "HEAD")
    user.ask("update-index", "-q", "--refresh")
    return commit, has_identity


_REFLOG: Mapping[str, str] = {"GIT_COMMITTER_NAME": "hone", "GIT_COMMITTER_EMAIL": "hone@localhost"}


def knows_user(user: Plumbing) -> bool:
    """True when a name and an address are configured; what git would guess from the host's name does not count."""
    strict = ("-c", "user.useConfigOnly=true")
    return all(user.ask(*strict, "var", f"GIT_{who}_IDENT").status == 0 for who in ("AUTHOR", "COMMITTER"))
