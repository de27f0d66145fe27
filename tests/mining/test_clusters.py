"""The life of clusters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.failure import Failure
from optimizer.mining.cluster_entry import NEXT, MergeProposal
from optimizer.mining.clusters import ClusterBook, ClusterRules
from optimizer.mining.grouping import SplitRules
from tests.mining.samples import failure

RULES = ClusterRules(fruitless_limit=2, dormant_batches=3)


def book_of(*labels: str) -> ClusterBook:
    book = ClusterBook(RULES)
    book.absorb(1, {f"t{i}": failure(f"t{i}", label) for i, label in enumerate(labels)})
    return book


def test_failures_of_one_class_share_a_cluster_whose_id_never_changes():
    book = book_of("a", "a", "b")
    assert [(c.id, c.label, c.n_failures) for c in book] == [(1, "a", 2), (2, "b", 1)]
    book.absorb(2, {"t9": failure("t9", "b"), "t8": failure("t8", "a")})
    assert [(c.id, c.label, c.n_failures) for c in book] == [(1, "a", 3), (2, "b", 2)]


def test_a_task_that_passes_now_is_no_longer_a_target():
    book = book_of("a", "a")
    book.absorb(2, {"t0": None})
    assert book.get(1).failing_tasks == ("t1",)


def test_a_task_counts_only_for_its_latest_failure():
    book = book_of("a", "a")
    book.absorb(2, {"t0": failure("t0", "b")})
    assert book.get(1).failing_tasks == ("t1",)
    assert book.get(2).failing_tasks == ("t0",)


def test_the_cluster_with_the_most_harm_is_targeted_first():
    book = ClusterBook(RULES)
    many = {f"a{i}": failure(f"a{i}", "mild", 0.2) for i in range(3)}
    book.absorb(1, {**many, "b0": failure("b0", "grave", 1.0), "b1": failure("b1", "grave", 1.0)})
    assert [c.label for c in book.targets(2)] == ["grave", "mild"]


def test_a_cluster_that_keeps_yielding_nothing_is_set_aside_for_a_while_and_then_wakes():
    book = book_of("a", "a")
    for _ in range(2):
        book.targeted(1)
        book.attempted(1, 1, is_accepted=False)
    assert book.get(1).state == "dormant"
    assert book.targets(1) == ()
    book.absorb(3, {})
    assert book.get(1).state == "dormant"
    book.absorb(4, {})
    assert book.get(1).state == "open"
    assert [c.id for c in book.targets(1)] == [1]


def test_an_accepted_candidate_wipes_out_fruitless_attempts():
    book = book_of("a", "a")
    book.attempted(1, 1, is_accepted=False)
    book.attempted(1, 1, is_accepted=True)
    assert book.get(1).n_fruitless == 0


def test_a_resolved_cluster_that_fails_again_is_reopened():
    book = book_of("a", "a")
    book.resolved(1, frozenset({"t0", "t1"}))
    assert book.get(1).state == "resolved"
    assert book.targets(1) == ()
    book.absorb(2, {"t5": failure("t5", "a")})
    assert book.get(1).state == "reopened"
    assert [c.id for c in book.targets(1)] == [1]


@given(
    st.lists(
        st.dictionaries(st.sampled_from("tuvwxyz"), st.sampled_from([None, "a", "b", "c"]), max_size=5), max_size=12
    )
)
def test_every_failing_task_belongs_to_exactly_one_cluster(batches):
    book = ClusterBook(RULES)
    latest: dict[str, str | None] = {}
    absorbed: list[Failure] = []
    for n, batch in enumerate(batches, start=1):
        outcomes = {task: None if label is None else failure(task, label) for task, label in batch.items()}
        absorbed += [each for each in outcomes.values() if each is not None]
        book.absorb(n, outcomes)
        latest |= batch
    assert all(book.get(book.of(each)).label == each.label for each in absorbed)
    failing = sorted(task for cluster in book for task in cluster.failing_tasks)
    assert failing == sorted(task for task, label in latest.items() if label is not None)
    assert sum(c.n_failures for c in book) == sum(label is not None for batch in batches for label in batch.values())


# Splits and merges: two ways to fail in one class, told at length.

SPLIT = SplitRules(n_class=8, n_group=4, n_tasks=3, share=0.1)
LONG = "carried on although the payment service had refused the booking"
OTHER = "opened a stranger's account before any security question was answered"
THIRD = "promised delivery dates nobody had looked up anywhere"


def several(line: str, n: int, mark: str, severity: float = 0.5) -> dict[str, Failure | None]:
    return {f"{mark}{i}": failure(f"{mark}{i}", "a", severity, signature=line, mark=mark) for i in range(n)}


def split_book(review: str = "auto", merge_at: float = 0.99) -> ClusterBook:
    """Cluster 1 is the class as a whole, 2 and 3 stand apart."""
    rules = ClusterRules(fruitless_limit=2, dormant_batches=3, split=SPLIT, review=review, merge_at=merge_at)  # type: ignore[arg-type]
    book = ClusterBook(rules)
    book.absorb(1, {**several(LONG, 6, "l"), **several(OTHER, 4, "o"), **several(THIRD, 5, "t")}, commit="c1")
    return book


def test_a_class_splits_on_strong_evidence_and_the_new_clusters_are_named_by_their_words():
    book = split_book()
    assert [(c.id, c.n_failures, c.name.partition(":")[0]) for c in book] == [(1, 6, "a"), (2, 4, "a"), (3, 5, "a")]
    assert book.get(2).name == "a: opened stranger's account security"
    assert book.space_id.startswith("signs-")


def test_failures_seen_before_the_split_stay_where_they_were():
    book = ClusterBook(ClusterRules(fruitless_limit=2, dormant_batches=3, split=SPLIT))
    early = several(OTHER, 2, "e")
    book.absorb(1, several(LONG, 8, "l") | early)
    book.absorb(2, several(OTHER, 4, "o"))
    assert {book.of(each) for each in early.values() if each is not None} == {1}
    assert [(c.id, c.n_failures) for c in book] == [(1, 10), (2, 4)]
    assert book.of(failure("o0", "a", signature=OTHER, mark="o")) == 2


def test_a_merged_cluster_keeps_its_id_and_history_and_gives_its_tasks_to_its_parent():
    book = split_book()
    changed = book.merge(3, 2)
    assert [c.id for c in changed] == [2, 3]
    child, parent = book.get(3), book.get(2)
    assert (child.parent, child.n_failures, child.failing_tasks, child.state) == (2, 5, (), "dormant")
    assert (parent.n_failures, len(parent.failing_tasks)) == (9, 9)
    assert book.family(3) == (2, 3)
    assert book.root(3) == 2
    assert 3 not in {c.id for c in book.targets(9)}


def test_failures_to_come_of_a_merged_cluster_are_its_parents():
    book = split_book()
    book.merge(3, 2)
    book.absorb(9, several(THIRD, 2, "n"))
    assert (book.get(2).n_failures, book.get(3).n_failures) == (11, 5)
    assert book.get(3).state == "dormant"
    book.part(3)
    book.absorb(10, several(THIRD, 1, "p"))
    assert (book.get(3).n_failures, book.get(3).parent, book.get(3).state) == (6, None, "open")


def test_impossible_merges_are_refused():
    book = split_book()
    book.merge(3, 2)
    for child, into in ((3, 1), (2, 3), (2, 2)):
        with pytest.raises(ValueError, match="cannot be merged"):
            book.merge(child, into)
    with pytest.raises(ValueError, match="no parent"):
        book.part(1)


def test_clusters_that_come_close_merge_at_once_or_wait_for_a_person():
    assert [c.parent for c in split_book(merge_at=-1.0)] == [None, None, 2]
    waiting = split_book("human", merge_at=-1.0)
    assert waiting.pending == (MergeProposal(child=3, into=2, similarity=0.0),)
    assert [c.parent for c in waiting] == [None, None, None]
    waiting.absorb(2, several(THIRD, 1, "n"))
    assert len(waiting.pending) == 1
    waiting.merge(3, 2)
    assert waiting.pending == ()


def test_a_declined_merge_is_never_proposed_again():
    book = split_book("human", merge_at=-1.0)
    book.decline(book.pending[0])
    book.absorb(2, several(THIRD, 1, "n"))
    assert book.pending == ()


def test_a_resolved_parent_reopens_with_the_tasks_of_a_merged_cluster():
    book = split_book()
    book.resolved(2, frozenset(book.get(2).failing_tasks), candidate=4)
    book.merge(3, 2, commit="c9")
    assert (book.get(2).state, book.get(2).reopened_since) == ("reopened", "c9")


# Who solved it, since when it is back, what it weighs.


def test_a_solved_cluster_knows_by_which_candidate_and_what_share_of_its_failures():
    book = book_of("a", "a", "a")
    book.resolved(1, frozenset({"t0"}), candidate=3)
    assert (book.get(1).state, book.get(1).n_resolved, book.get(1).resolved_by) == ("open", 1, None)
    book.resolved(1, frozenset({"t1", "t2"}), candidate=5)
    assert (book.get(1).state, book.get(1).resolution_rate, book.get(1).resolved_by) == ("resolved", 1.0, 5)


def test_a_reopened_cluster_says_since_which_commit():
    book = book_of("a", "a")
    book.resolved(1, frozenset({"t0", "t1"}), candidate=5)
    book.absorb(4, {"t0": failure("t0", "a", mark="again")}, commit="abc123")
    assert (book.get(1).state, book.get(1).reopened_since, book.get(1).resolved_by) == ("reopened", "abc123", 5)
    assert book.get(1).resolution_rate == pytest.approx(2 / 3)


def test_a_cluster_fades_while_it_is_not_seen():
    book = ClusterBook(ClusterRules(fruitless_limit=2, dormant_batches=3, half_life_batches=2.0))
    book.absorb(1, {t: failure(t, "old", 1.0) for t in ("o1", "o2")})
    assert book.rank(1) == 2.0
    book.absorb(3, {t: failure(t, "new", 0.6) for t in ("n1", "n2")})
    assert book.rank(1) == pytest.approx(1.0)
    assert [c.label for c in book.targets(2)] == ["new", "old"]
    book.absorb(3, {"o3": failure("o3", "old", 1.0)})
    assert book.get(1).weight == pytest.approx(2 * 0.5 + 1)


def test_a_signal_that_is_little_believed_ranks_low():
    rules = ClusterRules(fruitless_limit=2, dormant_batches=3, signal_weights={"user_correction": 0.2})
    book = ClusterBook(rules)
    corrections = {t: failure(t, "said", 1.0, signal="user_correction") for t in ("a1", "a2", "a3")}
    book.absorb(1, {**corrections, **{t: failure(t, "checked", 0.5) for t in ("b1", "b2")}})
    assert [c.label for c in book.targets(2)] == ["checked", "said"]


def test_what_was_seen_once_waits_until_nothing_recurs():
    book = ClusterBook(RULES)
    book.absorb(1, {"x": failure("x", "once", 1.0), "y": failure("y", "again", 0.1)})
    book.absorb(2, {"y": failure("y", "again", 0.1, mark="2")})
    assert [c.label for c in book.targets(9)] == ["again"]
    book.absorb(3, {"y": None})
    assert [c.label for c in book.targets(9)] == ["once"]
    assert book.get(1).is_one_off


def test_a_state_that_may_not_follow_is_refused():
    book = book_of("a", "a")
    book.resolved(1, frozenset({"t0", "t1"}))
    with pytest.raises(ValueError, match="is resolved and cannot become targeted"):
        book.targeted(1)
    assert "targeted" not in NEXT["dormant"]


def test_every_change_is_told_once_and_nothing_else():
    book = book_of("a", "a", "b", "b")
    assert [c.id for c in book.targeted(1)] == [1]
    assert [c.id for c in book.absorb(2, {"t2": None})] == [2]
    assert book.absorb(3, {}) == ()
    assert [(c.id, c.name) for c in book.rename(2, "late parcels", "model/m")] == [(2, "late parcels")]


def test_a_model_does_not_overrule_a_persons_name():
    book = book_of("a", "a")
    book.rename(1, "lost parcels", "person")
    assert book.rename(1, "something", "model/m") == ()
    assert book.get(1).name == "lost parcels"
    book.rename(1, "late parcels", "person")
    assert book.get(1).name == "late parcels"


# Examples.


def test_medoids_are_typical_and_the_boundary_is_not():
    lines = {f"m{i}": failure(f"m{i}", "a", signature=LONG + " twice" * (i % 3)) for i in range(12)}
    odd = failure("odd", "a", signature="sang a song")
    book = ClusterBook(RULES)
    book.absorb(1, {**lines, "odd": odd})
    assert odd not in book.medoids(1, 3)
    assert len({each.signature for each in book.medoids(1, 3)}) == 3
    assert book.boundary(1, 1) == (odd,)


def test_representatives_are_typical_recent_and_odd_ones_without_repetition():
    book = ClusterBook(RULES)
    book.absorb(1, {f"m{i}": failure(f"m{i}", "a", signature=LONG) for i in range(50)})
    chosen = book.representatives(1, 8)
    assert len({each.id for each in chosen}) == 8
    assert book.recent[1][0] in chosen
    assert [each.task_id for each in book.recent[1]] == [f"m{i}" for i in range(49, 41, -1)]


def test_the_same_calls_make_the_same_book():
    one, other = split_book(), split_book()
    assert list(one) == list(other)
    assert one.medoids(1) == other.medoids(1)
    assert one.space_id == other.space_id


def test_a_record_that_supersedes_another_counts_once_where_it_belongs() -> None:
    from dataclasses import replace as changed

    from tests.mining.cases import failure

    first, second = failure(1), failure(2)
    book = ClusterBook(RULES)
    book.absorb(1, {first.task_id: first, second.task_id: second})
    reworded = changed(first, id="f1w", cause="said it better")
    book.replace(first, reworded, batch=1)
    assert [one.n_failures for one in book] == [2]
    assert reworded in book.recent[1]
    assert first not in book.recent[1]
    other = changed(second, id="f2m", label="policy.no_confirmation", signature="policy.no_confirmation |  |  | x")
    book.replace(second, other, batch=1)
    assert [(one.n_failures, one.failing_tasks) for one in book] == [(1, ("t1",)), (1, ("t2",))]
    book.replace(other, second, batch=1)
    assert [(one.n_failures, one.failing_tasks) for one in book] == [(2, ("t2", "t1")), (0, ())]


def test_a_record_superseded_late_says_nothing_about_a_task_that_was_run_again() -> None:
    from dataclasses import replace as changed

    from tests.mining.cases import failure

    old = failure(1)
    book = ClusterBook(RULES)
    book.absorb(1, {old.task_id: old})
    book.absorb(2, {old.task_id: None})
    moved = changed(old, id="f1m", label="policy.no_confirmation", signature="policy.no_confirmation |  |  | x")
    book.replace(old, moved, batch=1)
    assert [(one.n_failures, one.failing_tasks) for one in book] == [(0, ()), (1, ())]
    assert book.targets(5) == ()
