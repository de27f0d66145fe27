"""New classes: cited, annotated, agreed upon, offered - and never applied."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources

import pytest

from optimizer.domain.errors import ConfigError
from optimizer.domain.json import Json
from optimizer.mining.induction import Base, Induction, InductionRules, base_of, induce
from optimizer.mining.induction_questions import Citation, ProposedClass, Unplaced, annotation_question
from optimizer.mining.taxonomy import default_taxonomy, parse_taxonomy
from optimizer.mining.taxonomy_text import extended
from tests.mining.cases import CLASSES
from tests.models.own_models import call, heard_text, own_model
from tests.models.wire_server import Scripted, WireServer, wire_server

TEXT = """\
# The team's own comments.
version = "3"

[groups]
planning = "steps"
policy = "rules"

[[class]]
id = "planning.missing_step"  # kept as it is
title = "left a step out"
"""
BASE = Base(text=TEXT, classes=CLASSES, groups=("planning", "policy"))
POOL = tuple(
    Unplaced(
        failure_id=f"f{n}", text=f"seen: case {n}\ncause: it promised a date it cannot know\nquoted: by Friday {n}"
    )
    for n in range(6)
)
NEW = "policy.promised_date"


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with wire_server() as server:
        yield server


def classes(**changes: Json) -> Scripted:
    one: dict[str, Json] = {
        "id": NEW,
        "title": "promised a date it cannot know",
        "severity": 0.6,
        "rung": "prompt",
        "expected": "name no date that no tool has given",
        "evidence": [{"failure": 1, "quote": "promised a date it cannot know"}],
    }
    return call("submit_classes", {"classes": [{**one, **changes}]})


def labels(of: Callable[[int], str]) -> Scripted:
    return call("submit_labels", {"labels": [{"failure": n + 1, "label": of(n)} for n in range(len(POOL))]})


async def induced(wire: WireServer, *script: Scripted, n_annotators: int = 4) -> Induction:
    wire.script.extend(script)
    async with own_model(wire) as model:
        return await induce(model, (model,), POOL, BASE, InductionRules(n_annotators=n_annotators))


def mostly_new(n: int) -> str:
    return "planning.missing_step" if n == 5 else NEW


@pytest.mark.anyio
async def test_classes_that_annotators_agree_on_are_offered_as_the_next_version_of_the_file(wire):
    found = await induced(wire, classes(), *[labels(mostly_new)] * 4)
    assert (found.state, found.kappa, found.coverage, found.n_annotators) == ("agreed", 1.0, 1.0, 4)
    assert found.classes[0].evidence == (Citation(failure_id="f0", quote="promised a date it cannot know"),)
    assert found.taxonomy_text is not None
    file = tomllib.loads(found.taxonomy_text)
    assert file["version"] == "4"
    assert [one["id"] for one in file["class"]] == ["planning.missing_step", NEW]
    assert "# kept as it is" in found.taxonomy_text
    assert found.usage.n_calls == 5


@pytest.mark.anyio
async def test_classes_annotators_disagree_on_stay_proposals(wire):
    split = [labels(mostly_new), labels(lambda n: "none" if n % 2 else NEW)] * 2
    found = await induced(wire, classes(), *split)
    assert found.state == "proposed"
    assert found.taxonomy_text is None
    assert found.kappa is not None
    assert found.kappa < 0.75
    assert "needed: 0.75" in found.reason


@pytest.mark.anyio
async def test_agreement_that_covers_too_few_failures_is_not_enough(wire):
    found = await induced(wire, classes(), *[labels(lambda n: NEW if n < 3 else "none")] * 4)
    assert (found.state, found.kappa, found.coverage) == ("proposed", 1.0, 0.5)


@pytest.mark.anyio
async def test_one_label_for_everything_proves_no_agreement(wire):
    found = await induced(wire, classes(), *[labels(lambda _: NEW)] * 4)
    assert (found.state, found.kappa) == ("proposed", None)


@pytest.mark.anyio
async def test_an_annotator_without_a_usable_answer_is_missed(wire):
    unusable = call("submit_labels", {"labels": [{"failure": 1, "label": NEW}]})
    found = await induced(wire, classes(), *[labels(mostly_new)] * 3, unusable, unusable)
    assert (found.state, found.n_annotators) == ("proposed", 3)
    assert [one.code for one in found.refused] == ["shape", "shape"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"evidence": [{"failure": 1, "quote": "words nobody said"}]}, "misquoted"),
        ({"evidence": [{"failure": 2, "quote": "by Friday 0"}]}, "misquoted"),
        ({"evidence": [{"failure": 77, "quote": "by Friday 0"}]}, "uncited"),
        ({"evidence": []}, "shape"),
        ({"id": "planning.missing_step"}, "label"),
        ({"id": "weather.rain"}, "label"),
        ({"id": "Policy Promised"}, "shape"),
        ({"title": 'x"\nid = "y'}, "shape"),
        ({"severity": 7}, "shape"),
    ],
)
@pytest.mark.anyio
async def test_a_class_that_proves_nothing_is_refused(wire, changes, code):
    found = await induced(wire, classes(**changes), classes(**changes))
    assert (found.state, found.classes) == ("empty", ())
    assert [one.code for one in found.refused] == [code, code]
    assert len(wire.heard) == 2


@pytest.mark.anyio
async def test_annotators_see_classes_and_failures_in_orders_of_their_own(wire):
    await induced(wire, classes(), *[labels(mostly_new)] * 4)
    orders = [tuple(re.findall(r"Failure (\d+):", heard_text(heard))) for heard in wire.heard[1:]]
    assert len(set(orders)) > 1
    assert {tuple(sorted(order)) for order in orders} == {tuple(str(n + 1) for n in range(6))}
    assert annotation_question(POOL, CLASSES, (), annotator=1) == annotation_question(POOL, CLASSES, (), annotator=1)


def test_a_hostile_quotation_cannot_leave_its_comment():
    cited = Citation(failure_id="f", quote='x\n[[class]]\nid = "evil.one"\x00')
    one = ProposedClass(id=NEW, title="t", severity=0.5, rung="prompt", expected="e", evidence=(cited,))
    file = tomllib.loads(extended(TEXT, (one,)))
    assert [each["id"] for each in file["class"]] == ["planning.missing_step", NEW]


@pytest.mark.parametrize(("old", "new"), [("3", "4"), ("1.9", "1.10"), ("ours", "ours.1")])
def test_each_version_has_a_next_one(old, new):
    assert tomllib.loads(extended(TEXT.replace('"3"', f'"{old}"'), ()))["version"] == new


def test_the_shipped_taxonomy_can_be_extended_and_read_again():
    text = resources.files("optimizer.mining").joinpath("taxonomy.toml").read_text(encoding="utf-8")
    base = base_of(text)
    cited = Citation(failure_id="f", quote="by Friday")
    one = ProposedClass(id=NEW, title="t", severity=0.5, rung="prompt", expected="e", evidence=(cited,))
    made = parse_taxonomy(extended(text, (one,)), "made")
    assert [*made.classes] == [*(known.id for known in base.classes), NEW]
    assert made.version != default_taxonomy().version
    assert "policy" in base.groups


def test_a_file_without_a_version_is_not_extended():
    with pytest.raises(ConfigError, match="version"):
        extended("[groups]\n", ())
