"""The taxonomy file: what is shipped, and what a team may say in its own."""

from __future__ import annotations

import pytest

from optimizer.domain.errors import ConfigError
from optimizer.mining.detectors.explain import explain
from optimizer.mining.taxonomy import default_taxonomy, load_taxonomy, parse_taxonomy
from optimizer.propose.playbook.entry import load_catalogue
from tests.mining.traces import call, rollout_of, trace_of

OWN = """
version = "acme-3"
[groups]
billing = "money"
[checks]
no_double_charge = "billing.charged_twice"
[[class]]
id = "billing.charged_twice"
title = "charged twice"
severity = 0.95
rung = "control_flow"
expected = "charge once"
"""


def test_the_shipped_file_describes_every_class_completely():
    taxonomy = default_taxonomy()
    assert len(taxonomy.classes) >= 30
    assert set(taxonomy.groups) >= {label.partition(".")[0] for label in taxonomy.classes}
    assert all(one.title and one.expected and 0 < one.severity <= 1 for one in taxonomy.classes.values())
    titles = [one.title for one in taxonomy.classes.values()]
    assert len(titles) == len(set(titles))


def test_what_is_unknown_still_has_a_class_a_name_and_a_severity():
    taxonomy = default_taxonomy()
    assert taxonomy.label_of_check("brand_voice") == "check.brand_voice"
    assert taxonomy.name_of("check.brand_voice") == "brand voice"
    assert taxonomy.severity_of("check.brand_voice") == 0.5
    assert taxonomy.rung_of("check.brand_voice") == "prompt"
    assert taxonomy.expected_of("check.brand_voice") == ""


def test_a_team_may_keep_its_own_file(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    own = load_taxonomy(tmp_path / "own.toml")
    assert (own.version, own.rung_of("billing.charged_twice")) == ("acme-3", "control_flow")
    spans = trace_of([call("charge", amount=1), call("charge", amount=1)])
    finding = explain(rollout_of({"no_double_charge": "charge was made twice"}), spans, own)
    assert (finding.label, finding.span) == ("billing.charged_twice", 0)


def test_without_a_file_the_shipped_one_is_read_once():
    assert load_taxonomy(None) is default_taxonomy() is default_taxonomy()


def test_the_hash_follows_the_content_and_not_the_spelling():
    assert parse_taxonomy(OWN, "a").sha == parse_taxonomy(f"# why\n{OWN}", "b").sha
    assert parse_taxonomy(OWN, "a").sha != parse_taxonomy(OWN.replace("0.95", "0.9"), "a").sha


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('version = "acme-3"', "", "own.toml: `version`: Field required"),
        ("severity = 0.95", "severity = 2.0", "own.toml: `class.0.severity`: Input should be less than or equal to 1"),
        ('expected = "charge once"', 'expected = "x"\ncolour = "red"', "own.toml: `class.0.colour`: Extra inputs"),
        ('rung = "control_flow"', 'rung = "magic"', "own.toml: `class.0.rung`: Input should be 'prompt'"),
        ('id = "billing.charged_twice"', 'id = "Charged Twice"', "own.toml: `class.0.id`: String should match"),
        ('billing = "money"', 'sales = "x"', "there is no group `billing`. Add it to [groups], or use one of sales."),
        ('no_double_charge = "billing.charged_twice"', 'a = "billing.b"', "checks.a: there is no class `billing.b`"),
        ("[groups]", "[groups", "own.toml is no valid TOML"),
    ],
)
def test_what_cannot_be_used_is_refused_with_file_key_and_remedy(old, new, message):
    with pytest.raises(ConfigError) as refused:
        parse_taxonomy(OWN.replace(old, new), "own.toml")
    assert message in str(refused.value)
    assert any(word in str(refused.value) for word in ("Correct", "Add", "Remove"))


def test_a_class_that_is_there_twice_is_refused():
    with pytest.raises(ConfigError, match="is there twice"):
        parse_taxonomy(OWN + OWN[OWN.index("[[class]]") :], "own.toml")


def test_a_file_that_cannot_be_read_names_the_setting(tmp_path):
    with pytest.raises(ConfigError, match=r"Correct \[mining\] taxonomy in campaign.toml"):
        load_taxonomy(tmp_path / "missing.toml")


def test_every_class_a_known_fix_treats_is_in_the_shipped_file():
    treated = {label for entry in load_catalogue() for label in entry.treats}
    assert treated - set(default_taxonomy().classes) == set()
