"""Where a commit comes from: which campaign of this repository made it, and what it builds on."""

from __future__ import annotations

from collections.abc import Iterable

from optimizer.domain.errors import RepoError
from optimizer.repo.objects import Objects
from optimizer.repo.refs import BRANCHES, HIDDEN, CampaignRefs, all_refs
from optimizer.repo.trailers import picked_from
from optimizer.repo.values import CandidateCommit


def find_candidate(objects: Objects, commit: str) -> CandidateCommit:
    """The campaign that accepted or rejected a commit.

    Raises:
        RepoError: when no campaign of this repository did.
    """
    for ref, oid in all_refs(objects.git, HIDDEN).items():
        campaign, _, rest = ref.removeprefix(HIDDEN).partition("/")
        if oid == commit and rest.startswith("rejected/"):
            return _candidate(objects, commit, campaign, is_accepted=False)
    for ref in all_refs(objects.git, BRANCHES):
        campaign = ref.removeprefix(BRANCHES)
        if commit in CampaignRefs(git=objects.git, campaign=campaign).accepted():
            return _candidate(objects, commit, campaign, is_accepted=True)
    raise RepoError(
        f"{commit[:12]} is neither an accepted nor a rejected candidate of a campaign in this repository."
        " `hone log` lists them; for any other commit use `git cherry-pick`."
    )


def _candidate(objects: Objects, commit: str, campaign: str, *, is_accepted: bool) -> CandidateCommit:
    base = CampaignRefs(git=objects.git, campaign=campaign).base
    below = objects.git.run("rev-list", "--reverse", f"{commit}^", f"^{base}", "^HEAD").decode("ascii").split()
    return CandidateCommit(
        commit=commit,
        kind="accepted" if is_accepted else "rejected",
        campaign=campaign,
        prerequisites=tuple(_not_picked(objects, below, base)) if below else (),
    )


def _not_picked(objects: Objects, commits: Iterable[str], base: str) -> Iterable[str]:
    """Commits that no commit of the user's branch says it was cherry-picked from."""
    log = objects.git.run("log", "--format=%B", "HEAD", f"^{base}").decode("utf-8", "replace")
    there = picked_from(log)
    return (commit for commit in commits if commit not in there)
