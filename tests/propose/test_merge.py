"""The three-way merge of one file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.domain.errors import RepoError
from optimizer.propose.merge import merge_file

BASE = b"one\ntwo\nthree\nfour\nfive\n"
LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n"]), max_size=6).map(lambda lines: "".join(lines).encode())


def test_changes_of_different_lines_are_joined() -> None:
    merged = merge_file(ours=BASE.replace(b"one", b"ONE"), base=BASE, theirs=BASE.replace(b"five", b"FIVE"))

    assert merged == b"ONE\ntwo\nthree\nfour\nFIVE\n"


def test_different_changes_of_one_line_conflict() -> None:
    assert merge_file(ours=BASE.replace(b"three", b"3"), base=BASE, theirs=BASE.replace(b"three", b"III")) is None


def test_the_same_change_on_both_sides_is_no_conflict() -> None:
    both = BASE.replace(b"three", b"3")

    assert merge_file(ours=both + b"six\n", base=BASE, theirs=both) == both + b"six\n"


def test_binary_content_conflicts_instead_of_being_mixed() -> None:
    assert merge_file(ours=b"\x00a\n", base=b"\x00b\n", theirs=b"\x00c\n") is None


@given(base=LINES, other=LINES)
@settings(max_examples=20, deadline=None)
def test_an_untouched_side_takes_the_other_as_it_is(base: bytes, other: bytes) -> None:
    assert merge_file(ours=base, base=base, theirs=other) == other
    assert merge_file(ours=other, base=base, theirs=base) == other


def test_a_repository_around_the_temporary_folder_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "config").write_text("[broken\n")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))

    merged = merge_file(ours=BASE.replace(b"one", b"ONE"), base=BASE, theirs=BASE + b"six\n")

    assert merged == b"ONE\ntwo\nthree\nfour\nfive\nsix\n"
    assert [path.name for path in tmp_path.iterdir()] == [".git"]


def test_a_machine_without_git_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(RepoError, match="git is not on the PATH"):
        merge_file(ours=b"a\n", base=b"b\n", theirs=b"c\n")
