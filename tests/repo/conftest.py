"""A person with a home of their own; no test sees the machine's configuration."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from optimizer.repo.harness import HarnessRepo
from tests.repo.workshop import Workshop, git, make_repo, open_workshop


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_") and not name.startswith("GIT_PYTHON")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / ".config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.delenv("EMAIL", raising=False)
    return folder


@pytest.fixture(scope="session")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A harness with a campaign that has begun, made once and copied for every test."""
    return open_workshop(make_repo(tmp_path_factory.mktemp("begun") / "harness")).folder


@pytest.fixture
def shop(tmp_path: Path, begun: Path) -> Workshop:
    """A harness that is a whole repository."""
    folder = tmp_path / "harness"
    shutil.copytree(begun, folder, symlinks=True)
    git(folder, "update-index", "-q", "--refresh")
    return Workshop(folder=folder, repo=HarnessRepo.open(folder, campaign="demo"))
