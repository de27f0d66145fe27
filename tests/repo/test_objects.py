"""Trees and commits are made in the object database, byte for byte, and nothing else changes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.domain.candidate import FileEdit
from optimizer.domain.errors import EditRefusedError, HarnessError, RepoError
from optimizer.repo import objects
from optimizer.repo.harness import HarnessRepo
from optimizer.repo.paths import safe_path
from tests.repo.workshop import AT, FILES, Workshop, edit, git, make_repo, open_workshop, picture, write


def test_reading_gives_every_file_with_its_exact_bytes(shop: Workshop) -> None:
    assert dict(shop.repo.read("HEAD")) == dict(FILES)


def test_head_names_commit_trees_and_date(shop: Workshop) -> None:
    head = shop.repo.head()
    assert head.commit == git(shop.folder, "rev-parse", "HEAD")
    assert head.tree == head.harness_tree == git(shop.folder, "rev-parse", "HEAD^{tree}")
    assert head.committed_at == datetime.fromtimestamp(int(git(shop.folder, "log", "-1", "--format=%ct")), UTC)


def test_edits_add_change_and_remove_files(shop: Workshop) -> None:
    commit = shop.candidate(
        edit("agent.py", b"new"), edit("prompts/deep/er/note.md", None), edit("tools/a/b.py", b"x"), edit("z", b"")
    )
    expected = {**FILES, "agent.py": b"new", "tools/a/b.py": b"x", "z": b""}
    del expected["prompts/deep/er/note.md"]
    assert dict(shop.repo.read(commit)) == expected
    git(shop.folder, "fsck", "--strict")


def test_a_folder_whose_last_file_goes_is_gone(shop: Workshop) -> None:
    commit = shop.candidate(edit("prompts/deep/er/note.md", None))
    assert "prompts/deep" not in git(shop.folder, "ls-tree", "-r", "-t", "--name-only", commit).split("\n")


def test_an_edit_that_changes_nothing_gives_the_same_trees(shop: Workshop) -> None:
    head = shop.repo.head()
    assert shop.repo.write_tree(head.commit, (edit("agent.py", FILES["agent.py"]),)).root == head.tree
    assert shop.repo.write_tree(head.commit, ()).harness == head.harness_tree


def test_a_file_may_become_a_folder_of_the_same_name(shop: Workshop) -> None:
    commit = shop.candidate(edit("agent.py", None), edit("agent.py/__init__.py", b"x"))
    assert shop.repo.read(commit)["agent.py/__init__.py"] == b"x"


CONTENTS = (b"a\r\nb\r\n", b"\x00\xff\x00", b"", b"no end", "ümlaut ✓".encode(), b"\xff\xfe", b"$Id$ \r mixed \n")


def test_bytes_are_preserved_whatever_attributes_and_line_end_settings_say(shop: Workshop) -> None:
    git(shop.folder, "config", "core.autocrlf", "true")
    write(shop.folder, {".gitattributes": b"* text eol=crlf ident\n"})
    commit = shop.candidate(*(edit(f"f{n}.txt", content) for n, content in enumerate(CONTENTS)))
    files = shop.repo.read(commit)
    assert [files[f"f{n}.txt"] for n in range(len(CONTENTS))] == list(CONTENTS)


def test_unicode_and_awkward_paths_survive(shop: Workshop) -> None:
    paths = (
        "prompts/grüße ✓.md",
        "prompts/日本語/ä.md",
        'a "quoted" name',
        "tab-less name ",
        "-rf",
        "a;b&c|d",
        "*.md",
        ":x",
    )
    commit = shop.candidate(*(edit(path, path.encode()) for path in paths))
    files = shop.repo.read(commit)
    assert {path: files[path] for path in paths} == {path: path.encode() for path in paths}
    assert "prompts/grüße ✓.md" in shop.repo.diff("HEAD", commit)


def test_the_executable_bit_is_kept_by_an_edit(tmp_path: Path) -> None:
    folder = make_repo(tmp_path / "h")
    write(folder, {"run.sh": b"#!/bin/sh\n"})
    (folder / "run.sh").chmod(0o755)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    shop = open_workshop(folder)
    commit = shop.candidate(edit("run.sh", b"#!/bin/sh\nexit 1\n"), edit("new.sh", b"#!/bin/sh\n"))
    assert shop.repo.executables(commit) == {"run.sh"}


def test_equal_inputs_give_equal_ids_whoever_runs_them(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shop.candidate(edit("a", b"1"), edit("b", b"2"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    monkeypatch.setenv("GIT_COMMITTER_DATE", "@1 +0200")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    git(shop.folder, "config", "i18n.commitEncoding", "ISO-8859-1")
    git(shop.folder, "config", "user.name", "Bob")
    assert shop.candidate(edit("b", b"2"), edit("a", b"1")) == first
    assert git(shop.folder, "log", "-1", "--format=%an %ae %cn %ce %at %ct", first) == (
        f"hone hone@localhost hone hone@localhost {int(AT.timestamp())} {int(AT.timestamp())}"
    )


def test_a_date_without_a_time_zone_is_a_mistake_of_ours(shop: Workshop) -> None:
    head = shop.repo.head()
    with pytest.raises(ValueError, match="time zone"):
        shop.repo.commit(head.commit, head.tree, "m", at=datetime(2025, 1, 1))  # noqa: DTZ001


def test_no_identity_is_needed_to_make_candidates(tmp_path: Path) -> None:
    shop = open_workshop(make_repo(tmp_path / "h"))
    git(shop.folder, "config", "--unset", "user.name")
    git(shop.folder, "config", "--unset", "user.email")
    git(shop.folder, "config", "user.useConfigOnly", "true")
    assert shop.accept(edit("a", b"1")) == shop.repo.trunk()


def test_the_diff_is_unified_and_harness_only(shop: Workshop) -> None:
    commit = shop.candidate(edit("prompts/system.md", b"Be kind.\nAsk first.\n"))
    assert shop.repo.diff("HEAD", commit).split("\n")[2:] == [
        "--- a/prompts/system.md",
        "+++ b/prompts/system.md",
        "@@ -1 +1,2 @@",
        " Be kind.",
        "+Ask first.",
        "",
    ]
    assert shop.repo.diff(commit, commit) == ""


def test_a_diff_of_binary_or_invalid_text_is_still_text(shop: Workshop) -> None:
    commit = shop.candidate(edit("b.bin", b"\x00\x01"), edit("l.txt", b"\xe4\n"))
    diff = shop.repo.diff("HEAD", commit)
    assert "Binary files" in diff
    diff.encode("utf-8")


SCOPE = [
    "/etc/passwd", "../x", "a/../../x", "a/..", ".git/config", ".GIT/hooks/x", "sub/.git/config", ".git",
    "git~1/config", ".g\u200cit/config", ".git./x", ".git /x", ".hone/demo/ledger.db", ".git::$INDEX_ALLOCATION/x",
    "a\\b", "..\\x",
]  # fmt: skip


@pytest.mark.parametrize("path", SCOPE)
def test_a_path_that_leaves_the_harness_or_enters_gits_folder_is_refused(path: str) -> None:
    with pytest.raises(EditRefusedError) as caught:
        safe_path(path)
    assert caught.value.code == "scope"


def test_no_candidate_is_made_of_a_refused_path(shop: Workshop) -> None:
    with pytest.raises(EditRefusedError, match="reaches into git's or hone's own folder"):
        shop.candidate(edit("agent.py", b"1"), edit(".git/hooks/post-commit", b"x"))


@pytest.mark.parametrize("path", ["", "a//b", "a/", "./a", "a\nb", "a\x00b", "\udcff", "x" * 2000])
def test_a_path_that_no_tree_can_hold_is_refused(path: str) -> None:
    with pytest.raises(EditRefusedError) as caught:
        safe_path(path)
    assert caught.value.code == "apply"


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ((edit("missing", None),), "not in the harness"),
        ((edit("prompts", b"x"),), "is a folder"),
        ((edit("prompts", None),), "is a folder"),
        ((edit("agent.py/x", b"x"),), "is a file"),
        ((edit("a", b"x"), edit("a", b"y")), "edited twice"),
        ((edit("a", b"x"), edit("a/b", b"y")), "a file and a folder"),
    ],
)
def test_edits_that_contradict_the_tree_or_each_other_are_refused(
    shop: Workshop, edits: tuple[FileEdit, ...], words: str
) -> None:
    with pytest.raises(EditRefusedError, match=words) as caught:
        shop.candidate(*edits)
    assert caught.value.code == "apply"


def test_a_symbolic_link_is_refused_by_name(tmp_path: Path) -> None:
    folder = make_repo(tmp_path / "h")
    (folder / "prompts" / "link").symlink_to("/etc/passwd")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    shop = open_workshop(folder)
    with pytest.raises(HarnessError, match="'prompts/link' is a symbolic link"):
        shop.repo.read("HEAD")
    with pytest.raises(EditRefusedError, match="symbolic link"):
        shop.candidate(edit("prompts/link", b"/etc/shadow"))


def test_a_submodule_is_refused_by_name(shop: Workshop) -> None:
    git(shop.folder, "update-index", "--add", "--cacheinfo", f"160000,{shop.repo.head().commit},vendored")
    git(shop.folder, "commit", "-qm", "x")
    with pytest.raises(HarnessError, match="'vendored' is a submodule"):
        shop.repo.read("HEAD")


def test_a_name_that_is_not_utf8_is_refused(shop: Workshop) -> None:
    blob = git(shop.folder, "hash-object", "-w", "--stdin", stdin=b"x")
    tree = git(shop.folder, "mktree", "-z", stdin=f"100644 blob {blob}\tb".encode() + b"\xe4d\0")
    with pytest.raises(HarnessError, match="not UTF-8"):
        shop.repo.read(tree)


def test_a_harness_of_too_many_files_or_bytes_is_refused(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_FILES", 3)
    with pytest.raises(HarnessError, match="4 files, at most 3"):
        shop.repo.read("HEAD")
    monkeypatch.setattr(objects, "MAX_FILES", 4)
    monkeypatch.setattr(objects, "MAX_BYTES", 10)
    with pytest.raises(HarnessError, match=r"at most 10 are handled; the largest file is 'agent.py'"):
        shop.repo.read("HEAD")


def test_what_is_no_commit_is_a_clear_error(shop: Workshop) -> None:
    for revision in ("", "-h", "--all", "nope", "HEAD:agent.py", "HEAD\nmain", "^HEAD", "0" * 40):
        with pytest.raises(RepoError, match="neither a commit nor a tree"):
            shop.repo.read(revision)
        with pytest.raises(RepoError, match="not a commit"):
            shop.repo.describe(revision)


def test_a_replaced_object_is_not_believed(shop: Workshop) -> None:
    blob = git(shop.folder, "rev-parse", "HEAD:agent.py")
    fake = git(shop.folder, "hash-object", "-w", "--stdin", stdin=b"fake")
    git(shop.folder, "replace", blob, fake)
    assert shop.repo.read("HEAD")["agent.py"] == FILES["agent.py"]


def test_the_users_tree_index_and_head_stay_byte_identical(shop: Workshop) -> None:
    """I9."""
    write(shop.folder, {"agent.py": b"half written", "notes.txt": b"mine"})
    git(shop.folder, "add", "notes.txt")
    before = picture(shop.folder)
    shop.repo.is_clean()
    shop.repo.read("HEAD")
    kept = shop.accept(edit("agent.py", b"1"))
    lost = shop.candidate(edit("agent.py", b"2"), edit("prompts/system.md", None))
    shop.repo.hold_candidate(2, lost)
    shop.repo.diff(kept, lost)
    shop.repo.set_aside(2, lost)
    shop.repo.drop_candidate_ref(2)
    assert picture(shop.folder) == before


def test_the_index_is_not_even_refreshed_by_looking(shop: Workshop) -> None:
    for name in FILES:
        (shop.folder / name).touch()
    before = (shop.folder / ".git" / "index").read_bytes()
    assert shop.repo.is_clean()
    assert (shop.folder / ".git" / "index").read_bytes() == before


# --- a harness in a folder of a larger repository


@pytest.fixture
def sub(tmp_path: Path) -> Workshop:
    """A harness two folders down, beside things that are not its business."""
    files = {f"agents/my agent/{path}": content for path, content in FILES.items()}
    top = make_repo(tmp_path / "mono", {**files, "README.md": b"top", "agents/other/x": b"1", "zlib.c": b"c"})
    (top / "link").symlink_to("README.md")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "link")
    return open_workshop(top / "agents" / "my agent")


def test_a_sub_folder_is_read_and_written_under_its_prefix(sub: Workshop) -> None:
    assert dict(sub.repo.read("HEAD")) == dict(FILES)
    commit = sub.candidate(edit("agent.py", b"new"))
    top = sub.repo.place.work_tree
    assert git(top, "diff", "--name-only", "HEAD", commit) == "agents/my agent/agent.py"
    assert sub.repo.describe(commit).harness_tree == git(top, "rev-parse", f"{commit}:agents/my agent")
    assert sub.repo.read(sub.repo.describe(commit).harness_tree)["agent.py"] == b"new"
    git(top, "fsck", "--strict")


def test_a_sub_folders_diff_is_relative_to_the_harness(sub: Workshop) -> None:
    assert "+++ b/agent.py" in sub.repo.diff("HEAD", sub.candidate(edit("agent.py", b"new\n")))


def test_only_the_sub_folder_counts_as_dirty(sub: Workshop) -> None:
    write(sub.repo.place.work_tree, {"README.md": b"changed", "agents/other/new": b""})
    assert sub.repo.is_clean()
    write(sub.folder, {"new.py": b""})
    assert sub.repo.dirty_files() == ("agents/my agent/new.py",)


def test_a_folder_that_was_never_committed_says_so(tmp_path: Path) -> None:
    top = make_repo(tmp_path / "mono")
    write(top, {"fresh/agent.py": b""})
    with pytest.raises(HarnessError, match=r"holds no folder 'fresh'.*git add fresh"):
        HarnessRepo.open(top / "fresh", campaign="demo").head()


_NAMES = st.text(alphabet="ab.é-", min_size=1, max_size=3).filter(lambda name: set(name) != {"."})
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_PATHS, st.binary(max_size=20), min_size=1, max_size=5))
def test_what_is_written_is_read_back(shop: Workshop, files: dict[str, bytes]) -> None:
    try:
        trees = shop.repo.write_tree("HEAD", tuple(edit(path, content) for path, content in files.items()))
    except EditRefusedError:
        return
    assert dict(shop.repo.read(trees.harness)) == {**FILES, **files}


@given(st.text(max_size=30))
def test_no_accepted_path_reaches_git_or_leaves_the_folder(path: str) -> None:
    try:
        names = safe_path(path)
    except EditRefusedError:
        return
    assert "/".join(names) == path
    assert not {"", ".", "..", ".git"} & {name.casefold() for name in names}
