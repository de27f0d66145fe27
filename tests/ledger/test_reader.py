from __future__ import annotations

import os
import socket
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.domain.budget import BudgetLimits, Spend
from optimizer.domain.errors import LedgerError
from optimizer.domain.trace import Usage
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from optimizer.ledger.records import ProposalRecord
from optimizer.ledger.views import CandidateFilter, Page, VerdictCounts
from tests.ledger import samples


def test_status_tells_the_campaign_at_a_glance(recorded: Ledger, folder: Path) -> None:
    recorded.start_session(os.getpid(), socket.gethostname(), limits=BudgetLimits(usd=5.0, hours=8.0))
    with LedgerReader.open(folder) as reader:
        status = reader.status()
    assert status.header == samples.HEADER
    assert status.state == "running"
    assert status.n_batches == 3
    assert status.counts == VerdictCounts(accepted=3, refused=3)
    assert status.counts.total == 6
    assert status.clusters == (("open", 1),)
    assert (status.n_cases, status.n_suite) == (1, 0)
    assert (status.val_baseline, status.val_now) == (0.5, 0.5)
    assert status.spent.tokens == 2820
    assert (status.limits.usd, status.limits.hours, status.limits.tokens) == (5.0, 8.0, None)
    assert (status.n_rollouts, status.n_calls, status.n_replayed_calls) == (9, 18, 0)
    assert status.rollouts_per_minute is not None
    assert (status.end_code, status.end_text) == (None, None), "an earlier session's ending is not this one's"
    recorded.record_end(9, "candidates", "the candidates budget is used up")
    with LedgerReader.open(folder) as reader:
        status = reader.status()
    assert (status.end_code, status.end_text) == ("candidates", "the candidates budget is used up")


