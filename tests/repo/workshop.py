"""Real repositories to test on, and hashes of all that must not change."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from optimizer.domain.candidate import FileEdit
from optimizer.repo.harness import HarnessRepo

AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
FILES: Mapping[str, bytes] = {
    "agent.py": b"async def run(session):\n    await session.submit()\n",
    "prompts/system.md": b"Be kind.\n",
    "prompts/deep/er/note.md": b"n\n",
    "campaign.toml": b"[campaign]\nname = 'demo'\n",
}


def git(folder: Path, *args: str, stdin: bytes | None = None) -> str:
    """The user's own git, with the user's own settings."""
    done = subprocess.run(["git", "-C", str(folder), *args], check=True, capture_output=True, input=stdin)
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put files into a folder."""
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def make_repo(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """A repository with one commit by Ann."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main", "--template=")
    with (folder / ".git" / "config").open("a") as config:
        config.write("[user]\n\tname = Ann\n\temail = ann@example.org\n")
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def edit(path: str, content: bytes | None) -> FileEdit:
    """One edit."""
    return FileEdit(path=path, content=content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """A harness and the campaign on it."""

    folder: Path
    repo: HarnessRepo

    def candidate(self, *edits: FileEdit, message: str = "Change\n\nHone-Candidate: 1\n", parent: str = "") -> str:
        """A candidate commit on the trunk (or another parent)."""
        base = parent or self.repo.trunk() or self.repo.head().commit
        trees = self.repo.write_tree(base, edits)
        return self.repo.commit(base, trees.root, message, at=AT)

    def accept(self, *edits: FileEdit, message: str = "Change\n\nHone-Candidate: 1\n") -> str:
        """A candidate that is accepted."""
        old = self.repo.trunk()
        commit = self.candidate(*edits, message=message)
        self.repo.advance(commit, expected_old=old)
        return commit


def open_workshop(folder: Path, campaign: str = "demo") -> Workshop:
    """Open a harness and begin a campaign at HEAD."""
    repo = HarnessRepo.open(folder, campaign=campaign)
    repo.begin(repo.head().commit)
    return Workshop(folder=folder, repo=repo)


def picture(folder: Path, *, is_index_exact: bool = True) -> str:
    """Hash of what is the user's: work tree with modes, index, HEAD and branches that are not hone's.

    Without `is_index_exact` the index counts by what it holds and not by the file times it remembers.
    """
    digest = hashlib.sha256()
    for root, folders, names in os.walk(folder):
        if Path(root) == folder and ".git" in folders:
            folders.remove(".git")
        for name in sorted(names):
            path = Path(root, name)
            digest.update(f"{path.relative_to(folder)} {path.lstat().st_mode} ".encode("utf-8", "surrogateescape"))
            digest.update(str(path.readlink()).encode() if path.is_symlink() else path.read_bytes())
        folders.sort()
    digest.update(git(folder, "ls-files", "--stage").encode("utf-8", "surrogateescape"))
    for name in ("HEAD", "config", *(["index"] if is_index_exact else [])):
        digest.update((folder / ".git" / name).read_bytes())
    refs = git(folder, "for-each-ref", "--format=%(refname) %(objectname)")
    digest.update("\n".join(line for line in refs.split("\n") if "/hone/" not in line).encode())
    return digest.hexdigest()
