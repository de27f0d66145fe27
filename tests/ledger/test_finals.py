"""The sealed test in the ledger: what was opened, what came of it, and what a later version of a reader finds."""

from __future__ import annotations

from pathlib import Path

from optimizer.ledger.ledger import Ledger
from optimizer.ledger.reader import LedgerReader
from tests.ledger import samples


def test_a_broken_seal_and_its_result_come_back_as_they_were(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "c", samples.HEADER) as ledger:
        assert ledger.finals.rows() == ()
        ledger.finals.open(samples.seal())
        with LedgerReader.open(tmp_path / "c") as reader:
            assert [(row.seal, row.result) for row in reader.finals()] == [(samples.seal(), None)]
        ledger.finals.record(samples.seal(), samples.final_result())
        ledger.finals.record(samples.seal(), samples.final_result())
    with LedgerReader.open(tmp_path / "c") as reader:
        (row,) = reader.finals()
        assert (row.seal, row.result) == (samples.seal(), samples.final_result())
        assert reader.status().final == row


def test_the_calibration_with_the_most_trials_is_the_one_that_is_used(tmp_path: Path) -> None:
    with Ledger.create(tmp_path / "c", samples.HEADER) as ledger:
        ledger.calibrations.record("b" * 40, 2, {"noise": 0.2})
        ledger.calibrations.record("b" * 40, 4, {"noise": 0.1})
        ledger.calibrations.record("b" * 40, 4, {"noise": 0.3})
    with LedgerReader.open(tmp_path / "c") as reader:
        assert reader.calibration("b" * 40) == {"noise": 0.1}
        assert reader.calibration("a" * 40) == {"noise": 0.1}  # of an earlier version, which its content names
