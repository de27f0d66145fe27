"""The life of clusters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.failure import Failure
from optimizer.mining.clusters import ClusterBook, ClusterRules

RULES = ClusterRules(fruitless_limit=2, dormant_batches=3)


def failure(task: str, label: str = "planning.missing_step", severity: float = 0.5) -> Failure:
    return Failure(
        id=f"{task}-{label}",
        rollout_id="r",
        task_id=task,
        tree="t",
        signal="check_failed",
        label=label,
        symptom="s",
        cause="c",
        evidence="e",
        span=0,
        severity=severity,
        signature=label,
    )


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
    for n, batch in enumerate(batches, start=1):
        book.absorb(n, {task: None if label is None else failure(task, label) for task, label in batch.items()})
        latest |= batch
    failing = sorted(task for cluster in book for task in cluster.failing_tasks)
    assert failing == sorted(task for task, label in latest.items() if label is not None)
    assert sum(c.n_failures for c in book) == sum(label is not None for batch in batches for label in batch.values())
