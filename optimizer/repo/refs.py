"""The refs of one campaign: compare-and-swap, and doing a thing twice is doing it once.

refs/heads/hone/<campaign>               the trunk: base, then the accepted commits
refs/hone/<campaign>/base                where the campaign started
refs/hone/<campaign>/candidates/<n>      being judged; keeps the commit alive through a `git gc`
refs/hone/<campaign>/rejected/<n>        judged and not taken; kept for ever
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from optimizer.domain.errors import RepoError
from optimizer.repo.plumbing import Plumbing

BRANCHES = "refs/heads/hone/"
HIDDEN = "refs/hone/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignRefs:
    """Reads and moves the refs of one campaign and no others."""

    git: Plumbing
    campaign: str

    @property
    def trunk(self) -> str:
        """Full name of the accepted branch."""
        return BRANCHES + self.campaign

    @property
    def base(self) -> str:
        """Full name of the ref at the first commit of the campaign."""
        return f"{HIDDEN}{self.campaign}/base"

    def at(self, ref: str) -> str | None:
        """Commit a ref points at; None when there is no such ref."""
        answer = self.git.ask("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return answer.out.decode("ascii").strip() if answer.status == 0 else None

    def begin(self, base: str) -> None:
        """Set the base and the trunk of a new campaign; one that has begun at the same commit is left alone.

        Raises:
            RepoError: when the name is taken by a campaign that began elsewhere.
        """
        known = self.at(self.base)
        if known is None:
            self._refuse_taken_branch(base)
            self._swap(self.base, base, None)
        elif known != base:
            raise RepoError(
                f"the campaign {self.campaign!r} began at {known[:12]}, not at {base[:12]}."
                " Choose another [campaign] name, or `hone resume` the old one."
            )
        if self.at(self.trunk) is None:
            self.advance(base, expected_old=None)

    def advance(self, commit: str, *, expected_old: str | None) -> None:
        """Move the trunk from `expected_old` (None: it does not exist yet) to `commit`.

        Raises:
            RepoError: when somebody moved the trunk by hand, or has it checked out.
        """
        current = self.at(self.trunk)
        if current == commit:
            return
        name = f"hone/{self.campaign}"
        if current != expected_old:
            raise RepoError(
                f"the branch {name} is at {_short(current)} but the campaign left it at {_short(expected_old)}: it was"
                f" moved by hand. Keep your commits with `git branch my-copy {name}`, put it back with"
                f" `git update-ref {self.trunk} {expected_old or ''}`, then `hone resume`."
            )
        if f"branch {self.trunk}" in self.git.run("worktree", "list", "--porcelain").decode("utf-8", "replace").split(
            "\n"
        ):
            raise RepoError(
                f"the branch {name} is checked out, and moving it would make your files look changed."
                " `git switch main` (or any other branch), then `hone resume`."
            )
        self._swap(self.trunk, commit, current)

    def hold(self, n: int, commit: str) -> None:
        """Keep candidate `n` reachable while it is judged; a commit left by an interrupted try is replaced."""
        ref = self._numbered("candidates", n)
        self._swap(ref, commit, self.at(ref))

    def release(self, n: int) -> None:
        """Drop the ref of a candidate that has been judged; nothing happens when there is none."""
        ref = self._numbered("candidates", n)
        current = self.at(ref)
        if current is not None:
            self.git.run("update-ref", "--no-deref", "-d", ref, current)

    def set_aside(self, n: int, commit: str) -> None:
        """Keep a rejected candidate for ever.

        Raises:
            RepoError: when another commit was rejected under this number.
        """
        ref = self._numbered("rejected", n)
        current = self.at(ref)
        if current not in {None, commit}:
            raise RepoError(
                f"{ref} is at {_short(current)} already, not at {_short(commit)}: two ledgers share the campaign name"
                f" {self.campaign!r}. Choose another [campaign] name for one of them."
            )
        self._swap(ref, commit, current)

    def numbered(self, kind: str) -> Mapping[int, str]:
        """Commits under `candidates` or `rejected`, by candidate number, in order."""
        prefix = f"{HIDDEN}{self.campaign}/{kind}/"
        found = ((ref.removeprefix(prefix), oid) for ref, oid in all_refs(self.git, prefix).items())
        return dict(sorted((int(name), oid) for name, oid in found if name.isdecimal()))

    def accepted(self) -> tuple[str, ...]:
        """Commits of the trunk after the base, oldest first; empty before the campaign has begun."""
        base, trunk = self.at(self.base), self.at(self.trunk)
        if base is None or trunk is None:
            return ()
        return tuple(self.git.run("rev-list", "--reverse", "--first-parent", trunk, f"^{base}").decode("ascii").split())

    def _numbered(self, kind: str, n: int) -> str:
        if n < 1:
            raise ValueError(f"candidates are numbered from 1, got {n}")
        return f"{HIDDEN}{self.campaign}/{kind}/{n}"

    def _refuse_taken_branch(self, base: str) -> None:
        current = self.at(self.trunk)
        if current not in {None, base}:
            raise RepoError(
                f"there is a branch hone/{self.campaign} that no campaign of this name began."
                f" Rename it (`git branch -m hone/{self.campaign} other-name`) or choose another [campaign] name."
            )

    def _swap(self, ref: str, new: str, old: str | None) -> None:
        if new == old:
            return
        answer = self.git.ask(
            "update-ref", "--no-deref", "-m", f"hone: {self.campaign}", ref, new, old or "0" * len(new), env=_REFLOG
        )
        if answer.status == 0:
            return
        remedy = ""
        if "cannot create" in answer.err and "exists" in answer.err:
            remedy = " A branch named 'hone' is in the way: `git branch -m hone other-name`."
        raise RepoError(f"{ref} could not be moved from {_short(old)} to {_short(new)}: {answer.err}.{remedy}")


_REFLOG: Mapping[str, str] = {"GIT_COMMITTER_NAME": "hone", "GIT_COMMITTER_EMAIL": "hone@localhost"}


def all_refs(git: Plumbing, prefix: str) -> Mapping[str, str]:
    """Full ref name -> object id, for all refs below a prefix that ends in a slash."""
    out = git.run("for-each-ref", "--format=%(refname) %(objectname)", prefix).decode("utf-8", "surrogateescape")
    return dict(_pair(line) for line in out.splitlines())


def _pair(line: str) -> tuple[str, str]:
    ref, _, oid = line.rpartition(" ")
    return ref, oid


def _short(commit: str | None) -> str:
    return "nothing" if commit is None else commit[:12]