def test_the_state_follows_the_signs_of_life(ledger: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader:
        assert reader.status().state == "new"
        ledger.start_session(os.getpid(), socket.gethostname())
        now = time.time()
        assert reader.status(now=now).state == "running"
        stale = reader.status(now=now + 60)
        assert stale.state == "stale"
        assert stale.heartbeat_age_s == pytest.approx(60, abs=1)
        assert reader.status(now=now + 601).state == "died"
        ledger.start_session(2**22 + 1, socket.gethostname())  # no such process
        assert reader.status().state == "died"
        ledger.start_session(2**22 + 1, "another machine")
        assert reader.status().state == "running"
        ledger.end_session("interrupted")
        assert reader.status().state == "interrupted"


def test_totals_are_the_sums_over_all_rollouts_beyond_any_number_of_tallies(ledger: Ledger, folder: Path) -> None:
    n_rollouts = 600
    for trial in range(n_rollouts):
        paid = Usage(input_tokens=trial, usd=None if trial % 100 == 0 else 0.5, n_calls=2, n_replayed_calls=1)
        ledger.record_rollout(samples.rollout(samples.job(trial=trial), usage=paid), samples.trace(1))
    with LedgerReader.open(folder) as reader:
        status = reader.status()
    assert status.n_rollouts == n_rollouts
    assert status.usage == Usage(
        input_tokens=sum(range(n_rollouts)), usd=0.5 * (n_rollouts - 6), n_calls=1200, n_replayed_calls=600
    )
    assert status.n_unpriced_rollouts == 6
    assert status.usd_saved == pytest.approx(0.5 * (n_rollouts - 6))
    with sqlite3.connect(folder / "ledger.sqlite") as database:
        assert database.execute("SELECT count(*) FROM tally").fetchone() == (2,)
    database.close()


def test_the_log_shows_every_candidate_asked_for(recorded: Ledger, folder: Path) -> None:
    recorded.record_proposal(ProposalRecord(n=7, batch=4, cluster_id=2, proposal=samples.proposal()))
    with LedgerReader.open(folder) as reader:
        rows = reader.candidates()
        assert [(row.n, row.status, row.reason_code) for row in rows] == [
            (1, "accept", "target"),
            (2, "refused", "empty"),
            (3, "accept", "target"),
            (4, "refused", "empty"),
            (5, "accept", "target"),
            (6, "refused", "empty"),
            (7, "running", None),
        ]
        first = rows[0]
        assert (first.title, first.cluster_id, first.val_before, first.val_after) == (
            "Ask before a refund",
            1,
            0.5,
            0.56,
        )
        assert (first.n_fixed, first.n_broken, first.n_rollouts, first.usd, first.tokens) == (1, 0, 24, 0.0015, 940)
        assert (first.commit, first.proposal_usd, first.rung) == (f"{0xC1:040x}", 0.01, "prompt")
        assert (rows[1].rung, rows[1].commit, rows[1].reason) == (None, None, "the proposer had no idea left")


def test_the_log_is_read_in_pages_and_filtered(recorded: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader:

        def numbers(wanted: CandidateFilter | None = None, page: Page | None = None) -> list[int]:
            return [row.n for row in reader.candidates(wanted, page)]

        assert numbers(page=Page(limit=2)) == [1, 2]
        assert numbers(page=Page(after=2, limit=2)) == [3, 4]
        assert numbers(page=Page(after=3, is_newest_first=True)) == [2, 1]
        assert numbers(CandidateFilter(status="accept")) == [1, 3, 5]
        assert numbers(CandidateFilter(status="refused")) == [2, 4, 6]
        assert numbers(CandidateFilter(status="running")) == []
        assert numbers(CandidateFilter(reason_code="empty"), Page(after=2)) == [4, 6]
        assert numbers(CandidateFilter(cluster_id=9)) == []
        assert numbers(CandidateFilter(text="BEFORE a")) == [1, 3, 5]
        assert numbers(CandidateFilter(text="100%")) == []
        assert reader.numbers_by_reason("target") == (1, 3, 5)
        assert reader.numbers_by_val() == (5, 3, 1)


def test_a_candidate_is_shown_in_full(recorded: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader:
        detail = reader.candidate(1)
        assert detail is not None
        assert detail.proposal == samples.proposal()
        assert detail.diff == samples.candidate(1).diff
        assert detail.decision == samples.decision(1)
        assert [(flip.task_id, flip.is_passed) for flip in detail.flips] == [("t0001", True)]
        assert reader.flips(1) == detail.flips
        assert len(detail.results) == 3
        assert detail.predicted_and_fixed == ("t0001",)
        assert (detail.position, detail.accepted_commit) == (1, f"{0xC1:040x}")
        refused = reader.candidate(2)
        assert refused is not None
        assert refused.refusal is not None
        assert (refused.diff, refused.decision, refused.proposal) == (None, None, None)
        assert reader.candidate(99) is None


def test_a_candidate_on_an_accepted_commit_hangs_below_it_in_the_tree(recorded: Ledger, folder: Path) -> None:
    recorded.record_candidate(samples.candidate(9, parent=f"{0xC3:040x}"))
    with LedgerReader.open(folder) as reader:
        parents = {node.n: (node.parent_n, node.status) for node in reader.tree()}
    assert parents[1] == (None, "accept")
    assert parents[2] == (None, "refused")
    assert parents[9] == (3, "running")


def test_clusters_and_cases_are_shown_as_they_stand_with_their_past(recorded: Ledger, folder: Path) -> None:
    recorded.record_cluster(samples.cluster(2, state="dormant", dormant_until_batch=9), 3, 1)
    recorded.record_case(samples.case(state="active", n_runs=4, n_passes=4), 4)
    recorded.record_case(samples.case(id="e0000"), 4)
    with LedgerReader.open(folder) as reader:
        assert [(each.id, each.state, each.n_failures) for each in reader.clusters()] == [
            (1, "open", 9),
            (2, "dormant", 3),
        ]
        detail = reader.cluster(1)
        assert detail is not None
        assert [(point.batch, point.cluster.n_failures) for point in detail.history] == [(1, 3), (2, 6), (3, 9)]
        assert [row.failure.id for row in detail.failures][:2] == ["f0300", "f0301"]
        assert [row.n for row in detail.candidates] == [6, 5, 4, 3, 2, 1]
        assert reader.cluster(77) is None
        cases = reader.suite()
        assert [(row.case.id, row.case.state, row.made_batch, row.batch) for row in cases] == [
            ("e0000", "candidate", 4, 4),
            ("e0001", "active", 1, 4),
        ]
        assert reader.status().n_suite == 1


def test_traffic_and_failures_are_shown(recorded: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader:
        batches = reader.batches()
        assert [(row.n, row.n_failures, len(row.task_ids), len(row.rollout_ids)) for row in batches] == [
            (n, 3, 3, 3) for n in (1, 2, 3)
        ]
        assert [row.failure.id for row in reader.failures(batch=2)] == ["f0200", "f0201", "f0202"]
        latest = reader.failures(limit=1)[0]
        assert (latest.batch, latest.cluster_id, latest.failure.id) == (3, 1, "f0300")


def test_the_course_of_the_campaign_is_shown(recorded: Ledger, folder: Path) -> None:
    for seq in range(4, 5000):
        recorded.record_spend(seq, Spend(tokens=seq))
    with LedgerReader.open(folder) as reader:
        assert [event.seq for event in reader.events()] == [10, 20, 30]
        assert [event.text for event in reader.events(since=20)] == ["candidate 5 is kept"]
        assert [event.seq for event in reader.last_events(2)] == [20, 30]
        assert [(point.seq, point.value) for point in reader.trunk_series()] == [(0, 0.5)]
        series = reader.budget_series(300)
        assert 290 <= len(series) <= 302
        assert (series[0].seq, series[-1].seq) == (1, 4999)
        assert [point.seq for point in series] == sorted({point.seq for point in series})
        assert [(row.position, row.candidate) for row in reader.accepted()] == [(1, 1), (2, 3), (3, 5)]
        assert [(row.reason_code, row.n) for row in reader.reasons()] == [("target", 3)]
        assert [(b.first_n, b.last_n, b.n_measured) for b in reader.scores(2)] == [(1, 3, 2), (5, 5, 1)]
        assert [row.candidate for row in reader.task_history("t0001")] == [5, 3, 1]


def test_an_empty_campaign_can_be_shown(ledger: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader:
        status = reader.status()
        assert (status.n_rollouts, status.usd_saved, status.val_now, status.spent) == (0, None, None, Spend())
        assert (reader.candidates(), reader.clusters(), reader.suite(), reader.budget_series()) == ((), (), (), ())
        assert (reader.tree(), reader.scores(), reader.batches(), reader.accepted()) == ((), (), (), ())


def test_previews_can_be_searched_literally(recorded: Ledger, folder: Path) -> None:
    recorded.record_rollout(samples.rollout(samples.job(999)), samples.trace(1, words="gives 50% back_"))
    with LedgerReader.open(folder) as reader:
        (hit,) = reader.search_traces("50% back_")
        assert [event.preview for event in reader.trace_events(hit.trace_sha)][hit.seq] == "Sorry? -> gives 50% back_"
        assert reader.search_traces("50_ back") == ()


def test_a_reader_follows_a_writer_and_never_blocks_it(ledger: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader:
        version = reader.version()
        for seen, _ in enumerate(samples.record_campaign(ledger, 4)):
            if seen % 7 == 0:
                status = reader.status()
                assert status.n_rollouts == len({event.trace_sha for event in reader.search_traces("", 10**6)})
        assert reader.version() != version
        assert reader.status().n_rollouts == 12


def test_a_reader_cannot_write(ledger: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader, pytest.raises(LedgerError, match="cannot be written"):
        reader._all("INSERT INTO event VALUES (1, 'a', NULL, 'b', 1.0)")


def test_a_reader_keeps_no_log_from_being_folded_away(ledger: Ledger, folder: Path) -> None:
    with LedgerReader.open(folder) as reader:
        for trial in range(1500):
            ledger.record_rollout(samples.rollout(samples.job(trial=trial)), samples.trace(1))
            if trial % 10 == 0:
                reader.status()
        assert (folder / "ledger.sqlite-wal").stat().st_size < 8 * 2**20


@pytest.mark.parametrize("version", [3000, 3001, 9000])
def test_a_newer_major_version_is_refused_by_reader_and_writer(version: int, ledger: Ledger, folder: Path) -> None:
    ledger.close()
    database = sqlite3.connect(folder / "ledger.sqlite")
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    for opening in (LedgerReader.open, Ledger.open):
        with pytest.raises(LedgerError, match=r"written by a newer hone .* upgrade hone to open it"):
            opening(folder)


@pytest.mark.parametrize("version", [0, 1000, 1007])
def test_an_older_major_version_is_refused_by_reader_and_writer(version: int, ledger: Ledger, folder: Path) -> None:
    ledger.close()
    database = sqlite3.connect(folder / "ledger.sqlite")
    database.execute(f"PRAGMA user_version = {version}")
    database.close()
    for opening in (LedgerReader.open, Ledger.open):
        with pytest.raises(LedgerError, match=r"written by an older hone .* open it with the version that wrote it"):
            opening(folder)


def test_a_newer_minor_version_is_opened(folder: Path) -> None:
    Ledger.create(folder, samples.HEADER).close()
    database = sqlite3.connect(folder / "ledger.sqlite")
    database.execute("PRAGMA user_version = 2007")
    database.close()
    with LedgerReader.open(folder) as reader:
        assert reader.header() == samples.HEADER


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no campaign in"):
        LedgerReader.open(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"not a database at all" * 100)
    for opening in (LedgerReader.open, Ledger.open):
        with pytest.raises(LedgerError, match="is not a ledger"):
            opening(tmp_path)
    (tmp_path / "ledger.sqlite").unlink()
    database = sqlite3.connect(tmp_path / "ledger.sqlite")
    database.execute("CREATE TABLE t (x)")
    database.close()
    with pytest.raises(LedgerError, match="is not a ledger"):
        LedgerReader.open(tmp_path)


def test_a_folder_with_odd_characters_can_be_used(tmp_path: Path) -> None:
    folder = tmp_path / "50% off? #1 \u00e9"
    with Ledger.create(folder, replace(samples.HEADER, campaign="odd")), LedgerReader.open(folder) as reader:
        assert reader.header().campaign == "odd"
