"""Which models a campaign talks to: the agent's own, and those that propose, diagnose and judge."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import SecretStr

from optimizer.config.models import ModelSection, OwnModelSection, PriceSection
from optimizer.config.settings import Settings
from optimizer.domain.budget import Spend
from optimizer.domain.errors import ConfigError
from optimizer.domain.model import LanguageModel, Upstream
from optimizer.domain.task import Benchmark, SimulatedBenchmark
from optimizer.domain.trace import Usage
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.prices import ModelPrice, PriceBook
from optimizer.models.throttle import Throttle, ThrottleLimits
from optimizer.propose.protocol import Proposer

USUAL_KEYS: Mapping[str, str] = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
OPENAI_URL = "https://api.openai.com/v1"
MAX_PROPOSAL_INPUT_TOKENS = 200_000
"""More context than one proposal is ever given."""
SIMULATED_PRICE = ModelPrice(input=0.30, output=1.20)
"""USD per million tokens that the simulated model pretends to cost."""


def price_of(settings: Settings) -> ModelPrice | None:
    """Price of the agent's model; None when nobody knows it."""
    if settings.model.provider == "sim":
        return SIMULATED_PRICE
    return _book(settings.model.name, settings.model.price).price(settings.model.name)


def upstream_of(settings: Settings, benchmark: Benchmark) -> Upstream:
    """The agent's own model, behind the gateway.

    Raises:
        ConfigError: the benchmark has no simulated model, or the key is missing.
    """
    model = settings.model
    if model.provider == "sim":
        if not isinstance(benchmark, SimulatedBenchmark):
            raise ConfigError(
                f"benchmark {settings.benchmark.name!r} has no simulated model; set [model] provider to a real one"
            )
        return benchmark.simulated_model(seed=settings.campaign.seed)
    if model.provider == "openai":
        from optimizer.models.upstream_openai import OpenAIUpstream

        return OpenAIUpstream(
            _endpoint(model, model.base_url or OPENAI_URL),
            throttle=throttle_of(model),
            is_responses_native=(model.base_url or OPENAI_URL) == OPENAI_URL,
        )
    if model.provider == "anthropic":
        from optimizer.models.upstream_anthropic import AnthropicUpstream

        return AnthropicUpstream(_endpoint(model, model.base_url), throttle=throttle_of(model))
    from optimizer.models.upstream_litellm import LiteLLMUpstream

    return LiteLLMUpstream(_endpoint(model, model.base_url), throttle=throttle_of(model))


def throttle_of(model: ModelSection) -> Throttle:
    """How fast the agent's model is asked."""
    return Throttle(
        ThrottleLimits(
            max_concurrent=model.max_concurrent,
            requests_per_minute=model.requests_per_minute,
            tokens_per_minute=model.tokens_per_minute,
        )
    )


def proposers_of(settings: Settings) -> tuple[Proposer, ...]:
    """The proposers, in the order they are asked."""
    from optimizer.propose.model import ModelProposer
    from optimizer.propose.playbook.proposer import PlaybookProposer

    made: list[Proposer] = []
    for kind in settings.proposer.kinds:
        if kind == "playbook":
            made.append(PlaybookProposer(seed=settings.campaign.seed))
        elif settings.proposer.model is not None:
            model = settings.proposer.model
            made.append(ModelProposer(language_model(model), max_output_tokens=model.max_output_tokens))
    return tuple(made)


def language_model(section: OwnModelSection) -> LanguageModel:
    """The client of a model that hone itself asks."""
    endpoint = _endpoint(section, section.base_url)
    if section.provider == "anthropic":
        from optimizer.models.anthropic_client import AnthropicClient

        return AnthropicClient(endpoint)
    if section.provider == "openai":
        from optimizer.models.openai_client import OpenAIClient

        return OpenAIClient(endpoint)
    from optimizer.models.litellm_client import LiteLLMClient

    return LiteLLMClient(endpoint)


def proposal_cap(settings: Settings) -> Spend:
    """What one proposal may cost at most: nothing for the playbook, one full context and answer for a model.

    Raises:
        ConfigError: a USD limit is set and the price of the proposer's model is unknown.
    """
    model = settings.proposer.model
    if "model" not in settings.proposer.kinds or model is None:
        return Spend()
    price = _book(model.name, model.price).price(model.name)
    if price is None and settings.budget.usd is not None:
        raise ConfigError(
            f"no price is known for proposer model {model.name!r}, so [budget] usd cannot be kept."
            " State [proposer.model.price], or limit tokens instead of usd."
        )
    worst = Usage(input_tokens=MAX_PROPOSAL_INPUT_TOKENS, output_tokens=model.max_output_tokens)
    return Spend(usd=0.0 if price is None else price.usd(worst), tokens=worst.tokens)


def own_price(section: OwnModelSection, where: str, *, has_usd_limit: bool) -> ModelPrice | None:
    """Price of a model that hone itself asks; `where` is its section, such as `diagnosis.model`.

    Raises:
        ConfigError: a USD limit is set and nobody knows the price.
    """
    price = _book(section.name, section.price).price(section.name)
    if price is None and has_usd_limit:
        raise ConfigError(
            f"no price is known for [{where}] {section.name!r}, so [budget] usd cannot be kept."
            f" State [{where}.price], or limit tokens instead of usd."
        )
    return price


def _endpoint(section: ModelSection | OwnModelSection, base_url: str | None) -> ModelEndpoint:
    price = _book(section.name, section.price).price(section.name)
    return ModelEndpoint(model=section.name, key=_key(section), base_url=base_url, price=price)


def _book(name: str, section: PriceSection | None) -> PriceBook:
    if section is None:
        return PriceBook()
    price = ModelPrice(
        input=section.input_usd_per_m, output=section.output_usd_per_m, cached_input=section.cached_usd_per_m
    )
    return PriceBook(overrides={name: price})


def _key(section: ModelSection | OwnModelSection) -> SecretStr | None:
    """The provider's key from the environment, held in memory only; None for a server of one's own without a key.

    Raises:
        ConfigError: the variable is not set.
    """
    name = section.api_key_env or USUAL_KEYS.get(section.provider)
    value = os.environ.get(name, "") if name else ""
    is_wanted = section.api_key_env is not None or (name is not None and section.base_url is None)
    if is_wanted and not value:
        raise ConfigError(
            f"the environment variable {name} is not set, and {section.name} needs a key."
            f" `export {name}=...`, or name another variable: api_key_env."
        )
    return SecretStr(value) if value else None
