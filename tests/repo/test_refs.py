"""The campaign's refs: compare-and-swap, idempotent, safe from gc and from the user's hands."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.domain.errors import RepoError
from optimizer.repo.harness import HarnessRepo
from tests.repo.workshop import Workshop, edit, git, open_workshop, picture


def test_a_campaign_begins_at_a_commit_once_or_twice(shop: Workshop) -> None:
    head = shop.repo.head().commit
    shop.repo.begin("HEAD")
    assert shop.repo.base() == shop.repo.trunk() == head
    assert shop.repo.accepted() == ()


def test_a_campaign_name_is_not_reused_for_another_start(shop: Workshop) -> None:
    git(shop.folder, "commit", "-q", "--allow-empty", "-m", "more")
    with pytest.raises(RepoError, match=r"'demo' began at .* Choose another \[campaign\] name"):
        shop.repo.begin("HEAD")


def test_a_branch_of_the_users_is_not_taken_over(shop: Workshop) -> None:
    git(shop.folder, "commit", "-q", "--allow-empty", "-m", "more")
    git(shop.folder, "branch", "hone/mine", "HEAD")
    repo = HarnessRepo.open(shop.folder, campaign="mine")
    with pytest.raises(RepoError, match="no campaign of this name began"):
        repo.begin("HEAD~1")
    assert repo.base() is None


def test_a_branch_called_hone_in_the_way_is_named(shop: Workshop) -> None:
    git(shop.folder, "branch", "-D", "hone/demo")
    git(shop.folder, "branch", "hone")
    with pytest.raises(RepoError, match="git branch -m hone other-name"):
        shop.repo.begin("HEAD")


@pytest.mark.parametrize("name", ["Demo", "a/b", "..", "a.lock", "-x", "x-", "", "a" * 49, "ä", "a b"])
def test_a_name_that_no_ref_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RepoError, match="cannot be a git ref"):
        HarnessRepo.open(tmp_path, campaign=name)


def test_accepted_commits_form_a_chain_in_order(shop: Workshop) -> None:
    commits = [shop.accept(edit("agent.py", f"{n}".encode())) for n in range(4)]
    assert list(shop.repo.accepted()) == commits
    assert git(shop.folder, "log", "--reverse", "--format=%H", "main..hone/demo").split() == commits


def test_advancing_twice_is_advancing_once(shop: Workshop) -> None:
    base = shop.repo.trunk()
    commit = shop.accept(edit("a", b"1"))
    shop.repo.advance(commit, expected_old=base)
    assert shop.repo.trunk() == commit


def test_a_trunk_moved_by_hand_is_not_overwritten(shop: Workshop) -> None:
    first = shop.accept(edit("a", b"1"))
    second = shop.candidate(edit("a", b"2"))
    git(shop.folder, "update-ref", "refs/heads/hone/demo", "main")
    with pytest.raises(RepoError, match=f"moved by hand.*git update-ref refs/heads/hone/demo {first}"):
        shop.repo.advance(second, expected_old=first)
    assert shop.repo.trunk() == shop.repo.base()


def test_a_deleted_trunk_is_noticed(shop: Workshop) -> None:
    first = shop.accept(edit("a", b"1"))
    second = shop.candidate(edit("a", b"2"))
    git(shop.folder, "branch", "-D", "hone/demo")
    with pytest.raises(RepoError, match="is at nothing but the campaign left it at"):
        shop.repo.advance(second, expected_old=first)


@pytest.mark.parametrize("is_linked", [False, True])
def test_a_trunk_that_is_checked_out_is_not_moved_under_the_users_feet(shop: Workshop, *, is_linked: bool) -> None:
    base = shop.repo.trunk()
    commit = shop.candidate(edit("a", b"1"))
    if is_linked:
        git(shop.folder, "worktree", "add", "-q", str(shop.folder.parent / "linked"), "hone/demo")
    else:
        git(shop.folder, "switch", "-q", "hone/demo")
    before = picture(shop.folder)
    with pytest.raises(RepoError, match=r"is checked out.*git switch main"):
        shop.repo.advance(commit, expected_old=base)
    assert picture(shop.folder) == before
    assert shop.repo.trunk() == base


def test_a_harness_in_a_linked_work_tree_shares_the_campaign(shop: Workshop) -> None:
    linked = shop.folder.parent / "linked"
    git(shop.folder, "worktree", "add", "-q", "-b", "topic", str(linked))
    repo = HarnessRepo.open(linked, campaign="demo")
    assert repo.branch() == "topic"
    assert repo.is_clean()
    commit = shop.accept(edit("a", b"1"))
    assert repo.trunk() == commit
    assert repo.pick([commit], onto="topic").branch == "topic"
    assert (linked / "a").read_bytes() == b"1"
    assert not (shop.folder / "a").exists()


def test_rejected_candidates_are_kept_by_number_and_hidden_from_git_branch(shop: Workshop) -> None:
    commits = {n: shop.candidate(edit("a", f"{n}".encode())) for n in (10, 2, 1)}
    for n, commit in commits.items():
        shop.repo.hold_candidate(n, commit)
        shop.repo.set_aside(n, commit)
        shop.repo.set_aside(n, commit)
        shop.repo.drop_candidate_ref(n)
        shop.repo.drop_candidate_ref(n)
    assert list(shop.repo.rejected().items()) == sorted(commits.items())
    assert shop.repo.candidates() == {}
    assert git(shop.folder, "branch", "--format=%(refname)") == "refs/heads/hone/demo\nrefs/heads/main"


def test_a_rejected_number_is_never_given_to_another_commit(shop: Workshop) -> None:
    shop.repo.set_aside(1, shop.candidate(edit("a", b"1")))
    with pytest.raises(RepoError, match="two ledgers share the campaign name"):
        shop.repo.set_aside(1, shop.candidate(edit("a", b"2")))


def test_a_candidate_left_by_an_interrupted_try_is_replaced(shop: Workshop) -> None:
    shop.repo.hold_candidate(1, shop.candidate(edit("a", b"1")))
    again = shop.candidate(edit("a", b"2"))
    shop.repo.hold_candidate(1, again)
    assert shop.repo.candidates() == {1: again}


def test_numbers_start_at_one(shop: Workshop) -> None:
    with pytest.raises(ValueError, match="numbered from 1"):
        shop.repo.hold_candidate(0, shop.repo.head().commit)


def test_gc_keeps_what_is_judged_accepted_and_rejected(shop: Workshop) -> None:
    accepted = shop.accept(edit("a", b"1"))
    judged, rejected, lost = (shop.candidate(edit("a", content)) for content in (b"2", b"3", b"4"))
    shop.repo.hold_candidate(2, judged)
    shop.repo.set_aside(3, rejected)
    git(shop.folder, "reflog", "expire", "--expire=now", "--all")
    git(shop.folder, "gc", "-q", "--prune=now")
    for commit, content in ((accepted, b"1"), (judged, b"2"), (rejected, b"3")):
        assert shop.repo.read(commit)["a"] == content
    with pytest.raises(RepoError):
        shop.repo.read(lost)
    assert shop.repo.rejected() == {3: rejected}


def test_campaigns_in_one_repository_do_not_see_each_other(shop: Workshop) -> None:
    other = open_workshop(shop.folder, "other")
    shop.accept(edit("a", b"1"))
    shop.repo.set_aside(1, shop.candidate(edit("a", b"2")))
    assert other.repo.accepted() == ()
    assert other.repo.rejected() == {}
    assert other.repo.trunk() == other.repo.base()


def test_moving_refs_needs_no_identity_and_leaves_a_reflog(shop: Workshop) -> None:
    git(shop.folder, "config", "--unset", "user.name")
    git(shop.folder, "config", "user.useConfigOnly", "true")
    shop.accept(edit("a", b"1"))
    assert "hone: demo" in git(shop.folder, "reflog", "show", "hone/demo")
