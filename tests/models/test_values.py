from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from optimizer.domain.errors import ModelError, ModelUnavailableError
from optimizer.domain.model import Message, ModelReply
from optimizer.domain.trace import Usage
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.openai_wire import arguments_of
from optimizer.models.prices import ModelPrice, PriceBook
from optimizer.models.retry import TransientError, error_of_status, retry_after_s
from optimizer.models.scripted import ScriptedModel
from tests.models.conftest import Waits


def test_a_well_known_model_has_a_price_without_network() -> None:
    price = PriceBook().price("gpt-4o-mini")
    assert price is not None
    assert price.input == pytest.approx(0.15)
    assert price.output == pytest.approx(0.6)
    assert price.cached_input == pytest.approx(0.075)
    assert PriceBook().price("openai/gpt-4o-mini") == price


def test_an_unknown_model_has_no_price_rather_than_a_price_of_zero() -> None:
    assert PriceBook().price("nobody/knows-me") is None


def test_the_settings_price_comes_first() -> None:
    own = ModelPrice(input=5, output=6)
    book = PriceBook(overrides={"gpt-4o-mini": own, "local": own})
    assert book.price("gpt-4o-mini") == own
    assert book.price("vllm/local") == own


def test_cached_and_written_input_is_counted_at_its_own_price() -> None:
    price = ModelPrice(input=1.0, cached_input=0.1, cache_write=2.0, output=10.0)
    usage = Usage(input_tokens=1_000_000, cached_tokens=500_000, output_tokens=100_000)
    assert price.usd(usage) == pytest.approx(0.5 + 0.05 + 1.0)
    assert price.usd(usage, n_cache_write_tokens=250_000) == pytest.approx(0.25 + 0.05 + 0.5 + 1.0)
    assert ModelPrice(input=1.0, output=10.0).usd(usage) == pytest.approx(2.0)


def test_a_key_is_not_shown() -> None:
    endpoint = ModelEndpoint(model="m", key=SecretStr("sk-hidden"))
    assert "sk-hidden" not in f"{endpoint!r} {endpoint}"
    assert endpoint.scrubbed("key sk-hidden is wrong") == "key *** is wrong"
    assert len(endpoint.scrubbed("x" * 5000)) == 1000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read_in_all_its_spellings(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


def test_a_retry_after_date_is_a_wait_from_now() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    waited = retry_after_s({"retry-after": date})
    assert waited is not None
    assert 90 < waited <= 100


@given(st.integers(300, 599))
def test_every_status_has_one_meaning(status: int) -> None:
    meaning = error_of_status(status, "x", {})
    is_retried = status in {408, 409, 425, 429} or status >= 500
    assert isinstance(meaning, TransientError) is is_retried
    assert isinstance(meaning, ModelUnavailableError) is (status in {401, 402, 403, 404})


@pytest.mark.anyio
async def test_waits_grow_and_a_very_long_retry_after_is_bounded(waits: Waits) -> None:
    async def attempt() -> None:
        raise TransientError("x", retry_after_s=86_400)

    with pytest.raises(ModelUnavailableError):
        await waits.policy(attempts=5).run(attempt)
    assert waits.seconds == [60.0] * 4


@given(st.text())
def test_arguments_are_an_object_or_marked_as_malformed(text: str) -> None:
    arguments = arguments_of(text)
    assert isinstance(arguments, dict)


@pytest.mark.anyio
async def test_a_scripted_model_replays_and_remembers() -> None:
    model = ScriptedModel([ModelReply(text="a"), ModelUnavailableError("gone")])
    question = (Message(role="user", text="?"),)
    assert (await model.complete(question, max_output_tokens=5)).text == "a"
    with pytest.raises(ModelUnavailableError, match="gone"):
        await model.complete(question)
    with pytest.raises(ModelError, match="ends after 2 replies"):
        await model.complete(question)
    assert [asked.max_output_tokens for asked in model.asked] == [5, 8192, 8192]


def test_importing_the_rooms_loads_no_provider_sdk() -> None:
    """They take seconds; a command that asks no model must not pay for them."""
    code = """
import sys
import optimizer.gateway.gateway, optimizer.models.openai_client, optimizer.models.anthropic_client
import optimizer.models.litellm_client, optimizer.models.upstream_openai, optimizer.models.upstream_litellm
print(sorted({"openai", "anthropic", "litellm"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert ran.stdout == "[]\n"
