"""`hone pick`: cherry-pick candidates onto the user's own branch. The one operation that touches a work tree.

Nothing of the picked commits is executed. Hooks are off, the user's own too: a configuration such as
`core.hooksPath = .githooks` would run scripts out of the tree that is being changed. Content filters and merge
drivers are named by `.gitattributes` in the tree and defined by the user's configuration; they are off (a warning
names the files), and a commit that changes `.gitattributes` or `.gitmodules` is refused unless forced.
Commits are not signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optimizer.domain.errors import RepoError
from optimizer.repo.birth import knows_user
from optimizer.repo.objects import Objects
from optimizer.repo.place import Place
from optimizer.repo.plumbing import Plumbing
from optimizer.repo.provenance import find_candidate
from optimizer.repo.refs import BRANCHES
from optimizer.repo.values import CandidateCommit, PickResult

_ACTIVE_FILES = frozenset({".gitattributes", ".gitmodules"})
_UNFINISHED = ("CHERRY_PICK_HEAD", "MERGE_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "sequencer")
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Picker:
    """Carries out one pick."""

    place: Place
    objects: Objects
    user: Plumbing

    def pick(self, commits: Sequence[str], *, onto: str | None, is_forced: bool) -> PickResult:
        """Check everything first, then pick all commits or none.

        Raises:
            RepoError: with the reason and the remedy; the checkout is as it was before.
        """
        branch = self._branch(onto)
        self._refuse_unready()
        wanted = tuple(dict.fromkeys(self.objects.commit_id(commit) for commit in commits))
        if not wanted:
            raise RepoError("no commit to pick was named")
        found = tuple(find_candidate(self.objects, commit) for commit in wanted)
        if not is_forced:
            for commit in wanted:
                self._refuse_active(commit)
        missing = _missing(found)
        before = self.objects.commit_id("HEAD")
        answer = self.user.ask("cherry-pick", "-x", *wanted)
        if answer.status != 0:
            raise RepoError(self._undo(before, answer.err, missing))
        made = self.objects.git.run("rev-list", "--reverse", "HEAD", f"^{before}").decode("ascii").split()
        return PickResult(branch=branch, commits=tuple(made), warnings=tuple(self._warnings(wanted, missing)))

    def _branch(self, onto: str | None) -> str:
        answer = self.objects.git.ask("symbolic-ref", "--quiet", "HEAD")
        ref = answer.out.decode("utf-8", "replace").strip()
        current = ref.removeprefix("refs/heads/")
        if answer.status != 0:
            raise RepoError(
                f"HEAD is detached, so there is no branch to pick onto: `git switch {onto or 'main'}` first"
            )
        if onto is not None and onto != current:
            raise RepoError(f"you are on {current}, not on {onto}: `git switch {onto}` first")
        if ref.startswith(BRANCHES):
            raise RepoError(f"{current} belongs to a campaign and only hone moves it: `git switch main` first")
        return current

    def _refuse_unready(self) -> None:
        for name in _UNFINISHED:
            if (self.place.git_dir / name).exists():
                raise RepoError(
                    f"another git operation is unfinished ({name}): finish or abort it (`git status`) first"
                )
        dirty = changed_files(self.user)
        if dirty:
            raise RepoError(
                f"the work tree has uncommitted changes in {_listed(dirty)}. Commit them or `git stash` first."
            )
        if not knows_user(self.user):
            raise RepoError(
                'git does not know who you are, and picked commits carry your name. `git config user.name "Your Name"`'
                " and `git config user.email you@example.org`, then pick again."
            )

    def _refuse_active(self, commit: str) -> None:
        for path in self.objects.changed_paths(commit):
            if path.rsplit("/", 1)[-1].casefold() in _ACTIVE_FILES:
                raise RepoError(
                    f"commit {commit[:12]} changes {path}, which decides what git does with other files."
                    f" Read it (`git show {commit[:12]}`) and force the pick if it is what you want."
                )

    def _undo(self, before: str, words: str, missing: tuple[str, ...]) -> str:
        """Put the checkout back and say what stood in the way."""
        conflicts = _paths(self.user.run("diff", "--name-only", "--diff-filter=U", "--no-ext-diff", "-z"))
        is_started = any((self.place.git_dir / name).exists() for name in ("CHERRY_PICK_HEAD", "sequencer"))
        if is_started:
            self.user.ask("cherry-pick", "--abort")
        if self.objects.commit_id("HEAD") != before or changed_files(self.user):
            return f"the pick failed and could not be undone: {words}. `git reset --merge {before[:12]}` puts it back."
        first = f" It builds on {_commits(missing)}, which are not on this branch: pick them first." if missing else ""
        if conflicts:
            return f"the pick conflicts in {_listed(conflicts)}; nothing was changed.{first}"
        if is_started and ("is now empty" in words or "nothing to commit" in words):
            return "the pick would change nothing: this edit is on the branch already"
        return f"git refused the pick and nothing was changed: {words}{first}"

    def _warnings(self, commits: tuple[str, ...], missing: tuple[str, ...]) -> Iterable[str]:
        if missing:
            yield f"picked without {_commits(missing)}, on which it was measured: its effect here is not known"
        paths = sorted({path for commit in commits for path in self.objects.changed_paths(commit)})
        filtered = self._filtered(paths)
        if filtered:
            yield f"content filters were off while {_listed(filtered)} were written: check them out again"
        if self._wants_signature():
            yield "the new commits are not signed; `git rebase --exec 'git commit --amend --no-edit -S'` signs them"

    def _wants_signature(self) -> bool:
        """The last setting is our own override; the one before it is what the user wants."""
        settings = self.user.run("config", "--type=bool", "--get-all", "commit.gpgSign").split()
        return settings[-2:-1] == [b"true"]

    def _filtered(self, paths: Sequence[str]) -> tuple[str, ...]:
        feed = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        fields = _paths(self.user.run("check-attr", "-z", "--stdin", "filter", stdin=feed))
        named = zip(fields[::3], fields[2::3], strict=True)
        return tuple(path for path, value in named if value not in {"unspecified", "unset"})


def changed_files(user: Plumbing, *, within: str | None = None) -> tuple[str, ...]:
    """Tracked files that differ from HEAD; with `within`, also files there that git does not know."""
    untracked = "no" if within is None else "all"
    flags = (
        "status",
        "--porcelain=v1",
        "-z",
        f"--untracked-files={untracked}",
        "--ignore-submodules=all",
        "--no-renames",
    )
    out = user.run(*flags, *(("--", within) if within else ()))
    return tuple(line[3:] for line in _paths(out))


def _missing(found: Iterable[CandidateCommit]) -> tuple[str, ...]:
    """Commits that later ones of the same pick build on, and that neither the branch nor the pick has."""
    picked: set[str] = set()
    missing: dict[str, None] = {}
    for candidate in found:
        missing.update(dict.fromkeys(commit for commit in candidate.prerequisites if commit not in picked))
        picked.add(candidate.commit)
    return tuple(missing)


def _paths(out: bytes) -> tuple[str, ...]:
    return tuple(part.decode("utf-8", "surrogateescape") for part in out.split(b"\0") if part)


def _listed(paths: Sequence[str]) -> str:
    shown = ", ".join(path.encode("utf-8", "replace").decode() for path in paths[:_SHOWN])
    return shown if len(paths) <= _SHOWN else f"{shown} and {len(paths) - _SHOWN} more"


def _commits(commits: Sequence[str]) -> str:
    return f"{len(commits)} earlier accepted commit(s) ({_listed([commit[:12] for commit in commits])})"
