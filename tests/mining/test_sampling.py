"""Which failures a model looks at, and how clusters get their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from optimizer.mining.clusters import ClusterBook, ClusterRules
from optimizer.mining.naming import name_by_model
from optimizer.mining.sampling import ClusterView, due, sample, views_of
from tests.mining.cases import failure
from tests.models.own_models import call, own_model
from tests.models.wire_server import WireServer, wire_server


def view(number: int, n_failures: int) -> ClusterView:
    first = 10 * number
    return ClusterView(
        id=number,
        label="planning.missing_step",
        name="left a step out",
        n_failures=n_failures,
        medoids=(failure(first), failure(first + 1)),
        boundary=(failure(first + 2), failure(first)),
    )


def ids(*numbers: int) -> list[str]:
    return [f"f{number}" for number in numbers]


def test_new_clusters_come_before_grown_ones_and_large_before_small():
    clusters = [view(1, 8), view(2, 3), view(3, 5), view(4, 9)]
    assert [one.id for one in due(clusters, {1: 4, 4: 5})] == [3, 2, 1]  # 4 has not doubled


def test_each_cluster_shows_its_medoid_before_any_shows_its_boundary():
    chosen = sample([view(1, 4), view(2, 4)], limit=5)
    assert [one.id for one in chosen] == ids(10, 20, 12, 22, 11)


def test_what_a_model_has_seen_is_not_shown_again():
    by_model = replace(failure(10), diagnosed_by="model/m")
    seen = replace(view(1, 4), medoids=(by_model, failure(11)), boundary=(failure(12),))
    assert [one.id for one in sample([seen], limit=9, known={"f11"})] == ids(12)


def test_the_clusters_of_a_book_are_seen_as_they_stand():
    book = ClusterBook(ClusterRules(fruitless_limit=2, dormant_batches=3))
    book.absorb(1, {f"t{n}": failure(n) for n in range(4)})
    (seen,) = views_of(book)
    assert (seen.id, seen.label, seen.n_failures) == (1, "planning.missing_step", 4)
    assert {one.id for one in seen.medoids} <= {f"f{n}" for n in range(4)}
    assert sample([seen], limit=2)


def test_no_more_than_the_limit_is_shown():
    assert len(sample([view(n, 4) for n in range(1, 9)], limit=3)) == 3
    assert sample([view(1, 4)], limit=0) == ()


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with wire_server() as server:
        yield server


@pytest.mark.anyio
async def test_a_cluster_gets_a_plain_name_and_nothing_else(wire):
    wire.script.extend([call("submit_name", {"name": "<b>x</b>"}), call("submit_name", {"name": "paid before a yes"})])
    async with own_model(wire) as model:
        given = await name_by_model(model, "policy.no_confirmation", "t", (failure(1),))
    assert given.answer == "paid before a yes"
    assert [one.code for one in given.refused] == ["shape"]
