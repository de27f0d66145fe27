"""What is refused before anything is paid for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.candidate import FileEdit
from optimizer.domain.errors import EditRefusedError
from optimizer.propose.guards import EditLimits, apply_edits, check_edits, check_path, is_editable
from tests.propose.requests import EDITABLE, TEMPLATE


def refusal(
    *edits: FileEdit, editable: tuple[str, ...] = EDITABLE, limits: EditLimits | None = None
) -> EditRefusedError:
    with pytest.raises(EditRefusedError) as caught:
        check_edits(TEMPLATE, edits, editable=editable, limits=limits)
    return caught.value


def write(path: str, content: str | bytes) -> FileEdit:
    return FileEdit(path=path, content=content.encode() if isinstance(content, str) else content)


def test_an_edit_in_scope_yields_the_new_files_and_leaves_the_old_ones_alone() -> None:
    before = dict(TEMPLATE)

    after = check_edits(
        TEMPLATE, (write("prompts/rules/99-x.md", "- x"), write("context.py", "y = 1\n")), editable=EDITABLE
    )

    assert after["prompts/rules/99-x.md"] == b"- x"
    assert after["context.py"] == b"y = 1\n"
    assert before == TEMPLATE


@pytest.mark.parametrize(
    "path",
    [
        "../outside.py",
        "prompts/../agent.py",
        "/etc/passwd",
        "./agent.py",
        "prompts//x.md",
        "prompts/",
        "",
        "~/x",
        "prompts\\x.md",
        "C:/x",
        "prompts/a\nb.md",
        "prompts/a\x00.md",
        ".git/config",
        "prompts/.git/hooks/pre-commit",
        "prompts/.GIT/config",
        "prompts/git~1/config",
        ".gitattributes",
        ".gitmodules",
        "campaign.toml",
        "requirements.txt",
        "HARNESS.md",
        "agent.pyc",
        "sub/agent.py",
    ],
)
def test_a_path_out_of_scope_is_refused(path: str) -> None:
    assert refusal(write(path, "x = 1\n")).code == "scope"


@pytest.mark.parametrize(
    "path", ["~0", "~/x", "~root/x", ".git/config", "campaign.toml", "x/.git", "../x", ".gitattributes"]
)
def test_protected_paths_are_refused_even_if_everything_is_editable(path: str) -> None:
    assert refusal(write(path, "x"), editable=("**",)).code == "scope"


@given(path=st.text(max_size=30))
def test_an_accepted_path_never_leaves_the_folder(path: str) -> None:
    try:
        check_path(path, ("**",))
    except EditRefusedError:
        return
    assert not path.startswith(("/", "~"))
    assert not {"", ".", "..", ".git"} & set(path.lower().split("/"))


@pytest.mark.parametrize(
    ("glob", "path", "is_match"),
    [
        ("agent.py", "agent.py", True),
        ("agent.py", "agentxpy", False),
        ("*.py", "agent.py", True),
        ("*.py", "lib/agent.py", False),
        ("**/*.py", "agent.py", True),
        ("**/*.py", "a/b/agent.py", True),
        ("prompts/**", "prompts/rules/a.md", True),
        ("prompts/**", "prompts2/a.md", False),
        ("prompts/*", "prompts/rules/a.md", False),
        ("a?.md", "ab.md", True),
        ("a?.md", "a/.md", False),
    ],
)
def test_globs_match_like_in_gitignore(glob: str, path: str, *, is_match: bool) -> None:
    assert is_editable(path, (glob,)) is is_match


def test_an_edit_that_changes_nothing_is_empty() -> None:
    assert refusal().code == "empty"
    assert refusal(write("agent.py", TEMPLATE["agent.py"])).code == "empty"


def test_growth_beyond_the_limit_is_refused_with_the_numbers() -> None:
    n_before = sum(map(len, TEMPLATE.values()))
    limits = EditLimits(growth_bytes=100, growth_factor=1.0)

    check_edits(TEMPLATE, (write("prompts/x.md", b"x" * 100),), editable=EDITABLE, limits=limits)
    refused = refusal(write("prompts/x.md", b"x" * 101), limits=limits)

    assert refused.code == "size"
    assert str(n_before + 101) in str(refused)
    assert str(n_before + 100) in str(refused)


def test_the_default_lets_a_large_harness_double_and_a_small_one_gain_20_kib() -> None:
    small = {"prompts/a.md": b"x"}
    large = {"prompts/a.md": b"x" * 100_000}

    for files, gain in ((small, 20 * 1024), (large, 100_000)):
        check_edits(files, (write("prompts/b.md", b"y" * gain),), editable=EDITABLE)
        with pytest.raises(EditRefusedError):
            check_edits(files, (write("prompts/b.md", b"y" * (gain + 1)),), editable=EDITABLE)


def test_too_many_files_are_refused() -> None:
    assert refusal(*(write(f"prompts/{number}.md", "x") for number in range(21))).code == "size"


def test_a_python_syntax_error_names_file_and_line() -> None:
    refused = refusal(write("context.py", "x = 1\ndef f(:\n"))

    assert refused.code == "syntax"
    assert "context.py, line 2: invalid syntax: def f(:" in str(refused)


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"x = 1\x00", b"return 1\n", b"await f()\n", b"# coding: nonsense\n", b"(" * 300 + b")" * 300],
)
def test_what_python_cannot_compile_is_refused(content: bytes) -> None:
    assert refusal(write("context.py", content)).code == "syntax"


def test_an_odd_escape_is_no_reason_to_refuse() -> None:
    check_edits(TEMPLATE, (write("context.py", 'x = "\\d"\n'),), editable=EDITABLE)


def test_a_text_file_has_to_be_utf_8_but_other_files_may_hold_anything() -> None:
    assert refusal(write("prompts/x.md", b"\xe4")).code == "syntax"
    check_edits(TEMPLATE, (write("prompts/x.bin", b"\xe4\x00"),), editable=EDITABLE)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "run = 1\n",
        "def run(session): ...\n",
        "async def run(): ...\n",
        "async def run(session, other): ...\n",
        "async def run(*, session): ...\n",
        "async def run(session, *, other): ...\n",
        "class A:\n    async def run(self): ...\n",
        "async def run(session): ...\ndef run(session): ...\n",
    ],
)
def test_agent_py_has_to_keep_its_contract(source: str) -> None:
    refused = refusal(write("agent.py", source))

    assert refused.code == "syntax"
    assert "async def run(session)" in str(refused)


@pytest.mark.parametrize(
    "source",
    [
        "async def run(session): ...\n",
        "async def run(session, /, limit=3): ...\n",
        "async def run(session, *, limit=3, **rest): ...\n",
    ],
)
def test_agent_py_may_take_more_as_long_as_one_argument_suffices(source: str) -> None:
    check_edits(TEMPLATE, (write("agent.py", source),), editable=EDITABLE)


def test_agent_py_cannot_be_removed() -> None:
    assert refusal(FileEdit(path="agent.py", content=None)).code == "syntax"


def test_a_harness_in_another_language_needs_no_agent_py() -> None:
    check_edits({"main.js": b"1"}, (write("main.js", "2"),), editable=("*.js",))


def test_edits_that_contradict_themselves_or_the_files_are_refused() -> None:
    for edits in (
        (write("agent.py", "1"), write("agent.py", "2")),
        (FileEdit(path="absent.py", content=None),),
        (write("agent.py/x.py", "1"),),
    ):
        with pytest.raises(EditRefusedError) as caught:
            apply_edits(TEMPLATE, edits)
        assert caught.value.code == "apply"


def test_a_file_may_be_replaced_by_a_folder_in_one_edit() -> None:
    after = apply_edits({"a": b"1"}, (FileEdit(path="a", content=None), FileEdit(path="a/b", content=b"2")))

    assert after == {"a/b": b"2"}
