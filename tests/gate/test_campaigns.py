"""A few whole campaigns against the simulator, with bounds so wide that only a broken gate leaves them."""

from __future__ import annotations

import pytest

from tests.gate.sim import bars
from tests.gate.sim.fleet import PUBLISHED, TRIAL, Cell, played, summary
from tests.gate.sim.world import BUDGETS, REGIMES

SEEDS = range(3_000_000, 3_000_020)


@pytest.fixture(scope="module")
def typical():
    cells = [
        Cell(world=REGIMES["typ"], contender=contender, seeds=SEEDS, budget=BUDGETS["typ"])
        for contender in (TRIAL, PUBLISHED)
    ]
    return played(cells, n_processes=1)


def test_the_default_gains_more_than_the_published_rule_for_the_same_rollouts(typical):
    ours, theirs = map(summary, typical)
    assert ours.gain > 1.3 * theirs.gain
    assert ours.gain > 14
    assert ours.below_start <= 5
    assert ours.harmful < 15


def test_the_default_claims_what_it_has_and_the_published_rule_claims_more(typical):
    ours, theirs = map(summary, typical)
    assert abs(ours.claim_minus_val) < 1.5
    assert theirs.claim_minus_val > 3


def test_an_edit_that_fixes_nothing_passes_the_target_test_less_than_one_time_in_ten(typical):
    assert bars.type_one({"typ/trial": typical[0]}, "typ") < 10


def test_where_nothing_helps_hardly_anything_is_lost():
    cell = Cell(world=REGIMES["null"], contender=TRIAL, seeds=SEEDS[:8], budget=BUDGETS["null"])
    (seasons,) = played([cell], n_processes=1)
    found = summary(seasons)
    assert found.gain > -3
    assert found.n_accepted < 0.08 * found.n_candidates


def test_equal_seeds_give_equal_campaigns_in_any_number_of_processes():
    cell = Cell(world=REGIMES["v40"], contender=TRIAL, seeds=SEEDS[:2], budget=1500)
    assert played([cell], n_processes=1) == played([cell], n_processes=2, chunk=1)
