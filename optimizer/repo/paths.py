"""Which paths may be written into a harness tree."""

from __future__ import annotations

import re
import unicodedata

from optimizer.domain.errors import EditRefusedError, RepoError

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?")
_IGNORED_BY_HFS = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u206a-\u206f\ufeff]")
_RESERVED = frozenset({".git", "git~1", ".hone"})
"""Git's own folder (and its short name on Windows), and where campaigns keep their ledgers."""
_MAX_PATH_BYTES = 1024


def safe_path(path: str) -> tuple[str, ...]:
    """Split a relative POSIX path into its names.

    Raises:
        EditRefusedError: code `scope` for a path that leaves the harness folder or reaches `.git` or `.hone`;
            code `apply` for one that no tree can hold.
    """
    names = tuple(path.split("/"))
    if path.startswith("/") or ".." in names or "\\" in path:
        raise EditRefusedError("scope", f"the path {path!r} leaves the harness folder; use a relative POSIX path")
    if any(_plain(name) in _RESERVED for name in names):
        raise EditRefusedError("scope", f"the path {path!r} reaches into git's or hone's own folder")
    if any(name in {"", "."} for name in names) or not _is_storable(path):
        raise EditRefusedError("apply", f"the path {path!r} is not a file name that a git tree can hold")
    return names


def check_slug(campaign: str) -> str:
    """A campaign's name, fit for a ref and a folder.

    Raises:
        RepoError: for anything but 1 to 48 lower-case letters, digits and inner hyphens.
    """
    if not _SLUG.fullmatch(campaign):
        raise RepoError(
            f"the campaign name {campaign!r} cannot be a git ref; use 1 to 48 of a-z, 0-9 and '-', such as 'first-run'"
        )
    return campaign


def _plain(name: str) -> str:
    """The name as a forgiving file system sees it: case, ignored code points, trailing dots and blanks gone."""
    folded = _IGNORED_BY_HFS.sub("", unicodedata.normalize("NFKC", name)).casefold()
    return folded.split(":", 1)[0].rstrip(". ")


def _is_storable(path: str) -> bool:
    has_control = any(unicodedata.category(char) in {"Cc", "Cs"} for char in path)
    return not has_control and len(path.encode("utf-8", "replace")) <= _MAX_PATH_BYTES
