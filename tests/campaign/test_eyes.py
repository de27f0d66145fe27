"""What a campaign sees failures through comes from what is committed, and from one key per project."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from optimizer.cli.eyes import redactor_of, taxonomy_of
from optimizer.config.settings import Settings
from optimizer.domain.errors import ConfigError
from optimizer.mining.taxonomy import default_taxonomy, shipped_text
from tests.campaign.toy import git, make_toy


def test_a_teams_own_taxonomy_is_read_as_it_is_committed(tmp_path: Path) -> None:
    toy = make_toy(tmp_path / "harness")
    assert taxonomy_of(toy.workplace()).sha == default_taxonomy().sha
    settings = toy.folder / "campaign.toml"
    settings.write_text(settings.read_text() + '\n[mining]\ntaxonomy = "classes.toml"\n')
    own = shipped_text().replace("version = ", "# ours\nversion = ", 1) + "\n# more\n"
    (toy.folder / "classes.toml").write_text(own)
    with pytest.raises(ConfigError, match=r"git add classes\.toml"):
        taxonomy_of(toy.workplace())
    git(toy.folder, "add", "-A")
    git(toy.folder, "commit", "-q", "-m", "our classes")
    assert taxonomy_of(toy.workplace()).classes.keys() == default_taxonomy().classes.keys()
    (toy.folder / "classes.toml").write_text("not TOML at all")
    assert taxonomy_of(toy.workplace()).classes, "what is not committed does not count"


def real_model(settings: Settings) -> Settings:
    return settings.model_copy(update={"model": settings.model.model_copy(update={"provider": "openai"})})


def test_the_made_up_people_of_a_simulated_campaign_have_equal_pseudonyms_in_equal_campaigns(tmp_path: Path) -> None:
    twins = [make_toy(tmp_path / name) for name in ("one", "two")]
    words = [redactor_of(toy.workplace()).text("write to jane.roe@example.com") for toy in twins]
    assert words[0] == words[1]
    assert "jane" not in words[0]
    assert not (twins[0].ledger_folder.parent / "redaction.key").exists()


def test_all_campaigns_of_a_project_have_one_key_that_its_owner_alone_may_read(tmp_path: Path) -> None:
    toy = make_toy(tmp_path / "harness")
    model = replace(toy.workplace(), settings=real_model(toy.workplace().settings))
    with toy.begin():
        first = redactor_of(model).text("write to jane.roe@example.com")
        assert "jane" not in first
        assert redactor_of(model).text("write to jane.roe@example.com") == first
    key = toy.ledger_folder.parent / "redaction.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert git(toy.folder, "status", "--porcelain") == ""
