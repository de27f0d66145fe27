"""Vectors of masked lines, and groups of similar ones."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optimizer.mining.embedding import FIT_AT_LEAST, PRIOR, SCALE, Lexicon, Space, fitted
from optimizer.mining.grouping import SplitRules
from optimizer.mining.leader import Leader
from optimizer.mining.masking import MASK_VERSION, mask
from tests.mining.made_failures import made

FULL = SCALE * SCALE
LINES = [mask(each.failure.signature) for each in made(2 * FIT_AT_LEAST, 5)]


def cosine(space: Space, one: str, other: str) -> float:
    return float(space.embed(one) @ space.embed(other)) / FULL


@given(st.text(max_size=120))
def test_a_line_has_length_one_or_no_words(line):
    vector = Space().embed(mask(line))
    length = float(np.linalg.norm(vector)) / SCALE
    assert abs(length - 1) < 0.01 or length == 0
    assert (vector == np.rint(vector)).all()


@given(st.lists(st.text(alphabet="abcdef <>_", max_size=40), min_size=2, max_size=6))
def test_similarities_are_whole_numbers_that_no_order_of_summation_changes(lines):
    vectors = np.array([Space().embed(line) for line in lines])
    exact = vectors.astype(np.int64) @ vectors.astype(np.int64).T
    assert (vectors @ vectors.T == exact).all()
    assert (vectors[:, ::-1] @ vectors[:, ::-1].T == exact).all()


def test_the_words_of_the_cause_count_and_entities_hardly_do():
    space = Space()
    line = "carried on after the tool failed"
    assert cosine(space, line, "carried on after the tool had failed with <quote>") > 0.9
    assert cosine(space, line, "customer identity was never verified") < 0.3
    assert cosine(space, line, "carryed on after teh tool fialed") > SplitRules().radius


def test_a_space_is_known_by_all_that_changes_its_vectors():
    other = Lexicon(weights={"refund": 3})
    assert PRIOR.space_id != other.space_id
    assert f"mask-{MASK_VERSION}" in PRIOR.space_id
    assert Space(other).id == other.space_id


def test_few_lines_teach_nothing_about_words():
    assert fitted(LINES[: FIT_AT_LEAST // 2]) == PRIOR
    assert fitted([LINES[0]] * 10_000) == PRIOR


def test_a_fit_makes_common_words_light_and_centres_the_lines():
    lexicon = fitted(LINES)
    space = Space(lexicon)
    assert lexicon == fitted(LINES)
    assert lexicon.weights["model"] < lexicon.weights["verification"]
    centre = np.mean([space.embed(line) for line in dict.fromkeys(LINES)], axis=0)
    assert np.linalg.norm(centre) / SCALE < 0.1


def test_equal_lines_of_a_class_share_a_group_and_unlike_ones_do_not():
    leader = Leader(Space(), radius=0.4)
    assert [leader.place("a", line) for line in ("lost the order", "never asked for identity", "lost the order")] == [
        0,
        1,
        0,
    ]
    assert leader.place("b", "never asked for identity") == 0
    assert leader.similarity("a", 0, 0) > 0.99
    assert leader.similarity("a", 0, 1) < 0.4


@given(st.lists(st.integers(1, 200), min_size=1, max_size=5))
def test_groups_depend_on_the_order_of_lines_alone(sizes):
    one, other = Leader(Space(), radius=0.4), Leader(Space(), radius=0.4)
    lines = LINES[: sum(sizes)]
    groups = [one.place("a", line) for line in lines]
    assert [other.place("a", line) for line in lines] == groups
    assert max(groups) + 1 == len(set(groups))


def test_neither_help_nor_the_cluster_book_imports_numpy():
    code = "import sys, optimizer.cli.main, optimizer.mining.clusters; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
