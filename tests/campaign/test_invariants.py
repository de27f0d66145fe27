"""What holds of every campaign, whatever it is about. The numbers are those of the house style."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from optimizer.domain.candidate import Proposal
from optimizer.domain.errors import BenchmarkError, LedgerError
from optimizer.domain.json import content_hash
from optimizer.domain.task import Task
from optimizer.ledger.digest import content_digest, content_rows
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.views import CandidateFilter
from optimizer.propose.protocol import ProposalRequest
from tests.campaign.conftest import Finished
from tests.campaign.session_of import run
from tests.campaign.toy import CANARY, Toy, ToyBenchmark, ToyEnvironment, ToyProposer, git, make_toy

ROOT = Path(__file__).parents[2]


def reader_of(toy: Toy) -> LedgerReader:
    return LedgerReader.open(toy.ledger_folder)


def first_difference(one: Toy, other: Toy) -> str:
    rows = zip(content_rows(one.ledger_folder), content_rows(other.ledger_folder), strict=False)
    return next((f"{a} != {b}" for a, b in rows if a != b), "one is longer")


def assert_same(one: Toy, other: Toy) -> None:
    same = content_digest(one.ledger_folder) == content_digest(other.ledger_folder)
    assert same, first_difference(one, other)
    refs = [git(toy.folder, "for-each-ref", "--format=%(refname) %(objectname)") for toy in (one, other)]
    assert refs[0] == refs[1]


def test_the_toy_campaign_takes_every_path(finished: Finished):
    with reader_of(finished.toy) as reader:
        rows = reader.candidates()
        status = reader.status()
    assert finished.ending == "candidates"
    assert {"accept", "reject"} <= {row.status for row in rows}
    assert {"crash", "scope", "dup", "val", "target"} <= {row.reason_code for row in rows}
    assert status.n_suite > 0
    assert status.val_now > status.val_baseline


def test_i1_money_in_the_ledger_is_the_money_the_model_counted(finished: Finished):
    with reader_of(finished.toy) as reader:
        status = reader.status()
    bill = finished.toy.model.bill
    assert status.spent.usd == pytest.approx(sum(usage.usd for usage in bill), abs=1e-9)
    assert status.spent.tokens == sum(usage.tokens for usage in bill)
    assert status.n_calls - status.n_replayed_calls == len(bill)


def test_i2_the_branch_is_the_accepted_decisions_in_a_straight_line(finished: Finished):
    with reader_of(finished.toy) as reader:
        accepted = [row.commit for row in reader.accepted()]
        reasons = [reader.candidate(row.candidate).decision.reason for row in reader.accepted()]
    log = git(finished.toy.folder, "log", "--reverse", "--format=%H %P", "main..hone/toy").split("\n")[:-1]
    assert [line.split()[0] for line in log] == accepted
    assert [line.split()[1] for line in log[1:]] == accepted[:-1]
    messages = [git(finished.toy.folder, "show", "-s", "--format=%B", commit) for commit in accepted]
    for message, reason in zip(messages, reasons, strict=True):
        assert reason in message
        assert "Hone-Simulated: yes" in message


def test_i3_a_candidate_is_judged_once_and_a_duplicate_costs_nothing(finished: Finished):
    with reader_of(finished.toy) as reader:
        rows = reader.candidates()
        details = [reader.candidate(row.n) for row in rows]
    assert [row.n for row in rows] == list(range(1, len(rows) + 1))
    assert all(detail.decision is not None for detail in details)
    duplicates = [row for row in rows if row.reason_code == "dup"]
    assert duplicates
    assert all(row.n_rollouts == 0 for row in duplicates)


def test_i4_nothing_of_val_or_test_reaches_a_proposer(finished: Finished):
    shown = "\n".join(finished.toy.proposer.seen)
    assert "train-" in shown
    assert not re.search(r"\b(val|test)-\d\d\b", shown)
    assert CANARY["val"] not in shown
    assert CANARY["test"] not in shown


def test_i4_nothing_of_val_or_test_is_in_any_case_failure_proposal_or_accepted_file(finished: Finished):
    tables = {"eval_case", "failure", "cluster", "cluster_member", "proposal", "candidate", "dataset"}
    kept = [repr(row) for row in content_rows(finished.toy.ledger_folder) if row.table in tables]
    prompt = git(finished.toy.folder, "show", "hone/toy:prompt.md")
    assert any("eval_case" in row for row in kept)
    assert "You know" in prompt
    openings = [f"{canary} {number:02}" for canary in CANARY.values() for number in range(16)]
    for text in (*kept, *finished.toy.proposer.seen, prompt):
        assert not re.search(r"\b(val|test)-\d\d\b", text)
        assert not any(words in text for words in (*CANARY.values(), *openings))


def test_cases_of_the_toy_campaign_are_verified_before_they_join_and_every_version_is_kept(finished: Finished):
    with reader_of(finished.toy) as reader:
        cases = [row.case for row in reader.suite()]
        versions = reader.datasets()
    active = [case for case in cases if case.state == "active"]
    assert active
    for case in active:
        assert case.verification.n_failing >= 2
        assert case.verification.known_good
        assert case.verification.leak == ""
    assert {entry.case_id for entry in versions[-1].entries} == {case.id for case in active}
    assert all(case.note for case in cases)


def test_no_task_of_the_test_split_is_ever_run(finished: Finished):
    rows = content_rows(finished.toy.ledger_folder)
    splits = {dict(row.columns)["split"] for row in rows if row.table == "task"}
    assert splits == {"train", "val"}


class FlakyBenchmark(ToyBenchmark):
    """Fails to open a third of the tasks at their first try."""

    def __init__(self) -> None:
        self.tried: set[str] = set()
        self.n_faults = 0

    async def open(self, task: Task, *, trial: str) -> ToyEnvironment:
        if trial not in self.tried and int(content_hash(trial), 16) % 3 == 0:
            self.tried.add(trial)
            self.n_faults += 1
            raise BenchmarkError("the simulated world is down for a moment")
        return await super().open(task, trial=trial)


class FlakyToy(Toy):
    benchmark = FlakyBenchmark()

    def workplace(self):
        from dataclasses import replace

        return replace(super().workplace(), benchmark=self.benchmark)


def test_i5_passing_infrastructure_errors_change_nothing(finished: Finished, tmp_path):
    flaky = FlakyToy(make_toy(tmp_path / "harness").folder)
    run(flaky)
    assert flaky.benchmark.n_faults > 10
    assert_same(flaky, finished.toy)


def test_i6_killed_at_any_instant_and_resumed_it_ends_the_same(finished: Finished, tmp_path):
    toy = make_toy(tmp_path / "harness")
    dice = random.Random(0)
    killed = []
    while len(killed) < 4:
        status, pid, said = session(toy, f"+{dice.randint(5, 25)}")
        if status == 0:
            break
        assert status == -signal.SIGKILL, said
        killed.append(pid)
    assert len(killed) >= 2
    status, _, said = session(toy)
    assert status == 0, said
    assert_same(toy, finished.toy)
    assert leftovers(toy) == []
    assert [path for pid in killed for path in sockets_of(pid)] == []


def session(toy: Toy, until: str = "") -> tuple[int, int, str]:
    """Exit status, process id and stderr of one session in a process of its own; `until` is when it is killed."""
    command = [sys.executable, "-m", "tests.campaign.session_of", str(toy.folder), *filter(None, [until])]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        _, said = process.communicate()
    return process.returncode, process.pid, said


def leftovers(toy: Toy) -> list[str]:
    """Processes that still have anything to do with a harness folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if str(toy.folder) in words:
                found.append(words)
    return found


