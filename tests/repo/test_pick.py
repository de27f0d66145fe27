"""`hone pick` moves the user's branch only when everything is right, and otherwise changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.domain.errors import RepoError
from optimizer.repo.harness import HarnessRepo
from optimizer.repo.trailers import Trailers, parse_trailers, picked_from, render_message
from tests.repo.workshop import Workshop, edit, git, make_repo, open_workshop, picture, write


def refused(shop: Workshop, *commits: str, match: str, onto: str | None = None, is_forced: bool = False) -> str:
    """A pick that is refused, with nothing changed; only a conflict makes git write files, the same ones, again."""
    is_exact = "conflict" not in match and "builds on" not in match
    before, head = picture(shop.folder, is_index_exact=is_exact), git(shop.folder, "rev-parse", "HEAD")
    with pytest.raises(RepoError, match=match) as caught:
        shop.repo.pick(commits, onto=onto, is_forced=is_forced)
    assert git(shop.folder, "rev-parse", "HEAD") == head
    assert picture(shop.folder, is_index_exact=is_exact) == before
    assert not (shop.folder / ".git" / "CHERRY_PICK_HEAD").exists()
    assert not (shop.folder / ".git" / "sequencer").exists()
    return str(caught.value)


def test_a_picked_commit_lands_on_the_branch_with_its_origin_and_trailers(shop: Workshop) -> None:
    trailers = Trailers(campaign="demo", candidate=1, decision="accept (target)", cost_usd=0.5)
    commit = shop.accept(edit("agent.py", b"better\n"), message=render_message("Better", "Why: because.", trailers))
    result = shop.repo.pick([commit], onto="main")
    (made,) = result.commits
    assert made == git(shop.folder, "rev-parse", "main")
    assert (result.branch, result.warnings) == ("main", ())
    message = shop.repo.message(made)
    assert picked_from(message) == {commit}
    assert parse_trailers(message)["Hone-Decision"] == "accept (target)"
    assert git(shop.folder, "log", "-1", "--format=%an|%cn") == "hone|Ann"
    assert (shop.folder / "agent.py").read_bytes() == b"better\n"
    assert shop.repo.is_clean()


def test_several_commits_are_picked_in_the_order_asked_for(shop: Workshop) -> None:
    commits = [shop.accept(edit(name, b"1")) for name in "abc"]
    result = shop.repo.pick(commits)
    assert len(result.commits) == 3
    assert result.warnings == ()
    assert git(shop.folder, "rev-parse", "HEAD^{tree}") == git(shop.folder, "rev-parse", "hone/demo^{tree}")


def test_a_rejected_candidate_can_be_picked_too(shop: Workshop) -> None:
    commit = shop.candidate(edit("a", b"1"))
    shop.repo.set_aside(7, commit)
    shop.repo.pick(["refs/hone/demo/rejected/7"])
    assert (shop.folder / "a").read_bytes() == b"1"


def test_a_dirty_tree_is_refused_with_its_files(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    write(shop.folder, {"agent.py": b"mine", "staged.txt": b"x"})
    git(shop.folder, "add", "staged.txt")
    refused(shop, commit, match=r"uncommitted changes in agent\.py, staged\.txt\. Commit them or `git stash`")


def test_many_dirty_files_are_listed_shortly(tmp_path: Path) -> None:
    shop = open_workshop(make_repo(tmp_path / "h", {f"f{n:02}": b"0" for n in range(15)}))
    commit = shop.accept(edit("a", b"1"))
    write(shop.folder, {f"f{n:02}": b"1" for n in range(15)})
    refused(shop, commit, match="f09 and 5 more")


def test_untracked_files_are_no_obstacle_unless_the_pick_would_overwrite_them(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    write(shop.folder, {"notes.txt": b"mine"})
    write(shop.folder, {"a": b"mine too"})
    refused(shop, commit, match=r"nothing was changed: .*untracked")
    (shop.folder / "a").unlink()
    shop.repo.pick([commit])
    assert (shop.folder / "notes.txt").read_bytes() == b"mine"


@pytest.mark.parametrize("keys", [("user.name", "user.email"), ("user.email",), ("user.name",)])
def test_without_an_identity_the_two_lines_that_set_it_are_named(shop: Workshop, keys: tuple[str, ...]) -> None:
    commit = shop.accept(edit("a", b"1"))
    for key in keys:
        git(shop.folder, "config", "--unset", key)
    words = refused(shop, commit, match="git does not know who you are")
    assert "git config user.name" in words
    assert "git config user.email" in words


def test_an_identity_from_the_environment_counts(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = shop.accept(edit("a", b"1"))
    for key, value in (("user.name", "NAME"), ("user.email", "EMAIL")):
        git(shop.folder, "config", "--unset", key)
        for who in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{who}_{value}", "eve@example.org")
    shop.repo.pick([commit])
    assert git(shop.folder, "log", "-1", "--format=%cn") == "eve@example.org"


def test_a_commit_of_no_campaign_is_refused(shop: Workshop) -> None:
    commit = shop.candidate(edit("a", b"1"))
    refused(shop, commit, match="neither an accepted nor a rejected candidate.*git cherry-pick")
    refused(shop, shop.repo.base() or "", match="neither an accepted")
    refused(shop, "no-such-thing", match="not a commit")
    refused(shop, match="no commit to pick was named")


def test_a_candidate_of_an_earlier_campaign_can_be_picked(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    HarnessRepo.open(shop.folder, campaign="later").pick([commit])
    assert (shop.folder / "a").read_bytes() == b"1"


def test_a_branch_that_is_not_checked_out_is_refused_with_the_command(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    git(shop.folder, "branch", "release")
    refused(shop, commit, onto="release", match="you are on main, not on release: `git switch release` first")


def test_a_detached_head_is_refused(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    git(shop.folder, "switch", "-q", "--detach")
    refused(shop, commit, onto="main", match="HEAD is detached.*`git switch main`")


def test_a_campaigns_own_branch_is_not_picked_onto(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    git(shop.folder, "switch", "-q", "hone/demo")
    refused(shop, commit, match="belongs to a campaign")


def test_a_conflict_is_undone_and_names_the_files(shop: Workshop) -> None:
    commit = shop.accept(edit("agent.py", b"theirs\n"), edit("b", b"1"))
    write(shop.folder, {"agent.py": b"ours\n"})
    git(shop.folder, "commit", "-qam", "ours")
    refused(shop, commit, match=r"^the pick conflicts in agent\.py; nothing was changed\.$")


def test_a_conflict_in_the_second_of_two_leaves_neither(shop: Workshop) -> None:
    first = shop.accept(edit("b", b"1"))
    second = shop.accept(edit("agent.py", b"theirs\n"))
    write(shop.folder, {"agent.py": b"ours\n"})
    git(shop.folder, "commit", "-qam", "ours")
    refused(shop, first, second, match=r"conflicts in agent\.py")


def test_a_conflict_says_which_earlier_commits_would_help(shop: Workshop) -> None:
    first = shop.accept(edit("agent.py", b"one\n"))
    second = shop.accept(edit("agent.py", b"two\n"))
    refused(shop, second, match=f"builds on 1 earlier accepted commit.*{first[:12]}.*pick them first")


def test_picking_without_what_it_builds_on_is_warned_about(shop: Workshop) -> None:
    first = shop.accept(edit("a", b"1"))
    second = shop.accept(edit("b", b"1"))
    third = shop.accept(edit("c", b"1"))
    (warning,) = shop.repo.pick([third]).warnings
    assert warning.startswith(f"picked without 2 earlier accepted commit(s) ({first[:12]}, {second[:12]})")
    (warning,) = shop.repo.pick([second]).warnings
    assert f"({first[:12]})" in warning


def test_commits_picked_before_count_as_there(shop: Workshop) -> None:
    first = shop.accept(edit("a", b"1"))
    second = shop.accept(edit("b", b"1"))
    shop.repo.pick([first])
    assert shop.repo.pick([second]).warnings == ()


def test_a_pick_that_would_change_nothing_says_so(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    shop.repo.pick([commit])
    refused(shop, commit, match="on the branch already")


@pytest.mark.parametrize("path", [".gitattributes", "prompts/.gitattributes", ".gitmodules", ".GitAttributes"])
def test_a_commit_that_changes_what_git_does_with_files_needs_force(shop: Workshop, path: str) -> None:
    commit = shop.accept(edit(path, b"# words\n"), edit("a", b"1"))
    refused(shop, commit, match=f"changes {path}, which decides what git does")
    shop.repo.pick([commit], is_forced=True)
    assert (shop.folder / path).read_bytes() == b"# words\n"


def test_an_unfinished_operation_is_named(shop: Workshop) -> None:
    commit = shop.accept(edit("a", b"1"))
    (shop.folder / ".git" / "MERGE_HEAD").write_text(shop.repo.head().commit + "\n")
    with pytest.raises(RepoError, match=r"unfinished \(MERGE_HEAD\)"):
        shop.repo.pick([commit])


def test_a_pick_in_a_sub_folder_touches_only_that_folder(tmp_path: Path) -> None:
    top = make_repo(tmp_path / "mono", {"agents/one/agent.py": b"1\n", "README.md": b"r"})
    shop = open_workshop(top / "agents" / "one")
    commit = shop.accept(edit("agent.py", b"2\n"))
    shop.repo.pick([commit], onto="main")
    assert git(top, "show", "--name-only", "--format=", "HEAD") == "agents/one/agent.py"
    assert (shop.folder / "agent.py").read_bytes() == b"2\n"
    assert shop.repo.is_clean()


def test_a_users_line_end_setting_is_honoured_in_the_checkout(shop: Workshop) -> None:
    git(shop.folder, "config", "core.autocrlf", "true")
    commit = shop.accept(edit("new.md", b"a\nb\n"))
    shop.repo.pick([commit])
    assert (shop.folder / "new.md").read_bytes() == b"a\r\nb\r\n"
    assert shop.repo.read("HEAD")["new.md"] == b"a\nb\n"
