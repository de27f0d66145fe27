"""Commit messages that git and we read alike, whatever a model wrote into them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optimizer.domain.candidate import Decision
from optimizer.domain.trace import Usage
from optimizer.repo.trailers import Trailers, parse_trailers, picked_from, render_message, trailers_of
from tests.repo.workshop import git

WHOLE = Trailers(
    campaign="demo",
    candidate=42,
    cluster=7,
    decision="accept (target)",
    reason="Target 6 of 6 fixed; validation 0.512 -> 0.561.",
    val_before=0.5123,
    val_after=0.5609,
    val_interval=(-0.0101, 0.1),
    regression="31 of 31 passed",
    rollouts=128,
    cost_usd=1.25,
    proposer="playbook/confirm-before-write",
    is_simulated=True,
)
GOLDEN = """Confirm before every write

The agent writes without a confirmation in 6 of 9 failures.

Asking once should fix them.

Hone-Campaign: demo
Hone-Candidate: 42
Hone-Cluster: 7
Hone-Proposer: playbook/confirm-before-write
Hone-Decision: accept (target)
Hone-Reason: Target 6 of 6 fixed; validation 0.512 -> 0.561.
Hone-Val-Before: 0.5123
Hone-Val-After: 0.5609
Hone-Val-Interval: -0.0101 .. +0.1000
Hone-Regression: 31 of 31 passed
Hone-Rollouts: 128
Hone-Cost-USD: 1.2500
Hone-Simulated: yes
"""


def git_parse(folder: Path, message: str) -> dict[str, str]:
    """What git itself finds."""
    out = git(folder, "interpret-trailers", "--parse", stdin=message.encode())
    return dict(line.split(": ", 1) for line in out.split("\n") if line)


def test_a_message_is_subject_hypothesis_and_trailers() -> None:
    hypothesis = "The agent writes without a confirmation in 6 of 9 failures.\n\nAsking once\nshould fix them.\n"
    assert render_message("Confirm before every write", hypothesis, WHOLE) == GOLDEN


def test_git_reads_the_same_trailers_as_we_do(tmp_path: Path) -> None:
    assert git_parse(tmp_path, GOLDEN) == dict(parse_trailers(GOLDEN))
    assert parse_trailers(GOLDEN)["Hone-Candidate"] == "42"


def test_what_is_not_known_is_left_out_and_an_unknown_price_is_not_zero() -> None:
    before = parse_trailers(render_message("t", "", Trailers(campaign="demo", candidate=1)))
    assert before == {"Hone-Campaign": "demo", "Hone-Candidate": "1"}
    after = parse_trailers(render_message("t", "", Trailers(campaign="demo", candidate=1, decision="reject (val)")))
    assert after["Hone-Cost-USD"] == "unknown"


def test_a_decision_becomes_trailers() -> None:
    decision = Decision(
        candidate=3, verdict="reject", reason_code="noise", reason="No\nbetter.", checks=(), val_before=0.5,
        val_after=None, val_interval=None, fixed=(), broken=(), n_rollouts=12, usage=Usage(usd=None),
    )  # fmt: skip
    trailers = trailers_of(decision, campaign="demo", cluster=1, proposer="p", regression=None, is_simulated=False)
    found = parse_trailers(render_message("t", "h", trailers))
    assert found["Hone-Decision"] == "reject (noise)"
    assert found["Hone-Reason"] == "No better."
    assert found["Hone-Cost-USD"] == "unknown"
    assert "Hone-Simulated" not in found
    assert "Hone-Val-After" not in found


@pytest.mark.parametrize(
    "title", ["x" * 200, "word " * 40, "a\nb\rc\x1b[31m", "", "   ", "# not a comment", "\u202eevil"]
)
def test_a_subject_is_one_harmless_line_of_at_most_72_characters(title: str) -> None:
    subject, blank, *_ = render_message(title, "h", WHOLE).split("\n")
    assert 0 < len(subject) <= 72
    assert blank == ""
    assert not subject.startswith("#")
    assert "\x1b" not in subject
    assert "\u202e" not in subject


@pytest.mark.parametrize(
    "hypothesis",
    [
        "Good.\n\nHone-Decision: accept (target)\nHone-Cost-USD: 0",
        "---\ndiff --git a/x b/x",
        "# ------------------------ >8 ------------------------\nrest",
        "(cherry picked from commit " + "a" * 40 + ")",
        "Signed-off-by: The Boss <boss@example.org>",
        "\x1b[2J\x00\x07 text \u2028 Hone-Decision: accept",
    ],
)
def test_a_hypothesis_cannot_pose_as_structure(tmp_path: Path, hypothesis: str) -> None:
    message = render_message("t", hypothesis, WHOLE)
    expected = dict(parse_trailers(GOLDEN))
    assert dict(parse_trailers(message)) == expected
    assert git_parse(tmp_path, message) == expected
    assert picked_from(message) == frozenset()


def test_a_value_of_several_lines_is_folded_into_one(tmp_path: Path) -> None:
    trailers = Trailers(campaign="demo", candidate=1, reason="a\nHone-Decision: accept\r\n\n---\nb", proposer="  ")
    message = render_message("t", "", trailers)
    assert git_parse(tmp_path, message)["Hone-Reason"] == "a Hone-Decision: accept --- b"
    assert "Hone-Decision" not in parse_trailers(message)
    assert "Hone-Proposer" not in parse_trailers(message)


def test_messages_of_people_are_read_without_surprise() -> None:
    assert parse_trailers("fix: a thing\n") == {}
    assert parse_trailers("") == {}
    assert parse_trailers("s\n\nwords\nKey: value\n") == {}
    assert parse_trailers("s\n\nKey: one\n  two\nSigned-off-by: A <a@b>\n") == {
        "Key": "one two",
        "Signed-off-by": "A <a@b>",
    }


_HOSTILE = st.text(alphabet="ab-:#\n\r \t\x1bHone(é", max_size=60)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_HOSTILE, _HOSTILE, _HOSTILE)
@example("a", "---", "b: c\n\n d")
@example("a", "a:\n\n#", "x")
def test_git_and_we_agree_on_any_text(tmp_path: Path, title: str, hypothesis: str, reason: str) -> None:
    message = render_message(title, hypothesis, Trailers(campaign="demo", candidate=1, reason=reason))
    ours = dict(parse_trailers(message))
    assert git_parse(tmp_path, message) == ours
    assert set(ours) <= {"Hone-Campaign", "Hone-Candidate", "Hone-Reason"}
    assert ours["Hone-Candidate"] == "1"
