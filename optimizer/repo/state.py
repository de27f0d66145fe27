"""Where a campaign keeps its ledger: `<harness>/.hone/<campaign>/`, out of git's sight."""

from __future__ import annotations

import os
from pathlib import Path

from optimizer.domain.errors import RepoError
from optimizer.repo.paths import check_slug

FOLDER = ".hone"


def state_folder(harness: Path, campaign: str) -> Path:
    """Make (where needed) and hand back the folder of a campaign; the user's tree stays clean.

    Raises:
        RepoError: when `.hone` is a link or a file, or cannot be written.
    """
    root = harness / FOLDER
    folder = root / check_slug(campaign)
    for place in (root, folder):
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise RepoError(f"{place} has to be a folder of its own, not a link or a file; move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = root / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise RepoError(
            f"{folder} cannot be made: {error.strerror}. The ledger needs a place to write; check owner and mode."
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RepoError(f"{folder} cannot be written. The ledger lives there; check its owner and mode.")
    return folder
