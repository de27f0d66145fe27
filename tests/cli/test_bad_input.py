"""Hostile and clumsy input: each gets one clear message, its own exit code, and loses nothing."""

from __future__ import annotations

import os
import subprocess

import pytest

from optimizer.cli.exits import Exit, exit_for
from optimizer.domain import errors
from optimizer.domain.errors import BudgetExhaustedError, EditRefusedError, HoneError
from tests.cli.conftest import Harness, hone

AGENT = "async def run(session):\n    {}\n"


def test_every_error_of_the_tree_has_an_exit_code():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HoneError)]
    for kind in set(kinds) - {HoneError}:
        error = kind("code", "text") if issubclass(kind, EditRefusedError | BudgetExhaustedError) else kind("text")
        assert exit_for(error) is not Exit.FAILED, kind


def test_a_missing_agent_is_named_before_anything_is_spent(harness: Harness):
    (harness.folder / "agent.py").unlink()
    harness.commit()
    said = harness.hone("run")
    assert said.code == Exit.HARNESS
    assert "no agent.py" in said.err
    assert not list(harness.folder.glob(".hone/*/ledger.sqlite"))


def test_a_syntax_error_is_named_with_file_and_line(harness: Harness):
    harness.write("tools.py", "def broken(:\n")
    harness.commit()
    said = harness.hone("run")
    assert said.code == Exit.HARNESS
    assert "tools.py, line 1" in said.err


def test_a_harness_that_raises_is_named_with_its_own_error(harness: Harness):
    harness.write("agent.py", AGENT.format("raise RuntimeError('the sky fell')"))
    harness.commit()
    said = harness.hone("run")
    assert said.code == Exit.HARNESS
    assert "the sky fell" in said.err


def test_a_harness_that_never_ends_is_stopped_and_named(harness: Harness):
    harness.write("agent.py", AGENT.format("while True: pass"))
    harness.commit()
    said = harness.hone("run")
    assert said.code == Exit.HARNESS
    assert "timed_out" in said.err


def test_invalid_toml_is_named_with_its_line(harness: Harness):
    harness.write("campaign.toml", "[campaign\nname = 1\n")
    said = harness.hone("run")
    assert said.code == Exit.USAGE
    assert "line 1" in said.err


def test_an_unknown_key_is_named_with_the_nearest_valid_one(harness: Harness):
    harness.replace("campaign.toml", "rollouts = 150", "rollout = 150")
    said = harness.hone("run")
    assert said.code == Exit.USAGE
    assert "campaign.toml: [budget] unknown key 'rollout' - did you mean 'rollouts'?" in said.err


def test_a_dirty_tree_is_refused_with_its_files(harness: Harness):
    harness.write("agent.py", (harness.folder / "agent.py").read_text() + "# mine\n")
    before = (harness.folder / "agent.py").read_bytes()
    said = harness.hone("run")
    assert said.code == Exit.REPO
    assert "agent.py" in said.err
    assert "git stash" in said.err
    assert (harness.folder / "agent.py").read_bytes() == before


def test_no_folder_no_repository_and_no_campaign_are_told_apart(harness: Harness, tmp_path):
    assert "no campaign.toml" in hone("run", cwd=tmp_path).err
    assert "no campaign has been started" in harness.hone("status").err
    assert harness.hone("resume").code == Exit.LEDGER
    assert "did you mean" in harness.hone("statsu").err.lower()


def test_without_a_git_identity_a_campaign_runs_and_a_pick_says_what_to_set(harness: Harness, tmp_path):
    env = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    nobody = {**env, **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"), "")}
    nobody |= dict.fromkeys(("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), "")
    harness.replace("campaign.toml", "candidates = 40", "candidates = 1")
    harness.commit()
    ran = harness.hone("run", "--json", env=nobody)
    assert ran.code == 0, ran.err
    said = harness.hone("pick", "1", env=nobody)
    assert said.code == Exit.REPO
    assert "git config" in said.err


def test_a_read_only_folder_is_named_and_nothing_is_lost(harness: Harness):
    """A read-only mount, since root may write anywhere else."""
    folder = str(harness.folder)
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", folder, folder], check=False).returncode:
        pytest.skip("needs root and the right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        before = sorted(str(path) for path in harness.folder.rglob("*"))
        said = harness.hone("run")
        assert said.code in {Exit.REPO, Exit.LEDGER}, said.err
        assert "read-only" in said.err.lower()
        assert "Traceback" not in said.err
        assert sorted(str(path) for path in harness.folder.rglob("*")) == before
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_stops_the_campaign_and_it_resumes_when_there_is_room(harness: Harness):
    """The ledger's folder lies on a file system of one and a half megabytes."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    state = harness.folder / ".hone"
    state.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "none", str(state)], check=False).returncode:
        pytest.skip("cannot mount here")
    try:
        said = harness.hone("run")
        assert said.code == Exit.LEDGER
        assert "no space" in said.err.lower()
        assert "hone resume" in said.err
        subprocess.run(["mount", "-o", "remount,size=200m", str(state)], check=True)
        resumed = harness.hone("resume", "--json")
        assert resumed.code == 0, resumed.err
        assert '"ending": "rollouts"' in resumed.out
    finally:
        subprocess.run(["umount", str(state)], check=True)


@pytest.mark.slow
def test_changed_settings_are_refused_on_resume_but_a_larger_budget_is_not(harness: Harness):
    harness.replace("campaign.toml", "candidates = 40", "candidates = 1")
    harness.commit()
    assert harness.hone("run", "--json").code == 0
    harness.replace("campaign.toml", "seed = 5", "seed = 6")
    refused = harness.hone("resume")
    assert refused.code == Exit.LEDGER
    assert "other settings" in refused.err
    harness.replace("campaign.toml", "seed = 6", "seed = 5")
    harness.replace("campaign.toml", "candidates = 1", "candidates = 2")
    again = harness.hone("resume", "--json")
    assert again.code == 0, again.err
    assert '"n_candidates": 2' in again.out


def test_an_existing_folder_is_not_written_over(harness: Harness):
    said = hone("init", str(harness.folder), cwd=harness.folder.parent)
    assert said.code == Exit.REPO
    assert "not an empty folder" in said.err


def test_a_start_that_fails_for_want_of_a_sandbox_leaves_the_name_free(harness: Harness):
    said = harness.hone("run", "--sandbox", "docker", env={"DOCKER_HOST": "unix:///nonexistent/docker.sock"})
    assert said.code == Exit.SANDBOX
    assert "no docker daemon answers" in said.err
    assert not list(harness.folder.glob(".hone/*/ledger.sqlite"))


def test_the_doctor_sees_a_broken_taxonomy_and_a_slip_in_a_metric(harness: Harness):
    text = (harness.folder / "campaign.toml").read_text()
    harness.write("campaign.toml", text + '[mining]\ntaxonomy = "t.toml"\n[[contract.metric]]\nname = "sucess"\n')
    harness.write("t.toml", 'foo = "bar"\n')
    harness.commit()
    said = harness.hone("doctor")
    assert said.code == Exit.CHECK_FAILED
    assert "FAIL  taxonomy" in said.out + said.err
    assert "did you mean 'success'?" in said.out + said.err


def test_a_number_may_bear_the_sign_it_is_shown_with(harness: Harness):
    assert "no campaign" in harness.hone("clusters", "k3").err
    assert "'x3' is not a number such as 3 or k3" in harness.hone("clusters", "x3").err
