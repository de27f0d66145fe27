"""Opening a harness, starting a new one and finding room for its ledger: clear words when it cannot be done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optimizer.domain.errors import EditRefusedError, RepoError
from optimizer.repo.birth import init_harness
from optimizer.repo.harness import HarnessRepo
from optimizer.repo.state import state_folder
from tests.repo.workshop import FILES, Workshop, edit, git, make_repo, open_workshop, write

IS_ROOT = os.geteuid() == 0


def cannot_open(folder: Path, match: str) -> None:
    """Opening fails in clear words."""
    with pytest.raises(RepoError, match=match):
        HarnessRepo.open(folder, campaign="demo")


def test_a_folder_outside_any_repository_says_how_to_start_one(tmp_path: Path) -> None:
    cannot_open(tmp_path, r"not in a git repository.*git init && git add -A && git commit.*hone init")


def test_a_missing_folder_and_a_file_are_named(tmp_path: Path) -> None:
    cannot_open(tmp_path / "none", "is not a folder")
    (tmp_path / "file").write_text("x")
    cannot_open(tmp_path / "file", "is not a folder")


def test_a_repository_without_commits_says_so(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "h")
    with pytest.raises(RepoError, match=r"no commits yet.*git add -A && git commit"):
        HarnessRepo.open(tmp_path / "h", campaign="demo").head()


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "h.git")
    cannot_open(tmp_path / "h.git", "is a bare repository.*git clone")


def test_gits_own_folder_is_refused(shop: Workshop) -> None:
    cannot_open(shop.folder / ".git", "inside a .git folder")


@pytest.mark.skipif(not IS_ROOT, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_opened_only_when_trusted(tmp_path: Path, home: Path) -> None:
    folder = make_repo(tmp_path / "h")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 1234, 1234)
    cannot_open(folder, rf"dubious ownership.*git config --global --add safe\.directory {folder}")
    (home / ".gitconfig").write_text(f"[safe]\n directory = {folder}\n")
    repo = HarnessRepo.open(folder, campaign="demo")
    assert repo.is_clean()
    assert dict(repo.read("HEAD")) == dict(FILES)


def test_without_git_the_message_says_install_it(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    cannot_open(shop.folder, "git is not on the PATH")
    with pytest.raises(RepoError, match="git is not on the PATH"):
        shop.repo.head()


def test_the_branch_is_named_and_a_detached_head_has_none(shop: Workshop) -> None:
    assert shop.repo.branch() == "main"
    git(shop.folder, "switch", "-q", "-c", "feature/ä")
    assert shop.repo.branch() == "feature/ä"
    git(shop.folder, "switch", "-q", "--detach")
    assert shop.repo.branch() is None


@pytest.mark.parametrize(
    ("files", "dirty"), [({"agent.py": b"x"}, ("agent.py",)), ({"new ä.py": b""}, ("new ä.py",)), ({}, ())]
)
def test_changed_and_new_files_make_a_harness_dirty(
    shop: Workshop, files: dict[str, bytes], dirty: tuple[str, ...]
) -> None:
    write(shop.folder, files)
    assert shop.repo.dirty_files() == dirty
    assert shop.repo.is_clean() == (not dirty)


def test_a_removed_and_a_staged_file_make_a_harness_dirty(shop: Workshop) -> None:
    (shop.folder / "agent.py").unlink()
    write(shop.folder, {"s": b"1"})
    git(shop.folder, "add", "s")
    assert set(shop.repo.dirty_files()) == {"agent.py", "s"}


def test_ignored_files_do_not_count(shop: Workshop) -> None:
    write(shop.folder, {".git/info/exclude": b"*.log\n", "x.log": b"1"})
    assert shop.repo.is_clean()


def test_a_path_with_blanks_quotes_and_non_ascii_letters_works(tmp_path: Path) -> None:
    shop = open_workshop(make_repo(tmp_path / "my 'harness' ä $HOME;x"))
    commit = shop.accept(edit("a", b"1"))
    assert shop.repo.pick([commit]).branch == "main"


def test_a_link_to_a_harness_is_followed(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(shop.folder)
    assert HarnessRepo.open(tmp_path / "link", campaign="demo").trunk() == shop.repo.trunk()


# --- the ledger's folder


def test_the_campaigns_folder_is_invisible_to_git(shop: Workshop) -> None:
    folder = shop.repo.state_folder()
    (folder / "ledger.db").write_bytes(b"x")
    assert folder == shop.folder / ".hone" / "demo"
    assert shop.repo.state_folder() == folder
    assert git(shop.folder, "status", "--porcelain", "--untracked-files=all") == ""
    assert shop.repo.is_clean()


def test_a_link_or_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".hone").symlink_to(tmp_path)
    (tmp_path / "b" / ".hone").mkdir(parents=True)
    (tmp_path / "b" / ".hone" / "demo").write_text("x")
    for name in "ab":
        with pytest.raises(RepoError, match="not a link or a file"):
            state_folder(tmp_path / name, "demo")


def test_a_campaign_name_cannot_climb_out(tmp_path: Path) -> None:
    with pytest.raises(RepoError, match="cannot be a git ref"):
        state_folder(tmp_path, "../x")


@pytest.mark.skipif(IS_ROOT, reason="root writes anywhere")
def test_a_read_only_harness_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RepoError, match="cannot be made"):
        state_folder(tmp_path, "demo")
    tmp_path.chmod(0o700)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepoError, match=r"cannot be made.*check owner and mode"):
        state_folder(Path("/proc/nothing"), "demo")


# --- hone init


def test_a_new_harness_is_a_clean_repository_with_one_commit(tmp_path: Path, home: Path) -> None:
    (home / ".gitconfig").write_text("[user]\n name = Ann\n email = ann@example.org\n")
    made = init_harness(FILES, tmp_path / "new" / "harness")
    folder = tmp_path / "new" / "harness"
    assert made.notes == ()
    assert git(folder, "log", "--format=%H %an %s") == f"{made.commit} Ann Start from hone's harness template"
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "branch", "--show-current") == made.branch == "main"
    repo = HarnessRepo.open(folder, campaign="demo")
    assert repo.is_clean()
    assert dict(repo.read("HEAD")) == dict(FILES)


def test_without_an_identity_hone_commits_and_says_so(tmp_path: Path) -> None:
    made = init_harness(FILES, tmp_path / "new")
    assert git(tmp_path / "new", "log", "--format=%an") == "hone"
    (note,) = made.notes
    assert "git config --global user.name" in note


def test_bytes_are_committed_as_they_are_whatever_the_user_ignores_or_converts(tmp_path: Path, home: Path) -> None:
    (home / "ignore").write_text("*.md\n")
    (home / ".gitconfig").write_text(f"[core]\n autocrlf = true\n excludesFile = {home}/ignore\n")
    files = {"a.md": b"x\r\ny\n", "b.bin": b"\x00\xff"}
    init_harness(files, tmp_path / "new")
    assert dict(HarnessRepo.open(tmp_path / "new", campaign="demo").read("HEAD")) == files


def test_an_empty_folder_may_be_there_already(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert init_harness(FILES, tmp_path / "new").branch == "main"


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "new", {"mine": b"1"})
    with pytest.raises(RepoError, match="not an empty folder"):
        init_harness(FILES, tmp_path / "new")
    with pytest.raises(RepoError, match="not an empty folder"):
        init_harness(FILES, tmp_path / "new" / "mine")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(RepoError, match="cannot be made"):
        init_harness(FILES, Path("/proc/nothing/here"))


def test_a_template_cannot_write_outside(tmp_path: Path) -> None:
    with pytest.raises(EditRefusedError):
        init_harness({"../x": b"1"}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_repository_around_the_new_one_is_noted(shop: Workshop) -> None:
    made = init_harness(FILES, shop.folder / "inner")
    assert any("lies inside the repository" in note for note in made.notes)


def test_a_repository_with_sha256_ids_works(tmp_path: Path) -> None:
    folder = tmp_path / "h"
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", "h")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.org")
    write(folder, FILES)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    shop = open_workshop(folder)
    commit = shop.accept(edit("a", b"1"))
    assert len(commit) == 64
    assert len(shop.repo.pick([commit]).commits) == 1
