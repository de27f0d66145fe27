"""The validation guard and the pooled trunk record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.gate.guard import (
    BROAD_ROUTE,
    TARGET_ROUTE,
    TrunkRecord,
    judge_guard,
    posterior,
)

differences = st.lists(st.floats(-1, 1), min_size=1, max_size=100).map(tuple)


@pytest.mark.parametrize(
    ("xs", "prior_mean", "expected"),
    [
        ((0.5,) * 6 + (-0.5,) * 4, 0.0, (0.1, 0.026, 0.003346, 0.545158)),
        ((0.25,) * 40 + (-0.25,) * 60, 0.0, (-0.05, 0.0008, -0.026471, 0.099180)),
        ((0.4,) * 30 + (-0.1,) * 70, -0.005, (0.05, 0.000725, 0.025462, 0.898071)),
    ],
)
def test_the_posterior_matches_the_published_vectors(xs, prior_mean, expected):
    post = posterior(xs, prior_mean)
    assert (post.mean, post.variance, post.shrunk, post.p_better) == pytest.approx(expected, abs=1e-6)


@given(differences)
def test_without_a_prior_lean_gains_and_losses_are_mirror_images(xs):
    there, back = posterior(xs, 0.0), posterior(tuple(-x for x in xs), 0.0)
    assert there.p_better + back.p_better == pytest.approx(1.0)


@given(differences, st.data())
def test_turning_a_pass_into_a_failure_never_makes_the_candidate_look_better(xs, data):
    i = data.draw(st.integers(0, len(xs) - 1))
    worse = (*xs[:i], max(-1.0, xs[i] - 1), *xs[i + 1 :])
    assert posterior(worse, 0.0).mean <= posterior(xs, 0.0).mean


def test_the_target_route_admits_what_is_not_below_the_trunk_and_the_broad_route_wants_more():
    post = posterior((0.1,) * 50 + (-0.08,) * 50, 0.0)
    assert judge_guard(post, TARGET_ROUTE, is_complete=True) == "accept"
    assert judge_guard(post, BROAD_ROUTE, is_complete=True) == "reject"
    assert judge_guard(post, TARGET_ROUTE, is_complete=False) == "continue"


def test_a_rejected_candidates_runs_measure_the_trunk_too():
    record = TrunkRecord(cells={}).measured({"a": True, "b": False})
    pooled = record.after_reject({"a": (0, 1)}, shrunk=-0.1)
    assert pooled.cells["a"].runs == 2
    assert pooled.cells["a"].rate == pytest.approx((1 + 0.1) / 2)
    assert pooled.cells["b"] == record.cells["b"]


def test_after_an_acceptance_old_evidence_counts_half_and_fades_until_it_is_measured_again():
    record = TrunkRecord(cells={}).measured({"a": True, "b": True})
    once = record.after_accept({"a": (0, 1)})
    assert once.cells["a"].rate == pytest.approx(0.5 / 1.5)
    assert once.stale() == ()
    assert once.after_accept({"a": (1, 1)}).stale() == ("b",)


@given(st.lists(st.tuples(st.sampled_from(["accept", "reject"]), st.booleans()), max_size=60))
def test_the_record_never_counts_more_than_twelve_runs_of_a_task(history):
    record = TrunkRecord(cells={}).measured({"a": True})
    for kind, passed in history:
        record = (
            record.after_accept({"a": (passed, 1)})
            if kind == "accept"
            else record.after_reject({"a": (passed, 1)}, shrunk=0.0)
        )
        assert 0 <= record.estimate <= 1
        assert record.cells["a"].runs <= 12 + 1e-9