def mount_points() -> list[str]:
    """Where something is mounted, as this process sees it."""
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def sockets_of(pid: int) -> list[Path]:
    """Socket folders that a process left."""
    return list(Path(tempfile.gettempdir()).glob(f"hone-sockets-{pid}-*"))


def test_i7_the_same_seed_gives_the_same_ledger_and_the_same_git(finished: Finished, tmp_path):
    twin = make_toy(tmp_path / "harness")
    run(twin)
    assert_same(twin, finished.toy)


def test_resuming_a_finished_campaign_pays_nothing_and_changes_nothing(finished: Finished):
    digest = content_digest(finished.toy.ledger_folder)
    again = Toy(finished.toy.folder)
    assert run(again) == "candidates"
    assert again.model.bill == []
    assert again.proposer.n_asked == 0
    assert content_digest(finished.toy.ledger_folder) == digest


class PickyProposer(ToyProposer):
    """Has nothing to offer for some clusters at some times, and something for the next."""

    async def propose(self, request: ProposalRequest) -> Proposal | None:
        if (request.cluster.id + len(request.tried)) % 2:
            return None
        return await super().propose(request)


def test_a_campaign_in_which_clusters_were_asked_in_vain_is_resumed_as_it_was(tmp_path):
    toy = make_toy(tmp_path / "harness")
    toy.proposer = PickyProposer()
    ending = run(toy)
    digest = content_digest(toy.ledger_folder)
    with reader_of(toy) as reader:
        n_asked_for = len({row.cluster_id for row in reader.candidates()})
    assert n_asked_for > 1
    again = Toy(toy.folder)
    again.proposer = PickyProposer()
    assert run(again) == ending
    assert content_digest(toy.ledger_folder) == digest


