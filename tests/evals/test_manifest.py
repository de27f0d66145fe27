"""Versions of the suite are told apart by what they check, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

from optimizer.domain.dataset import Pedigree
from optimizer.evals.manifest import diff, manifest_of
from tests.evals.cases import case

ONE, TWO = case("t1", state="active"), case("t2", state="active")


def test_equal_cases_in_any_order_are_one_version_and_another_parent_is_another():
    assert manifest_of([ONE, TWO]) == manifest_of([TWO, ONE])
    assert manifest_of([ONE], parent="x").id != manifest_of([ONE], parent="y").id
    assert len(manifest_of([ONE]).id) == 64


def test_runs_and_notes_are_no_part_of_a_version_and_what_is_checked_is():
    counted = replace(ONE, n_runs=9, n_passes=9, note="passed again")
    assert diff(manifest_of([ONE]), manifest_of([counted])).is_empty
    narrowed = replace(ONE, layer="deterministic")
    assert [entry.case_id for entry in diff(manifest_of([ONE]), manifest_of([narrowed])).changed] == [ONE.id]


def test_a_diff_names_what_came_and_went_and_which_readings_differ():
    older = manifest_of([ONE], pedigree=Pedigree(splits="s", taxonomy="1"))
    newer = manifest_of([TWO], parent=older.id, pedigree=Pedigree(splits="s", taxonomy="2", redaction="r"))
    between = diff(older, newer)
    assert [entry.case_id for entry in between.added] == [TWO.id]
    assert [entry.case_id for entry in between.removed] == [ONE.id]
    assert between.pedigree == ("taxonomy", "redaction")
    assert not between.is_empty
