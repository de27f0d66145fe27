"""Twenty random kills of one campaign; minutes, so it has its own command: `make test-slow`."""

from __future__ import annotations

import random
import signal

import pytest

from tests.campaign.conftest import Finished
from tests.campaign.test_invariants import assert_same, leftovers, session, sockets_of
from tests.campaign.toy import make_toy


@pytest.mark.slow
def test_after_twenty_random_kills_the_state_is_that_of_an_uninterrupted_campaign(finished: Finished, tmp_path):
    dice = random.Random(1)
    n_kills = n_campaigns = 0
    while n_kills < 20:
        toy = make_toy(tmp_path / f"harness{n_campaigns}")
        n_campaigns += 1
        killed = []
        while True:
            status, pid, said = session(toy, f"{dice.uniform(0.5, 4.0)}" if n_kills < 20 else "")
            if status == 0:
                break
            assert status == -signal.SIGKILL, said
            killed.append(pid)
            n_kills += 1
        assert_same(toy, finished.toy)
        assert leftovers(toy) == []
        assert [path for pid in killed for path in sockets_of(pid)] == []
    print(f"{n_kills} kills in {n_campaigns} campaigns")