def test_i8_no_process_mount_or_temporary_folder_outlives_the_campaign(finished: Finished):
    assert leftovers(finished.toy) == []
    assert sockets_of(os.getpid()) == []
    ours = ("hone-sandbox-", "/run/hone", "/harness", "/scratch", str(finished.toy.folder))
    assert [point for point in mount_points() if any(part in point for part in ours)] == []


def test_i9_the_users_tree_index_and_branch_are_byte_identical(finished: Finished):
    assert finished.before == finished.after
    assert git(finished.toy.folder, "status", "--porcelain") == ""


def test_rejected_candidates_stay_reachable_with_their_reasons(finished: Finished):
    with reader_of(finished.toy) as reader:
        rejected = reader.candidates(CandidateFilter(status="reject"))
    measured = [row for row in rejected if row.commit is not None]
    refs = git(finished.toy.folder, "for-each-ref", "--format=%(refname)", "refs/hone/toy/rejected/").split()
    assert refs == sorted(f"refs/hone/toy/rejected/{row.n}" for row in measured)
    message = git(finished.toy.folder, "show", "-s", "--format=%B", refs[0])
    assert "Hone-Decision: reject" in message
    assert git(finished.toy.folder, "for-each-ref", "refs/hone/toy/candidates/") == ""


def test_two_runners_of_one_campaign_are_refused(finished: Finished):
    with Ledger.open(finished.toy.ledger_folder), pytest.raises(LedgerError, match="process"):
        Ledger.open(finished.toy.ledger_folder)


def test_a_larger_budget_lets_a_finished_campaign_go_on(finished: Finished, tmp_path):
    toy = make_toy(tmp_path / "harness")
    text = (toy.folder / "campaign.toml").read_text()
    (toy.folder / "campaign.toml").write_text(text.replace("candidates = 12", "candidates = 5"))
    git(toy.folder, "commit", "-q", "-a", "-m", "a small budget")
    for budget in ("candidates = 5", "candidates = 6", "candidates = 12\nhours = 0.000001"):
        (toy.folder / "campaign.toml").write_text(text.replace("candidates = 12", budget))
        assert run(toy) in {"candidates", "hours"}
    (toy.folder / "campaign.toml").write_text(text)
    assert run(toy) == "candidates"
    with reader_of(toy) as short, reader_of(finished.toy) as whole:
        assert [row.reason for row in short.candidates()] == [row.reason for row in whole.candidates()]
        assert short.status().spent == whole.status().spent
