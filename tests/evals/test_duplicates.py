"""Near-duplicates are found exactly, without looking at all pairs."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from optimizer.evals.duplicates import REPORT_FROM, NearIndex
from optimizer.evals.words import shingles, words_of

TEXTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=12).map(" ".join)


def test_equal_words_are_a_duplicate_whatever_their_spelling():
    index = NearIndex()
    index.add("one", "Please cancel my Order, thanks!")
    found = index.nearest("please CANCEL my order - thanks")
    assert found is not None
    assert (found.key, found.similarity) == ("one", 1.0)


def test_a_text_without_words_is_like_nothing():
    index = NearIndex()
    index.add("empty", "?!")
    assert index.nearest("...") is None


@given(texts=st.lists(TEXTS, max_size=12), asked=TEXTS)
def test_the_nearest_is_that_of_a_comparison_with_all(texts: list[str], asked: str):
    index = NearIndex()
    for number, text in enumerate(texts):
        index.add(str(number), text)
    mine = shingles(words_of(asked))
    sets = [shingles(words_of(text)) for text in texts]
    best = max((len(mine & other) / len(mine | other) for other in sets), default=0.0)
    found = index.nearest(asked)
    assert (found.similarity if found else 0.0) == (best if best >= REPORT_FROM else 0.0)


def test_thousands_of_texts_take_no_pairwise_comparison():
    dice = random.Random(1)
    words = [f"w{i}" for i in range(400)]
    index = NearIndex()
    for number in range(2000):
        index.add(str(number), " ".join(dice.choices(words, k=40)))
    copy = " ".join(dice.choices(words, k=40))
    index.add("copy", copy)
    found = index.nearest(f"{copy} and more")
    assert found is not None
    assert found.key == "copy"
