"""A class is one cluster until the evidence for another is strong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.failure import Failure
from optimizer.mining.grouping import Grouping, Place, SplitRules, line_of
from tests.mining.samples import failure

RULES = SplitRules(n_class=10, n_group=4, n_tasks=3, share=0.1, n_words=4)
LONG = "carried on although the payment service had refused the booking"
OTHER = "opened a stranger's account before any security question was answered"


def places(grouping: Grouping, failures: list[Failure]) -> list[Place]:
    return grouping.places(failures)


def lines(line: str, n: int, *, task: str = "t") -> list[Failure]:
    return [failure(f"{task}{i}", "a", signature=line) for i in range(n)]


def test_two_causes_told_at_length_by_many_tasks_stand_apart():
    found = places(Grouping(RULES), lines(LONG, 8) + lines(OTHER, 5, task="u"))
    assert [place.is_apart for place in found] == [False] * 8 + [True] * 5
    assert len({place.group for place in found}) == 2


def test_too_few_failures_do_not_split_a_class():
    assert not any(place.is_apart for place in places(Grouping(RULES), lines(LONG, 4) + lines(OTHER, 4, task="u")))
    assert not any(place.is_apart for place in places(Grouping(RULES), lines(LONG, 20) + lines(OTHER, 3, task="u")))


def test_one_task_failing_again_and_again_does_not_split_a_class():
    again = [failure("u", "a", signature=OTHER) for _ in range(10)]
    assert not any(place.is_apart for place in places(Grouping(RULES), lines(LONG, 10) + again))


def test_a_name_of_a_check_says_too_little_to_split_a_class():
    found = places(Grouping(RULES), lines("a|final_state", 20) + lines("a|requests_completed", 20, task="u"))
    assert not any(place.is_apart for place in found)


def test_a_small_share_of_a_large_class_does_not_stand_apart():
    assert not any(place.is_apart for place in places(Grouping(RULES), lines(LONG, 100) + lines(OTHER, 9, task="u")))


def test_the_largest_group_stays_with_the_class_whichever_line_came_first():
    odd = lines("sang a very long song about trains", 1, task="o")
    found = places(Grouping(RULES), odd + lines(LONG, 8) + lines(OTHER, 5, task="u"))
    assert [place.is_apart for place in found] == [False] * 9 + [True] * 5


def test_a_class_that_comes_in_bulk_splits_into_all_its_groups():
    rules = SplitRules(n_class=10, n_bulk=40, share=0.1)
    found = places(Grouping(rules), lines(LONG, 30) + lines(OTHER, 10, task="u"))
    assert all(place.is_apart for place in found)
    slowly = Grouping(rules)
    found = places(slowly, lines(LONG, 30)) + places(slowly, lines(OTHER, 10, task="u"))
    assert [place.is_apart for place in found] == [False] * 30 + [True] * 10


def test_what_stands_apart_once_does_so_for_ever():
    grouping = Grouping(RULES)
    places(grouping, lines(LONG, 8) + lines(OTHER, 5, task="u"))
    places(grouping, lines(LONG, 500))
    assert places(grouping, lines(OTHER, 1))[0].is_apart


def test_a_group_is_described_by_the_words_its_class_lacks():
    grouping = Grouping(RULES)
    (place, *_) = places(grouping, lines(LONG, 8) + lines(OTHER, 5, task="u"))[::-1]
    assert set(grouping.typical_words(place, 9)) >= {"stranger's", "security", "account"}
    assert set(grouping.typical_words(place, 5)).isdisjoint({"payment", "carried"})


def test_closeness_says_nothing_across_classes():
    grouping = Grouping(RULES)
    one, other = places(grouping, [failure("t", "a", signature=LONG), failure("t", "b", signature=LONG)])
    assert grouping.similarity(one, other) == 0.0


def test_lines_are_compared_without_their_class():
    assert line_of(failure("t", "a.b", signature="a.b|order 12 lost")) == "|order <num> lost"


@given(st.lists(st.tuples(st.sampled_from([LONG, OTHER, "too short"]), st.integers(0, 5)), max_size=60))
def test_equal_order_gives_equal_places(drawn):
    failures = [failure(f"t{task}", "a", signature=line) for line, task in drawn]
    assert places(Grouping(RULES), failures) == places(Grouping(RULES), failures)
