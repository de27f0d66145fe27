"""`--sandbox reduced` on a small campaign: it is said before, during and after, in every place a person may look."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.reduced import landlock
from tests.cli.conftest import IDENTITY, Said
from tests.sandbox.as_user import UID, python_for_users

ROOT = Path(__file__).resolve().parents[2]
HONE = "import sys; sys.argv[0] = 'hone'; from optimizer.cli.main import main; main()"

AGENT = """
import json, os, urllib.request

async def run(session):
    body = {"model": session.model, "messages": [{"role": "user", "content": session.first_message}]}
    headers = {"Content-Type": "application/json"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        said = json.load(answer)["choices"][0]["message"]["content"]
    await session.submit(said or "")
"""
"""Needs no package, so that the environment is made without an index."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the user who runs the campaign, with nothing closed above it."""
    folder = Path(tempfile.mkdtemp(prefix="hone-reduced-"))
    if os.geteuid() == 0:
        os.chown(folder, UID, UID)
    yield folder
    shutil.rmtree(folder)


def hone(*args: str, cwd: Path, home: Path) -> Said:
    """`hone` as an ordinary user: to root the reduced sandbox is closed where the interpreter is root's alone."""
    python = python_for_users() if os.geteuid() == 0 else sys.executable
    if python is None or landlock.abi() < landlock.SCOPES_SINCE:
        pytest.skip(
            "the reduced sandbox of an ordinary user needs Linux 6.12 and an interpreter that the user may start"
        )
    packages = next(entry for entry in sys.path if entry.endswith("site-packages"))
    done = subprocess.run(
        [python, "-B", "-c", HONE, *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        user=UID if os.geteuid() == 0 else None,
        group=UID if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
        env={
            **IDENTITY,
            "PYTHONPATH": f"{ROOT}:{packages}",
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "HONE_CACHE": str(home / "cache"),
            "NO_COLOR": "1",
        },
    )
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def test_a_campaign_in_the_reduced_sandbox_says_so_everywhere(home: Path) -> None:
    folder = home / "harness"
    assert hone("init", str(folder), "--seed", "5", cwd=home, home=home).code == 0
    settings = folder / "campaign.toml"
    settings.write_text(settings.read_text().replace("rollouts = 4000", "rollouts = 30"))
    (folder / "requirements.txt").write_text("")
    (folder / "agent.py").write_text(AGENT)
    git = ["git", "-c", "safe.directory=*", "commit", "-qam", "fewer"]
    user = UID if os.geteuid() == 0 else None
    subprocess.run(git, cwd=folder, check=True, user=user, env={**IDENTITY, "PATH": "/usr/bin:/bin", "HOME": str(home)})

    ran = hone("run", "--sandbox", "reduced", "--json", cwd=folder, home=home)
    assert ran.code == 0, ran.err
    assert "does not cover" in ran.err
    (level,) = json.loads(ran.out)["sandbox_levels"]
    assert level.startswith("reduced:L1:landlock-")

    status = json.loads(hone("status", "--json", cwd=folder, home=home).out)
    assert status["sandbox_levels"] == [level]
    assert f"{level}  REDUCED ISOLATION, by request" in hone("status", cwd=folder, home=home).out
    (ledger,) = folder.glob(".hone/**/ledger.sqlite")
    with closing(sqlite3.connect(ledger)) as rows:
        kinds = rows.execute("SELECT sandbox_level, count(*) FROM rollout GROUP BY sandbox_level").fetchall()
    assert kinds == [(level, status["n_rollouts"])]
    assert status["n_rollouts"] > 0
