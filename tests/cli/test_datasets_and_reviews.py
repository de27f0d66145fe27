"""Dataset versions and the review queue, through the real command, on a ledger of samples."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.ledger.control import read_all
from optimizer.ledger.ledger import Ledger
from tests.cli.conftest import Said, hone
from tests.ledger import samples

QUESTION = samples.question()
FLAKY = replace(samples.case(), state="quarantined", note="flaky: passes 40% of 5 runs")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "night"
    with Ledger.create(folder, samples.HEADER) as ledger:
        of, held_out = samples.job(0), samples.job(1)
        for job in (of, held_out):
            ledger.record_rollout(samples.rollout(job), samples.trace(words=job.id))
        ledger.record_failure(samples.failure(of, 1), 1)
        active = samples.case(state="active", task_id=of.task.id, failure_id="f0001", rollout_id=of.id, note="solved")
        ledger.record_case(active, 1, 1)
        ledger.record_dataset(samples.dataset(1), 1, 2)
        ledger.record_case(samples.case(id="e0002", state="active", task_id=of.task.id, weight=2.0), 2, 3)
        ledger.record_case(samples.case(id="e0003", state="active", task_id=held_out.task.id), 2, 3)
        ledger.record_case(replace(active, weight=3.0), 2, 4)
        ledger.record_dataset(with_val(samples.dataset(2, cases=("e0001", "e0002", "e0003"), taxonomy="7a")), 2, 5)
        ledger.record_case(replace(FLAKY, task_id=of.task.id), 3, 6)
        ledger.record_dataset(samples.dataset(3, cases=("e0002",), taxonomy="7a"), 3, 7)
        ledger.reviews.open_item(QUESTION, 1, 8, is_waiting=True)
        ledger.reviews.open_item(samples.question("k9"), 1, 9, is_waiting=False)
        ledger.reviews.answer(samples.ruling(samples.question("k9")), 0, 1, 10)
    return folder


def with_val(version):
    first, *rest, last = version.entries
    changed = replace(first, case_hash="another")
    return replace(version, entries=(changed, *rest, replace(last, task_id=samples.job(1).task.id)))


def of(folder: Path, *args: str) -> Said:
    said = hone(*args, "-C", str(folder), cwd=folder.parent)
    assert said.code == 0, said.err
    return said


def test_versions_are_listed_oldest_first(folder: Path) -> None:
    listed = json.loads(of(folder, "dataset", "--json").out)
    assert [(row["n"], len(row["version"]["entries"])) for row in listed] == [(1, 1), (2, 3), (3, 1)]
    assert of(folder, "dataset").out.count(samples.dataset(2).id[:16]) == 2, "itself, and as the parent of the next"


@pytest.mark.parametrize("version", ["2", samples.dataset(2).id, samples.dataset(2).id[:6]])
def test_a_version_is_shown_by_its_number_or_the_beginning_of_its_hash(folder: Path, version: str) -> None:
    shown = json.loads(of(folder, "dataset", "show", version, "--json").out)
    assert [case["entry"]["case_id"] for case in shown["cases"]] == ["e0001", "e0002", "e0003"]
    assert "x3" in of(folder, "dataset", "show", version).out


def test_options_may_stand_before_the_verb(folder: Path) -> None:
    said = hone("dataset", "-C", str(folder), "--json", "show", "1", cwd=folder.parent)
    assert said.code == 0, said.err
    assert json.loads(said.out)["dataset"]["n"] == 1


def test_the_difference_of_two_versions_gives_reasons(folder: Path) -> None:
    first = json.loads(of(folder, "dataset", "diff", "1", "2", "--json").out)
    assert [change["case_id"] for change in first["added"]] == ["e0002", "e0003"]
    assert [change["reason"] for change in first["changed"]] == ["weight 1.0 -> 3.0"]
    assert first["readings"] == ["taxonomy: none -> 7a"]
    second = of(folder, "dataset", "diff", "2", "latest").out
    assert "- e0001" in second
    assert "quarantined: flaky: passes 40% of 5 runs" in second
    assert "0 added, 0 removed, 0 changed, 1 the same" in of(folder, "dataset", "diff", "3", "3").out
    assert "1 added" in of(folder, "dataset", "diff", "empty", "1").out


def test_an_export_has_train_cases_with_their_origin_and_no_quotation_that_was_not_redacted(folder: Path) -> None:
    target = folder / "cases.jsonl"
    said = of(folder, "dataset", "export", "2", "-o", str(target))
    assert "2 cases" in said.err
    assert "1 that are not known as train cases are left out" in said.err
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [(line["id"], line["split"]) for line in lines] == [("e0001", "train"), ("e0002", "train")]
    origin = lines[0]["origin"]
    assert (origin["failure"], origin["rollout"]) == ("f0001", samples.job(0).id)
    assert origin["trace"]
    assert origin["evidence"] is None
    assert "refund(1001)" not in target.read_text()
    again = hone("dataset", "export", "2", "-o", str(target), "-C", str(folder), cwd=folder)
    assert again.code == 2
    assert "there already" in again.err
    of(folder, "dataset", "export", "3", "-o", str(target), "--force")
    assert len(target.read_text().splitlines()) == 1


@pytest.mark.parametrize("version", ["9", "zzzz", "", "0"])
def test_an_unknown_version_says_what_would_be_one(folder: Path, version: str) -> None:
    said = hone("dataset", "show", version, "-C", str(folder), cwd=folder)
    assert said.code == 7
    assert "a number from 1 to 3" in said.err


def test_open_questions_are_listed_and_settled_ones_on_wish(folder: Path) -> None:
    (only,) = json.loads(of(folder, "review", "--json").out)
    assert (only["row"]["item_id"], only["state"]) == (QUESTION.id, "open")
    assert {each["state"] for each in json.loads(of(folder, "review", "--all", "--json").out)} == {"open", "applied"}
    assert QUESTION.question in of(folder, "review").out
    assert "similarity" in of(folder, "review", QUESTION.id[:6]).out


def test_an_answer_waits_in_the_file_for_the_next_session(folder: Path) -> None:
    said = of(folder, "review", QUESTION.id[:5], "--yes", "--note", "they are alike")
    assert "no session is alive" in said.err
    (message,) = read_all(folder).messages
    assert json.loads(message.payload_json) == {"item": QUESTION.id, "answer": "yes", "note": "they are alike"}
    (queued,) = json.loads(of(folder, "review", "--json").out)
    assert (queued["state"], queued["sent"]) == ("sent", ["yes"])
    with Ledger.open(folder) as ledger:
        ledger.control.take(1, 3, 11)
        ledger.reviews.answer(samples.ruling(QUESTION, "yes", "person/ann"), 0, 3, 12)
    assert "no question waits" in of(folder, "review").out
    assert json.loads(of(folder, "review", QUESTION.id, "--json").out)["state"] == "answered"


def test_an_answer_to_a_running_campaign_is_taken_between_two_steps(folder: Path) -> None:
    with Ledger.open(folder) as ledger:
        ledger.start_session(os.getpid(), socket.gethostname())
        answered = json.loads(of(folder, "review", QUESTION.id, "--answer", "no", "--json").out)
    assert answered["is_runner_alive"]
    assert answered["message"]["verb"] == "review"


@pytest.mark.parametrize(
    ("args", "code", "reason"),
    [
        (("--yes",), 2, "needs the ID"),
        ((QUESTION.id, "--answer", "maybe"), 2, "has yes, no"),
        (("ffffffffffff", "--yes"), 7, "no question 'ffffffffffff'"),
        ((QUESTION.id, "--yes", "--note", "x" * 5000), 2, "note cannot be sent"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_and_nothing_is_sent(
    folder: Path, args: tuple[str, ...], code: int, reason: str
) -> None:
    said = hone("review", *args, "-C", str(folder), cwd=folder)
    assert (said.code, reason in said.err) == (code, True), said.err
    assert read_all(folder).messages == ()


def test_clusters_and_suite_tell_merges_solved_shares_and_verification(folder: Path) -> None:
    checked = replace(samples.case().verification, n_failing=2, n_failing_runs=2, known_good="gold")
    with Ledger.open(folder) as ledger:
        merged = samples.cluster(2, parent=1, n_failures=1)
        ledger.record_cluster(samples.cluster(1, n_resolved=2, n_failures=8, reopened_since="c" * 40), 4, 1)
        ledger.record_cluster(merged, 4, 2)
        ledger.record_case(samples.case(id="e0009", layer="semantic", verification=checked), 4, 3)
    clusters = of(folder, "clusters").out
    assert "merged into k1, one-off" in clusters
    assert "25%" in clusters
    assert f"seen again since {'c' * 10}" in clusters
    listed = json.loads(of(folder, "clusters", "--json").out)
    assert [(each["resolution_rate"], each["is_one_off"], each["parent"]) for each in listed] == [
        (0.25, False, None),
        (0.0, True, 1),
    ]
    assert "absorbed  k2" in of(folder, "clusters", "1").out
    assert json.loads(of(folder, "clusters", "1", "--json").out)["absorbed"] == [2]
    suite = of(folder, "suite").out
    assert "semantic" in suite
    assert "failed 2 of 2 on the harness it is from; accepts gold" in suite
    assert "flaky: passes 40% of 5 runs" in suite


def test_a_candidate_tells_its_cluster_and_the_cases_it_broke_by_name(folder: Path) -> None:
    broken = replace(samples.results(samples.job(0))[2], task_id=samples.job(0).task.id, purpose="suite")
    with Ledger.open(folder) as ledger:
        ledger.record_cluster(samples.cluster(1), 4, 1)
        ledger.record_candidate(samples.candidate(1))
        ledger.record_decision(samples.decision(1, "reject"), (broken,))
    shown = of(folder, "show", "1").out
    assert "refunds unasked [policy.no_confirmation], open, 0 of 3 failures solved" in shown
    assert "broke case e0002" in shown
    assert {case["id"] for case in json.loads(of(folder, "show", "1", "--json").out)["broken_cases"]} >= {"e0002"}
