"""The rules that the benchmark plays against, and the simulator's own honesty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.gate.sim.campaign import play
from tests.gate.sim.fleet import GEPA, HALVING, PUBLISHED, TRIAL
from tests.gate.sim.world import REGIMES, World, chance, drawn


@pytest.mark.parametrize("contender", [TRIAL, PUBLISHED, GEPA, HALVING], ids=lambda each: each.name)
def test_what_a_campaign_spent_is_what_its_candidates_cost(contender):
    season = play(REGIMES["v40"], contender, seed=1, budget=1500)
    cost = sum(each.n_rollouts + 20 for each in season.judged)
    assert season.judged[-1].spent == 40 + cost
    assert season.judged[-2].spent < 1500 or contender is HALVING
    assert season.judged[-1].spent >= 1500


def test_halving_adopts_at_most_one_of_eight_and_charges_all():
    season = play(REGIMES["typ"], HALVING, seed=2, candidates=8)
    assert sum(each.is_accepted for each in season.judged) <= 1
    assert sum(each.n_rollouts for each in season.judged) >= 8 * 13 + 4 * 12 + 2 * 25 + 50


def test_rules_are_offered_the_same_first_edit():
    first = [play(REGIMES["typ"], each, seed=3, candidates=1).judged[0].effect for each in (TRIAL, PUBLISHED, GEPA)]
    assert len(set(first)) == 1


def test_a_local_edit_leaves_the_tasks_it_does_not_touch_exactly_as_they_were():
    world = World(replace(REGIMES["typ"], local=1.0), 4)
    edits = [world.propose() for _ in range(20)]
    assert all(edit.is_local for edit in edits)
    assert np.mean([np.mean(edit.change == 0) for edit in edits]) > 0.5


def test_random_worlds_are_worlds():
    for seed in range(20):
        rule, budget = drawn(seed)
        score = chance(World(rule, seed).logits).mean()
        assert 0.2 < score < 0.9
        assert 0.05 < rule.mixture.helpful < 0.41
        assert budget > 96 * 60
