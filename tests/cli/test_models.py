"""Which models a campaign talks to, and what is said when it cannot."""

from __future__ import annotations

import pytest

from benchmarks.helpdesk.benchmark import load
from optimizer.cli.models import price_of, proposal_cap, proposers_of, upstream_of
from optimizer.config.load import parse
from optimizer.config.settings import Settings
from optimizer.domain.errors import ConfigError

BASE = """
[campaign]
name = "x"
[harness]
editable = ["agent.py"]
[benchmark]
name = "helpdesk"
[budget]
usd = 5.0
"""


def settings(extra: str = "") -> Settings:
    return parse(BASE + extra)


MODEL = '[proposer]\nkinds = ["playbook", "model"]\n[proposer.model]\nname = "m"\nbase_url = "http://localhost:1/v1"\n'


@pytest.mark.parametrize("provider", ["openai", "anthropic", "litellm"])
def test_each_provider_gives_a_proposer_of_its_name_after_the_playbook(provider):
    made = proposers_of(settings(f'{MODEL}provider = "{provider}"\n'))
    assert [proposer.name for proposer in made] == ["playbook", "model/m"]


def test_the_playbook_costs_nothing_and_a_model_its_worst_case():
    assert proposal_cap(settings()).usd == 0
    priced = f'{MODEL}provider = "openai"\nprice = {{ input_usd_per_m = 3.0, output_usd_per_m = 15.0 }}\n'
    assert proposal_cap(settings(priced)).usd == pytest.approx((200_000 * 3 + 16384 * 15) / 1e6)


def test_a_dollar_limit_without_a_price_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"\[proposer.model.price\]"):
        proposal_cap(settings(f'{MODEL}provider = "openai"\n'))


def test_the_simulated_model_comes_from_the_benchmark_and_has_a_pretended_price():
    assert not upstream_of(settings(), load()).is_external
    assert price_of(settings()).input == 0.30


def test_a_missing_key_is_named_with_its_variable(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        upstream_of(settings('[model]\nprovider = "openai"\nname = "m"\n'), load())


def test_an_unknown_model_has_no_price_rather_than_a_price_of_zero():
    assert price_of(settings('[model]\nprovider = "openai"\nname = "nobody-knows-me"\n')) is None
