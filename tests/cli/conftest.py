"""A harness folder and the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

IDENTITY = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


def hone(*args: str, cwd: Path, env: dict[str, str] | None = None) -> Said:
    """Run `hone` as a person would, in a process of its own."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("hone")), *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1", **IDENTITY, **(env or {})},
    )
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


@dataclass(frozen=True)
class Harness:
    """A folder made by `hone init`, with a budget for a few rollouts."""

    folder: Path

    def hone(self, *args: str, env: dict[str, str] | None = None) -> Said:
        return hone(*args, cwd=self.folder, env=env)

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.folder, check=True, capture_output=True, text=True, env={**os.environ, **IDENTITY}
        )
        return done.stdout

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new, 1))

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")


@pytest.fixture
def harness(tmp_path) -> Harness:
    folder = tmp_path / "my-harness"
    made = hone("init", str(folder), "--seed", "5", cwd=tmp_path)
    assert made.code == 0, made.err
    made_harness = Harness(folder)
    made_harness.replace("campaign.toml", "rollouts = 4000", "rollouts = 150")
    made_harness.replace("campaign.toml", "wall_s = 60.0", "wall_s = 8.0")
    made_harness.commit()
    return made_harness
