"""The path of a new user: init, doctor, estimate, run, look around, pick."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from optimizer.cli.main import VERBS
from tests.cli.conftest import Harness, hone


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_worth_reading(verb, tmp_path):
    said = hone(verb, "--help", cwd=tmp_path)
    assert said.code == 0
    assert len(said.out.split()) > 15


def test_help_loads_no_heavy_library():
    code = (
        "import sys; sys.argv = ['hone', '--help']\n"
        "from optimizer.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'textual', 'litellm', 'openai', 'anthropic', 'docker', 'git', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_user_comes_from_an_empty_folder_to_a_picked_commit(harness: Harness):
    doctor = harness.hone("doctor")
    assert doctor.code == 0, doctor.out
    estimate = json.loads(harness.hone("estimate", "--probe", "4", "--json").out)
    assert estimate["per_rollout"]["input_tokens"] > 0
    assert estimate["is_simulated"]

    harness.replace("campaign.toml", "candidates = 40", "candidates = 2")
    harness.replace("campaign.toml", "rollouts = 150", "rollouts = 400")
    harness.commit()
    ran = harness.hone("run", "--json")
    assert ran.code == 0, ran.err
    summary = json.loads(ran.out)
    assert summary["n_candidates"] == 2
    assert harness.git("status", "--porcelain") == ""

    status = json.loads(harness.hone("status", "--json").out)
    assert status["counts"]["accepted"] + status["counts"]["rejected"] == 2
    log = json.loads(harness.hone("log", "--json").out)
    assert [row["n"] for row in log] == [2, 1]
    shown = harness.hone("show", "1").out
    assert log[1]["reason"].split("(")[0] in " ".join(shown.split())
    assert "+++ b/" in shown
    assert "SIMULATED" in harness.hone("status").out

    clusters = json.loads(harness.hone("clusters", "--json").out)
    assert clusters
    life = harness.hone("clusters", str(clusters[0]["id"])).out
    rollout = life.split("(rollout ")[1].split(")")[0]
    assert "model_call" in harness.hone("trace", rollout).out
    assert harness.hone("suite").code == 0

    picked = harness.hone("pick", "1", "--onto", "main")
    assert picked.code == 0, picked.err
    assert "(cherry picked from commit" in harness.git("log", "-1", "--format=%B")


@pytest.mark.slow
def test_replay_estimates_a_commit_without_touching_the_campaign(harness: Harness):
    said = harness.hone("replay", "HEAD", "--split", "train", "--trials", "2", "--json")
    assert said.code == 0, said.err
    (rate,) = json.loads(said.out)
    assert rate["n_rollouts"] == 2 * rate["n_tasks"]
    assert 0.2 < rate["mean"] < 0.8
    assert harness.hone("status").code != 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell, tmp_path):
    assert "hone" in hone("completion", shell, cwd=tmp_path).out


def test_finalize_before_any_campaign_says_how_to_start_one(harness: Harness):
    said = harness.hone("finalize", "--yes")
    assert said.code == 7
    assert "hone run" in said.err
