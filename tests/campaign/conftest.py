"""One uninterrupted toy campaign, shared by the tests that only look at it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.campaign.session_of import run
from tests.campaign.toy import Toy, make_toy


@dataclass(frozen=True)
class Finished:
    """A campaign that ran to its end, and what the folder looked like before and after."""

    toy: Toy
    ending: str
    before: dict[str, str]
    after: dict[str, str]


def fingerprints(folder: Path) -> dict[str, str]:
    """Hash of every file a person or their git would notice: work tree, index, HEAD, configuration."""
    paths = [p for p in folder.rglob("*") if p.is_file() and ".hone" not in p.parts and ".git" not in p.parts]
    paths += [folder / ".git" / name for name in ("index", "HEAD", "config", "refs/heads/main")]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Finished:
    toy = make_toy(tmp_path_factory.mktemp("toy") / "harness")
    before = fingerprints(toy.folder)
    ending = run(toy)
    return Finished(toy=toy, ending=ending, before=before, after=fingerprints(toy.folder))
