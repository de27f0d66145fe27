from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.gateway.world import World


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path: unix sockets take about a hundred bytes."""
    with TemporaryDirectory(prefix="hone-") as name:
        yield Path(name)


@pytest.fixture
def world(folder: Path) -> World:
    return World(folder=folder)
