from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.ledger.digest import content_digest, content_rows
from optimizer.ledger.header import CampaignHeader
from optimizer.ledger.ledger import Ledger
from tests.ledger import samples


def campaign(folder: Path, *, header: CampaignHeader = samples.HEADER, n_batches: int = 3) -> Path:
    with Ledger.create(folder, header) as ledger:
        for _ in samples.record_campaign(ledger, n_batches):
            pass
    return folder


def test_equal_campaigns_have_equal_digests_whenever_and_by_whomever_they_were_run(tmp_path: Path) -> None:
    first = campaign(tmp_path / "1")
    second = campaign(tmp_path / "2", header=replace(samples.HEADER, started_at="2031-01-01T00:00:00Z"))
    with Ledger.open(second) as ledger:
        ledger.start_session(1, "elsewhere")
        ledger.heartbeat()
        ledger.end_session("finished")
    assert content_digest(first) == content_digest(second)


def test_the_order_in_which_rollouts_end_is_not_content(tmp_path: Path) -> None:
    digests = set()
    for name, order in (("a", range(300)), ("b", reversed(range(300)))):
        with Ledger.create(tmp_path / name, samples.HEADER) as ledger:
            for trial in order:
                of = samples.job(trial % 7, trial)
                ledger.record(samples.call(of))
                ledger.record_rollout(samples.rollout(of), samples.trace(1, words=f"{trial}"))
        digests.add(content_digest(tmp_path / name))
    assert len(digests) == 1


OTHER: dict[str, Callable[[Ledger], object]] = {
    "event": lambda ledger: ledger.record_event(999, "note", None, "more"),
    "rollout": lambda ledger: ledger.record_rollout(samples.rollout(samples.job(999)), samples.trace()),
    "model_call": lambda ledger: ledger.record(samples.call(samples.job(998), 3)),
    "cluster": lambda ledger: ledger.record_cluster(samples.cluster(state="resolved"), 9, 0),
}


@pytest.mark.parametrize("table", ["event", "rollout", "model_call", "cluster"])
def test_one_more_row_is_another_digest_and_the_difference_can_be_named(table: str, tmp_path: Path) -> None:
    first, second = campaign(tmp_path / "1"), campaign(tmp_path / "2")
    with Ledger.open(second) as ledger:
        OTHER[table](ledger)
    assert content_digest(first) != content_digest(second)
    known = {(row.table, row.key): row.columns for row in content_rows(first)}
    differing = {row.table for row in content_rows(second) if known.get((row.table, row.key)) != row.columns}
    assert table in differing
    assert content_digest(first, without=frozenset(differing)) == content_digest(second, without=frozenset(differing))


def test_content_comes_in_order_of_table_and_key(tmp_path: Path) -> None:
    rows = [(row.table, row.key) for row in content_rows(campaign(tmp_path / "1"))]
    assert rows == sorted(rows)
    assert len(rows) == len(set(rows))


def test_no_time_or_place_is_content(tmp_path: Path) -> None:
    names = {name for row in content_rows(campaign(tmp_path / "1")) for name, _ in row.columns}
    assert not {name for name in names if name.endswith("_at")}
    assert not names & {"wall_s", "cpu_s", "pid", "host", "pack", "offset", "length"}
