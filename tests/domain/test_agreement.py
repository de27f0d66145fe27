"""Agreement beyond chance, against published and hand-computed figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.agreement import Share, cohen_kappa, confusion, fleiss_kappa, kappa_error, majority

LABELS = st.sampled_from(["pass", "fail", "unsure"])


def pairs(**counts: int) -> list[tuple[str, str]]:
    return [(name[0], name[1]) for name, count in counts.items() for _ in range(count)]


def test_cohens_kappa_is_that_of_the_textbook():
    # 50 applications, two readers: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no
    assert cohen_kappa(confusion(pairs(yy=20, yn=5, ny=10, nn=15))) == pytest.approx(0.4)


def test_fleiss_kappa_is_that_of_the_textbook():
    # Fleiss' example as usually given: 10 subjects, 14 raters, 5 categories
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    ratings = [[str(kind) for kind, n in enumerate(row) for _ in range(n)] for row in table]
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)


def test_agreement_by_one_label_only_is_undefined_and_not_perfect():
    assert cohen_kappa(confusion(pairs(yy=50))) is None
    assert cohen_kappa(confusion([])) is None
    assert fleiss_kappa([["a", "a"], ["a", "a"]]) is None
    assert fleiss_kappa([]) is None
    assert fleiss_kappa([["a"], ["b"]]) is None


def test_a_small_sample_without_disagreement_is_no_certainty():
    few, many = kappa_error(confusion(pairs(yy=3, nn=3))), kappa_error(confusion(pairs(yy=300, nn=300)))
    assert few == pytest.approx((0.8 * 0.2 / (10 * 0.5**2)) ** 0.5)  # by hand: 8 of 10 after the smoothing
    assert many is not None
    assert 0 < many < 0.05


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=60))
def test_kappa_lies_in_its_range_and_does_not_care_who_is_who(found: list[tuple[str, str]]):
    kappa, other = cohen_kappa(confusion(found)), cohen_kappa(confusion((b, a) for a, b in found))
    assert (kappa is None) == (other is None)
    if kappa is not None:
        assert -1.0 <= kappa <= 1.0
        assert kappa == pytest.approx(other)
        assert (kappa == 1.0) == all(a == b for a, b in found)


@given(st.lists(st.lists(LABELS, min_size=3, max_size=3), min_size=1, max_size=30))
def test_fleiss_kappa_never_exceeds_one(ratings: list[list[str]]):
    kappa = fleiss_kappa(ratings)
    assert kappa is None or -1.0 <= kappa <= 1.0 + 1e-12


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilsons_interval_holds_the_share(hits: int, misses: int):
    share = Share(n_hits=hits, n=hits + misses)
    low, high = share.interval
    assert 0.0 <= low <= high <= 1.0
    if share.value is None:
        assert (low, high) == (0.0, 1.0)
    else:
        assert low <= share.value <= high


def test_wilsons_interval_of_nine_in_ten_is_the_published_one():
    low, high = Share(n_hits=9, n=10).interval
    assert (round(low, 4), round(high, 4)) == (0.5958, 0.9821)


def test_a_majority_is_more_than_half():
    assert majority(["a", "a", "b"]) == "a"
    assert majority(["a", "b"]) is None
    assert majority([]) is None
