"""Static checks on an edit, made before anything is paid for it.

They keep an edit inside its scope and spare the cost of measuring what cannot run. They are no security boundary: that
is the sandbox, and the host's git never runs what an edit wrote.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from optimizer.domain.candidate import FileEdit
from optimizer.domain.errors import EditRefusedError

TEXT_SUFFIXES = frozenset(
    {".py", ".md", ".txt", ".toml", ".json", ".yaml", ".yml", ".cfg", ".ini", ".js", ".ts", ".sh"}
)
PROTECTED_FILES = frozenset({"campaign.toml", ".gitmodules", ".gitattributes", ".gitignore"})
MAX_NAME_BYTES = 200
"""File systems take 255; a harness that cannot be written to one is the candidate's fault, not infrastructure's."""
PLAIN_SEGMENT = re.compile(r"[^\x00-\x1f\x7f\\:]+")
GIT_SEGMENT = re.compile(r"\.git(?:[. ]*|:.*)|git~\d+", re.IGNORECASE)
"""Spellings of `.git` that some file system takes for it."""
ENTRY_FILE = "agent.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class EditLimits:
    """How large an edit may be. The larger of the two growth limits counts."""

    growth_bytes: int = 20 * 1024
    """By how much the whole harness may grow."""
    growth_factor: float = 2.0
    """To how many times its size the whole harness may grow."""
    n_files: int = 20
    """Files one edit may touch."""


def check_edits(
    files: Mapping[str, bytes],
    edits: tuple[FileEdit, ...],
    *,
    editable: tuple[str, ...],
    limits: EditLimits | None = None,
) -> Mapping[str, bytes]:
    """Return the files as they are after the edits, if the edits may be tried.

    Raises:
        EditRefusedError: with code `scope`, `apply`, `empty`, `size` or `syntax`.
    """
    limits = limits or EditLimits()
    if len(edits) > limits.n_files:
        raise EditRefusedError("size", f"the edit touches {len(edits)} files; at most {limits.n_files} are allowed")
    for edit in edits:
        check_path(edit.path, editable)
    after = apply_edits(files, edits)
    if after == dict(files):
        raise EditRefusedError("empty", "the edit changes nothing; hand in at least one file with new content")
    _check_size(files, after, limits)
    for edit in edits:
        if edit.content is not None:
            _check_text(edit.path, edit.content)
    if ENTRY_FILE in files:
        _check_entry(after)
    return after


def apply_edits(files: Mapping[str, bytes], edits: tuple[FileEdit, ...]) -> Mapping[str, bytes]:
    """Return a copy of the files with the edits carried out.

    Raises:
        EditRefusedError: code `apply`, when a path is edited twice, removed though absent, or both file and folder.
    """
    after = dict(files)
    seen: set[str] = set()
    for edit in edits:
        if edit.path in seen:
            raise EditRefusedError("apply", f"{edit.path} is edited twice; hand in each file once")
        seen.add(edit.path)
        if edit.content is not None:
            after[edit.path] = edit.content
        elif after.pop(edit.path, None) is None:
            raise EditRefusedError("apply", f"{edit.path} cannot be removed: the harness has no such file")
    for path in sorted(seen & set(after)):
        for parent in PurePosixPath(path).parents:
            if str(parent) in after:
                raise EditRefusedError("apply", f"{path} cannot be written: {parent} is a file, not a folder")
    return after


def check_path(path: str, editable: tuple[str, ...]) -> None:
    """Refuse a path that is not a plain relative one, is protected, or lies outside the editable globs.

    Raises:
        EditRefusedError: code `scope`.
    """
    segments = path.split("/")
    if path.startswith("~") or not all(
        PLAIN_SEGMENT.fullmatch(segment) and segment not in {".", ".."} for segment in segments
    ):
        raise EditRefusedError("scope", f"{path!r} is not a plain path relative to the harness folder")
    if any(len(segment.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES for segment in segments):
        raise EditRefusedError("scope", f"{path[:60]!r}... has a name of more than {MAX_NAME_BYTES} bytes")
    if segments[-1].casefold() in PROTECTED_FILES or any(GIT_SEGMENT.fullmatch(segment) for segment in segments):
        raise EditRefusedError("scope", f"{path!r} is protected and cannot be edited by a candidate")
    if not is_editable(path, editable):
        raise EditRefusedError("scope", f"{path!r} is outside the editable files: {', '.join(editable) or '(none)'}")


def is_editable(path: str, editable: tuple[str, ...]) -> bool:
    """Whether a path matches one of the globs; `*` and `?` stay within a folder, `**` crosses folders."""
    return any(_glob(pattern).fullmatch(path) for pattern in editable)


def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts), re.DOTALL)


def _check_size(before: Mapping[str, bytes], after: Mapping[str, bytes], limits: EditLimits) -> None:
    n_before, n_after = (sum(map(len, files.values())) for files in (before, after))
    allowed = max(n_before + limits.growth_bytes, int(n_before * limits.growth_factor))
    if n_after > allowed:
        raise EditRefusedError(
            "size", f"the harness grows from {n_before} to {n_after} bytes; at most {allowed} are allowed"
        )


def _check_text(path: str, content: bytes) -> None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in TEXT_SUFFIXES:
        return
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise EditRefusedError("syntax", f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    if b"\x00" in content:
        raise EditRefusedError("syntax", f"{path} is not text: it contains a NUL byte")
    if suffix == ".py":
        _parse(path, content)


def _parse(path: str, content: bytes) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a harness is no concern of ours
            compile(content, path, "exec", dont_inherit=True)  # finds more than parsing does; runs nothing
            return ast.parse(content, filename=path)
    except SyntaxError as error:
        message = f"{path}, line {error.lineno}: {error.msg}: {(error.text or '').strip()[:120]}"
        raise EditRefusedError("syntax", message) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise EditRefusedError("syntax", f"{path} cannot be parsed: {error}") from error


def _check_entry(files: Mapping[str, bytes]) -> None:
    remedy = f"{ENTRY_FILE} has to define `async def run(session)` at its top level (HARNESS.md)"
    if ENTRY_FILE not in files:
        raise EditRefusedError("syntax", f"{ENTRY_FILE} is removed; {remedy}")
    body = _parse(ENTRY_FILE, files[ENTRY_FILE]).body
    found = [node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "run"]
    if not found:
        raise EditRefusedError("syntax", f"{ENTRY_FILE} no longer defines run; {remedy}")
    if not isinstance(found[-1], ast.AsyncFunctionDef) or not _takes_one_argument(found[-1].args):
        raise EditRefusedError("syntax", f"{ENTRY_FILE}, line {found[-1].lineno}: run has another signature; {remedy}")


def _takes_one_argument(arguments: ast.arguments) -> bool:
    positional = [*arguments.posonlyargs, *arguments.args]
    n_required = len(positional) - len(arguments.defaults)
    return bool(positional) and n_required <= 1 and None not in arguments.kw_defaults
