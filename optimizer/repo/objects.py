"""Blobs, trees and commits, made and read in the object database alone: no checkout, no index, no filter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, pairwise

from optimizer.domain.candidate import FileEdit
from optimizer.domain.errors import EditRefusedError, HarnessError, RepoError
from optimizer.repo.paths import safe_path
from optimizer.repo.plumbing import Plumbing
from optimizer.repo.values import CommitRef, HarnessFiles, Trees

MAX_FILES = 2000
MAX_BYTES = 20 * 2**20

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TREE, _FILE, _EXECUTABLE = "040000", "100644", "100755"
_KINDS = {"120000": "a symbolic link", "160000": "a submodule"}
_DIFF = ("diff-tree", "-r", "-p", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--unified=3")
_HONE = "hone"
_HONE_EMAIL = "hone@localhost"

_Change = tuple[tuple[str, ...], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a tree."""

    mode: str
    oid: str
    size: int | None
    """Bytes of a blob; None for anything else."""
    name: str
    """Path relative to the listed tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """The object database of one repository, seen from one harness folder in it."""

    git: Plumbing
    prefix: str
    """Harness folder relative to the repository, POSIX, no slash at the end; empty for the whole repository."""

    def resolve(self, revision: str, kind: str = "commit") -> str | None:
        """Full id of a revision, peeled to `kind` (`commit`, `tree`); None when there is no such thing."""
        if not revision or revision.startswith(("-", ":", "^", "@{")) or any(c in revision for c in "\n\0"):
            return None
        answer = self.git.ask("rev-parse", "--verify", "--quiet", f"{revision}^{{{kind}}}")
        oid = answer.out.decode("ascii", "replace").strip()
        return oid if answer.status == 0 and _OID.fullmatch(oid) else None

    def commit_id(self, revision: str) -> str:
        """Full id of a commit.

        Raises:
            RepoError: when there is no such commit.
        """
        oid = self.resolve(revision)
        if oid is None:
            raise RepoError(f"{revision!r} is not a commit of {self.git.cwd}. `git log --all --oneline` lists them.")
        return oid

    def describe(self, revision: str) -> CommitRef:
        """A commit with its trees and date."""
        commit = self.commit_id(revision)
        headers = self.git.run("cat-file", "commit", commit).partition(b"\n\n")[0].split(b"\n")
        fields = {key: value for key, _, value in (line.partition(b" ") for line in reversed(headers))}
        seconds = int(fields[b"committer"].rsplit(b" ", 2)[1])
        return CommitRef(
            commit=commit,
            tree=fields[b"tree"].decode("ascii"),
            harness_tree=self.harness_tree(commit),
            committed_at=datetime.fromtimestamp(seconds, UTC),
        )

    def message(self, commit: str) -> str:
        """The whole message of a commit."""
        body = self.git.run("cat-file", "commit", self.commit_id(commit)).partition(b"\n\n")[2]
        return body.decode("utf-8", "replace")

    def harness_tree(self, tree_ish: str) -> str:
        """Tree of the harness folder in a commit; a tree's id is taken as a harness tree already.

        Raises:
            HarnessError: when the commit does not hold the harness folder.
            RepoError: when there is neither such a commit nor such a tree.
        """
        commit = self.resolve(tree_ish)
        if commit is None:
            tree = self.resolve(tree_ish, "tree")
            if tree is None:
                raise RepoError(f"{tree_ish!r} is neither a commit nor a tree of {self.git.cwd}")
            return tree
        entry = self._entry_at(commit)
        if entry is None:
            raise HarnessError(
                f"commit {commit[:12]} holds no folder {self.prefix!r}. Commit the harness first:"
                f" `git add {self.prefix} && git commit`."
            )
        return entry

    def _entry_at(self, commit: str) -> str | None:
        if not self.prefix:
            return self.resolve(commit, "tree")
        answer = self.git.ask("rev-parse", "--verify", "--quiet", f"{commit}:{self.prefix}")
        oid = answer.out.decode("ascii", "replace").strip()
        return self.resolve(oid, "tree") if answer.status == 0 else None

    def read(self, tree_ish: str) -> HarnessFiles:
        """Every file of a harness, with its exact bytes.

        Raises:
            HarnessError: for symbolic links, submodules, more than 2000 files or 20 MiB, or a name that is not UTF-8.
        """
        entries = self._list(self.harness_tree(tree_ish), is_recursive=True)
        _check_harness(entries)
        return HarnessFiles(
            files=self._contents(entries),
            executable=frozenset(entry.name for entry in entries if entry.mode == _EXECUTABLE),
        )

    def write(self, base: str, edits: tuple[FileEdit, ...]) -> Trees:
        """Trees that hold the harness of `base` with `edits` applied; modes of edited files are kept.

        Raises:
            EditRefusedError: code `scope` or `apply`, for paths that may not or cannot be written.
        """
        changes = _changes(edits)
        commit = self.commit_id(base)
        root_tree = self.resolve(commit, "tree")
        assert root_tree is not None
        if not self.prefix:
            harness = self._apply(root_tree, changes) or self._make_tree(())
            return Trees(root=harness, harness=harness)
        harness = self._apply(self.harness_tree(commit), changes) or self._make_tree(())
        return Trees(root=self._graft(root_tree, tuple(self.prefix.split("/")), harness), harness=harness)

    def write_new(self, files: Mapping[str, bytes]) -> str:
        """Tree of a harness that starts from nothing."""
        edits = tuple(FileEdit(path=path, content=content) for path, content in files.items())
        return self._apply(None, _changes(edits)) or self._make_tree(())

    def commit(self, parents: tuple[str, ...], tree: str, message: str, *, at: datetime) -> str:
        """Make a commit by hone itself; equal arguments give an equal id, whoever runs it."""
        if at.tzinfo is None:
            raise ValueError(f"a commit date needs a time zone, got {at!r}")
        date = f"@{int(at.timestamp())} +0000"
        env = {
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", _HONE), ("EMAIL", _HONE_EMAIL), ("DATE", date))
        }
        links = [part for parent in parents for part in ("-p", parent)]
        return self.git.line("commit-tree", tree, *links, "-F", "-", stdin=message.encode("utf-8", "replace"), env=env)

    def diff(self, before: str, after: str) -> str:
        """Unified diff of the harness between two commits or harness trees; bytes that are not UTF-8 are replaced."""
        out = self.git.run(*_DIFF, self.harness_tree(before), self.harness_tree(after))
        return out.decode("utf-8", "replace")

    def changed_paths(self, commit: str) -> tuple[str, ...]:
        """Paths, relative to the repository, in which a commit differs from its first parent."""
        out = self.git.run("diff-tree", "-r", "--root", "--no-commit-id", "--name-only", "--no-renames", "-z", commit)
        return tuple(path.decode("utf-8", "surrogateescape") for path in out.split(b"\0") if path)

    def _list(self, tree: str, *, is_recursive: bool = False) -> tuple[Entry, ...]:
        flags = ("-r",) if is_recursive else ()
        out = self.git.run("ls-tree", "-z", "--long", "--full-tree", *flags, tree)
        return tuple(_entry(line) for line in out.split(b"\0") if line)

    def _contents(self, entries: tuple[Entry, ...]) -> Mapping[str, bytes]:
        feed = "".join(f"{entry.oid}\n" for entry in entries).encode("ascii")
        out = memoryview(self.git.run("cat-file", "--batch", stdin=feed))
        files: dict[str, bytes] = {}
        start = 0
        for entry in entries:
            header = f"{entry.oid} blob {entry.size}\n".encode("ascii")
            if bytes(out[start : start + len(header)]) != header:
                raise RepoError(f"blob {entry.oid} of {entry.name!r} is missing or damaged; run `git fsck`")
            start += len(header)
            end = start + (entry.size or 0)
            files[entry.name] = bytes(out[start:end])
            start = end + 1
        return files

    def _apply(self, tree: str | None, changes: tuple[_Change, ...]) -> str | None:
        """Rewrite one level of a tree and those below it; None when nothing is left of it."""
        entries = {} if tree is None else {entry.name: entry for entry in self._list(tree)}
        # The removal of a file comes before files in a folder of the same name.
        for name, group in groupby(changes, key=lambda change: change[0][0]):
            for is_here, part in groupby(group, key=lambda change: len(change[0]) == 1):
                here = tuple(part)
                new = self._leaf(entries.get(name), *here) if is_here else self._folder(entries.get(name), here)
                entries.pop(name, None)
                if new is not None:
                    entries[name] = new
        return self._make_tree(tuple(entries.values())) if entries else None

    def _leaf(self, old: Entry | None, change: _Change) -> Entry | None:
        (name,), content = change[0][-1:], change[1]
        if old is not None and old.mode == _TREE:
            raise EditRefusedError(
                "apply", f"{name!r} is a folder of the harness, so no file of that name can be edited"
            )
        if old is not None and old.mode in _KINDS:
            raise EditRefusedError("scope", f"{name!r} is {_KINDS[old.mode]}; only regular files can be edited")
        if content is None:
            if old is None:
                raise EditRefusedError("apply", f"{name!r} is to be removed but is not in the harness")
            return None
        oid = self.git.line("hash-object", "-w", "-t", "blob", "--stdin", "--no-filters", stdin=content)
        return Entry(mode=old.mode if old else _FILE, oid=oid, size=len(content), name=name)

    def _folder(self, old: Entry | None, changes: tuple[_Change, ...]) -> Entry | None:
        name = changes[0][0][0]
        if old is not None and old.mode != _TREE:
            raise EditRefusedError("apply", f"{name!r} is a file of the harness, so nothing can lie in it")
        below = tuple((names[1:], content) for names, content in changes)
        tree = self._apply(old.oid if old else None, below)
        return None if tree is None else Entry(mode=_TREE, oid=tree, size=None, name=name)

    def _graft(self, tree: str, names: tuple[str, ...], harness: str) -> str:
        """Root tree with the harness folder replaced and every neighbour kept."""
        entries = {entry.name: entry for entry in self._list(tree)}
        below = harness if len(names) == 1 else self._graft(entries[names[0]].oid, names[1:], harness)
        entries[names[0]] = Entry(mode=_TREE, oid=below, size=None, name=names[0])
        return self._make_tree(tuple(entries.values()))

    def _make_tree(self, entries: tuple[Entry, ...]) -> str:
        lines = (f"{entry.mode} {_type_of(entry.mode)} {entry.oid}\t{entry.name}\0" for entry in entries)
        return self.git.line("mktree", "-z", "--missing", stdin="".join(lines).encode("utf-8", "surrogateescape"))


def _changes(edits: tuple[FileEdit, ...]) -> tuple[_Change, ...]:
    changes = sorted(((safe_path(edit.path), edit.content) for edit in edits), key=lambda change: change[0])
    for (before, content), (after, _) in pairwise(changes):
        if before == after:
            raise EditRefusedError("apply", f"{'/'.join(before)!r} is edited twice in one candidate")
        if after[: len(before)] == before and content is not None:
            raise EditRefusedError("apply", f"{'/'.join(before)!r} cannot be a file and a folder in one candidate")
    return tuple(changes)


def _check_harness(entries: tuple[Entry, ...]) -> None:
    for entry in entries:
        if entry.mode in _KINDS:
            raise HarnessError(
                f"{entry.name!r} is {_KINDS[entry.mode]}; a harness holds regular files only."
                " Put the content there instead."
            )
        if any("\udc80" <= char <= "\udcff" for char in entry.name):
            raise HarnessError(f"the file name {entry.name!r} is not UTF-8; rename it")
    if len(entries) > MAX_FILES:
        raise HarnessError(
            f"the harness has {len(entries)} files, at most {MAX_FILES} are handled; move data elsewhere"
        )
    n_bytes = sum(entry.size or 0 for entry in entries)
    if n_bytes > MAX_BYTES:
        largest = max(entries, key=lambda entry: entry.size or 0)
        raise HarnessError(
            f"the harness has {n_bytes:,} bytes, at most {MAX_BYTES:,} are handled;"
            f" the largest file is {largest.name!r} with {largest.size:,}"
        )


def _entry(line: bytes) -> Entry:
    head, _, name = line.partition(b"\t")
    mode, _, oid, size = head.decode("ascii").split()
    return Entry(
        mode=mode, oid=oid, size=None if size == "-" else int(size), name=name.decode("utf-8", "surrogateescape")
    )


def _type_of(mode: str) -> str:
    return {_TREE: "tree", "160000": "commit"}.get(mode, "blob")
