"""The benchmark, loaded once."""

from __future__ import annotations

import pytest

from benchmarks.helpdesk.benchmark import HelpdeskBenchmark, load


@pytest.fixture(scope="session")
def bench() -> HelpdeskBenchmark:
    return load()
