"""A fresh ledger, and one with a whole small campaign in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from optimizer.ledger.ledger import Ledger
from tests.ledger.samples import HEADER, record_campaign


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "night"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger.create(folder, HEADER) as opened:
        yield opened


@pytest.fixture
def recorded(ledger: Ledger) -> Ledger:
    for _ in record_campaign(ledger):
        pass
    return ledger
