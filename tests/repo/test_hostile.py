"""Nothing that configuration or attributes name is ever executed by an operation of ours."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.repo.birth import init_harness
from optimizer.repo.harness import HarnessRepo
from tests.repo.workshop import AT, Workshop, edit, git, make_repo, open_workshop, write

HOOKS = (
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout", "post-commit",
    "post-index-change", "post-merge", "post-rewrite", "pre-applypatch", "pre-auto-gc", "pre-commit",
    "pre-merge-commit", "prepare-commit-msg", "pre-rebase", "pre-push", "reference-transaction",
)  # fmt: skip
ATTRIBUTES = b"* filter=evil diff=evil merge=evil\n*.md filter=evil2\n"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that every hostile program makes."""
    return tmp_path / "canary"


def _script(path: Path, canary: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "$0 $*" >> {canary}\nexec cat\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def _arm(folder: Path, program: str) -> None:
    """Let the repository's configuration name a program wherever git has a place for one."""
    for key in (
        "core.fsmonitor", "core.editor", "core.pager", "core.sshCommand", "core.alternateRefsCommand", "core.askPass",
        "diff.external", "diff.evil.command", "diff.evil.textconv", "filter.evil.clean", "filter.evil.smudge",
        "filter.evil2.process", "merge.evil.driver", "gpg.program", "sequence.editor", "credential.helper",
        "trailer.evil.command", "alias.status", "alias.commit-tree", "alias.cherry-pick", "pager.diff", "pager.log",
        "filter.odd=na.me.clean", "uploadpack.packObjectsHook", "interactive.diffFilter",
    ):  # fmt: skip
        git(folder, "config", key, program)
    git(folder, "config", "filter.evil.required", "true")
    git(folder, "config", "merge.default", "evil")
    git(folder, "config", "commit.gpgSign", "true")
    git(folder, "config", "log.showSignature", "true")
    git(folder, "config", "core.hooksPath", "githooks")  # as husky and friends do: hooks inside the tree


@pytest.fixture
def armed(tmp_path: Path, canary: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A repository with a trap in every place, in the tree, in .git and in the environment."""
    folder = make_repo(tmp_path / "harness")
    for hook in HOOKS:
        _script(folder / "githooks" / hook, canary)
        _script(folder / ".git" / "hooks" / hook, canary)
    program = _script(folder / "githooks" / "program", canary)
    write(folder, {".gitattributes": ATTRIBUTES})
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--no-verify", "-m", "traps")
    write(folder, {".git/info/attributes": ATTRIBUTES})
    _arm(folder, program)
    (home / ".gitconfig").write_text(f'[filter "evil"]\n clean = {program}\n[core]\n attributesFile = {home}/attr\n')
    (home / "attr").write_bytes(ATTRIBUTES)
    for name in ("GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_EDITOR", "GIT_SSH_COMMAND", "GIT_SEQUENCE_EDITOR"):
        monkeypatch.setenv(name, program)
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor'='{program}'")
    canary.unlink(missing_ok=True)
    return open_workshop(folder)


def _touch_all(folder: Path) -> None:
    """Same size, other time: git has to look at the content again, which is when filters run."""
    for path in folder.rglob("*"):
        if path.is_file() and ".git" not in path.parts:
            content = path.read_bytes()
            path.write_bytes(content)


def _reject(shop: Workshop) -> None:
    commit = shop.candidate(edit("agent.py", b"2"))
    shop.repo.hold_candidate(1, commit)
    shop.repo.set_aside(1, commit)
    shop.repo.drop_candidate_ref(1)


def _look(shop: Workshop) -> None:
    _touch_all(shop.folder)
    write(shop.folder, {"agent.py": b"same size or not", "new.md": b"x"})
    assert set(shop.repo.dirty_files()) == {"agent.py", "new.md"}


def _pick(shop: Workshop) -> None:
    commit = shop.accept(edit("agent.py", b"picked\n"), edit("prompts/system.md", b"picked\n"))
    _touch_all(shop.folder)
    result = shop.repo.pick([commit], onto="main")
    assert (shop.folder / "agent.py").read_bytes() == b"picked\n"
    assert any("content filters were off" in warning for warning in result.warnings)
    assert any("not signed" in warning for warning in result.warnings)


def _pick_with_merge(shop: Workshop) -> None:
    lines = b"".join(b"line %d\n" % n for n in range(20))
    write(shop.folder, {"agent.py": lines})
    (shop.folder / ".git" / "info" / "attributes").unlink()
    _by_hand(shop, "agent.py")
    other = open_workshop(shop.folder, "second")
    commit = other.accept(edit("agent.py", lines.replace(b"line 18\n", b"theirs\n")))
    write(shop.folder, {"agent.py": lines.replace(b"line 1\n", b"ours\n")})
    _by_hand(shop, "agent.py")
    other.repo.pick([commit], onto="main")
    text = (shop.folder / "agent.py").read_bytes()
    assert b"ours\n" in text
    assert b"theirs\n" in text


def _pick_with_conflict(shop: Workshop) -> None:
    commit = shop.accept(edit("agent.py", b"theirs\n"))
    write(shop.folder, {"agent.py": b"ours\n"})
    _by_hand(shop, "agent.py")
    with pytest.raises(Exception, match=r"conflicts in agent\.py"):
        shop.repo.pick([commit])


def _by_hand(shop: Workshop, path: str) -> None:
    """A commit of the user's, made without setting off the traps."""
    objects = shop.repo.objects
    trees = objects.write("HEAD", (edit(path, (shop.folder / path).read_bytes()),))
    commit = objects.commit((objects.commit_id("HEAD"),), trees.root, "by hand\n", at=AT)
    objects.git.run("update-ref", "HEAD", commit)
    shop.repo._user().run("read-tree", "HEAD")


OPERATIONS: dict[str, Callable[[Workshop], object]] = {
    "open": lambda shop: HarnessRepo.open(shop.folder, campaign="other"),
    "head": lambda shop: (shop.repo.head(), shop.repo.branch(), shop.repo.message("HEAD")),
    "look": _look,
    "read": lambda shop: shop.repo.read("HEAD"),
    "accept": lambda shop: shop.accept(edit("agent.py", b"1"), edit("x.md", b"1")),
    "reject": _reject,
    "diff": lambda shop: shop.repo.diff("HEAD", shop.candidate(edit("x.md", b"1\n"), edit("agent.py", b"2\n"))),
    "pick": _pick,
    "pick with a merge": _pick_with_merge,
    "pick with a conflict": _pick_with_conflict,
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_trap_goes_off(armed: Workshop, canary: Path, operation: str) -> None:
    OPERATIONS[operation](armed)
    assert not canary.exists(), canary.read_text()


def test_the_traps_do_go_off_for_plain_git(armed: Workshop, canary: Path) -> None:
    _touch_all(armed.folder)
    write(armed.folder, {"agent.py": b"other"})
    git(armed.folder, "add", "-A")
    assert canary.exists()


def test_init_runs_nothing_that_a_template_folder_or_a_user_setting_names(
    tmp_path: Path, home: Path, canary: Path
) -> None:
    template = tmp_path / "template"
    for hook in HOOKS:
        _script(template / "hooks" / hook, canary)
    program = _script(tmp_path / "program", canary)
    (home / ".gitconfig").write_text(
        f'[init]\n templateDir = {template}\n[filter "evil"]\n clean = {program}\n[core]\n fsmonitor = {program}\n'
    )
    init_harness({"agent.py": b"x", ".gitattributes": ATTRIBUTES}, tmp_path / "new")
    assert not canary.exists(), canary.read_text()


@pytest.mark.parametrize(
    "variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"]
)
def test_a_variable_that_points_elsewhere_is_not_followed(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """hone may be started by a hook of another repository, where git has set these."""
    elsewhere = make_repo(tmp_path / "elsewhere")
    target = {"GIT_WORK_TREE": elsewhere, "GIT_INDEX_FILE": elsewhere / ".git" / "index"}
    monkeypatch.setenv(variable, str(target.get(variable, elsewhere / ".git")))
    fresh = open_workshop(shop.folder)
    commit = fresh.accept(edit("agent.py", b"1"))
    assert fresh.repo.is_clean()
    fresh.repo.pick([commit], onto="main")
    monkeypatch.delenv(variable)
    assert git(elsewhere, "status", "--porcelain") == ""
    assert git(elsewhere, "for-each-ref", "refs/hone", "refs/heads/hone") == ""
    assert fresh.repo.head().tree == fresh.repo.describe(commit).tree
