"""Fixtures every room shares."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# Every run of the suite draws the same examples, so that red means a change; `HYPOTHESIS_PROFILE=explore` draws
# new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """All asynchronous tests run on asyncio."""
    return "asyncio"
