"""The door of this room: one harness folder in one git repository, for one campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from optimizer.domain.candidate import FileEdit
from optimizer.domain.errors import RepoError
from optimizer.repo.objects import Objects
from optimizer.repo.paths import check_slug
from optimizer.repo.pick import Picker, changed_files
from optimizer.repo.place import Place, find
from optimizer.repo.plumbing import Plumbing, desk, sealed
from optimizer.repo.refs import CampaignRefs
from optimizer.repo.state import state_folder
from optimizer.repo.values import CommitRef, PickResult, Trees


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessRepo:
    """Reads trees, makes candidate commits and moves the campaign's refs; holds no process and no lock.

    Calls are synchronous and take milliseconds (one to ten git processes each). The user's work tree, index and HEAD
    are never written but by `pick`.
    """

    place: Place
    objects: Objects
    refs: CampaignRefs

    @classmethod
    def open(cls, folder: Path, *, campaign: str) -> Self:
        """Open the repository that a harness folder is, or lies in.

        Raises:
            RepoError: no git, no repository, a bare one, one of another owner, or a campaign name no ref can have.
        """
        check_slug(campaign)
        place = find(folder)
        git = sealed(place.git_dir)
        return cls(
            place=place, objects=Objects(git=git, prefix=place.prefix), refs=CampaignRefs(git=git, campaign=campaign)
        )

    # --- the user's side, read only

    def head(self) -> CommitRef:
        """The commit the user has checked out.

        Raises:
            RepoError: when there is no commit yet.
            HarnessError: when the commit does not hold the harness folder.
        """
        if self.objects.resolve("HEAD") is None:
            raise RepoError(
                f"the repository {self.place.work_tree} has no commits yet."
                " `git add -A && git commit -m 'First harness'`, then try again."
            )
        return self.objects.describe("HEAD")

    def branch(self) -> str | None:
        """Name of the branch that is checked out; None when HEAD is detached."""
        answer = self.objects.git.ask("symbolic-ref", "--quiet", "HEAD")
        ref = answer.out.decode("utf-8", "replace").strip()
        return ref.removeprefix("refs/heads/") if answer.status == 0 else None

    def dirty_files(self) -> tuple[str, ...]:
        """Files of the harness folder that HEAD does not hold as they are, new ones included; repository paths."""
        return changed_files(self._user(), within=self.place.prefix or ".")

    def is_clean(self) -> bool:
        """True when a campaign would see exactly what lies in the harness folder."""
        return not self.dirty_files()

    # --- trees and commits

    def describe(self, commit: str) -> CommitRef:
        """A commit with its trees and date."""
        return self.objects.describe(commit)

    def read(self, tree_ish: str) -> Mapping[str, bytes]:
        """Files of a harness, path -> exact bytes, of a commit or of a harness tree.

        Raises:
            HarnessError: for links, submodules, more than 2000 files or 20 MiB.
        """
        return self.objects.read(tree_ish).files

    def executables(self, tree_ish: str) -> frozenset[str]:
        """Paths of a harness that have the executable bit."""
        return self.objects.read(tree_ish).executable

    def write_tree(self, base_commit: str, files_changed: tuple[FileEdit, ...]) -> Trees:
        """Trees with the edits applied to `base_commit`; equal to its own trees when nothing changes.

        Raises:
            EditRefusedError: code `scope` or `apply`.
        """
        return self.objects.write(base_commit, files_changed)

    def diff(self, commit_a: str, commit_b: str) -> str:
        """Unified diff of the harness between two commits or harness trees."""
        return self.objects.diff(commit_a, commit_b)

    def commit(self, parent: str, tree: str, message: str, *, at: datetime) -> str:
        """Make a commit of a root tree, by hone <hone@localhost>; equal arguments give an equal id."""
        return self.objects.commit((self.objects.commit_id(parent),), tree, message, at=at)

    def message(self, commit: str) -> str:
        """The whole message of a commit."""
        return self.objects.message(commit)

    # --- the campaign's refs

    def begin(self, base: str) -> None:
        """Start the campaign at a commit: sets `base` and the trunk; again at the same commit is fine."""
        self.refs.begin(self.objects.commit_id(base))

    def base(self) -> str | None:
        """Commit the campaign began at; None before `begin`."""
        return self.refs.at(self.refs.base)

    def trunk(self) -> str | None:
        """Commit the accepted branch is at; None before `begin`."""
        return self.refs.at(self.refs.trunk)

    def advance(self, commit: str, *, expected_old: str | None) -> None:
        """Move the accepted branch; refuses when it was moved by hand or is checked out, does nothing when done."""
        self.refs.advance(commit, expected_old=expected_old)

    def hold_candidate(self, n: int, commit: str) -> None:
        """Keep a candidate reachable while it is judged."""
        self.refs.hold(n, commit)

    def drop_candidate_ref(self, n: int) -> None:
        """Let go of the ref `hold_candidate` made."""
        self.refs.release(n)

    def set_aside(self, n: int, commit: str) -> None:
        """Keep a rejected candidate for ever."""
        self.refs.set_aside(n, commit)

    def candidates(self) -> Mapping[int, str]:
        """Candidates being judged, by number."""
        return self.refs.numbered("candidates")

    def rejected(self) -> Mapping[int, str]:
        """Rejected candidates, by number."""
        return self.refs.numbered("rejected")

    def accepted(self) -> tuple[str, ...]:
        """Accepted commits, oldest first."""
        return self.refs.accepted()

    # --- the user's side, written

    def state_folder(self) -> Path:
        """The folder of this campaign's ledger, made where needed, invisible to git."""
        return state_folder(self.place.work_tree / self.place.prefix, self.refs.campaign)

    def pick(self, commits: Sequence[str], *, onto: str | None = None, is_forced: bool = False) -> PickResult:
        """Cherry-pick candidates onto the branch that is checked out (`optimizer.repo.pick` says how safely)."""
        picker = Picker(place=self.place, objects=self.objects, user=self._user())
        return picker.pick(commits, onto=onto, is_forced=is_forced)

    def _user(self) -> Plumbing:
        return desk(self.place.git_dir, self.place.work_tree)
