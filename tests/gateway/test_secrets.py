"""A canary key is nowhere but on the wire to its provider."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from optimizer.domain.json import JsonObject
from optimizer.ledger.ledger import Ledger
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.retry import RetryPolicy
from optimizer.models.upstream_anthropic import AnthropicUpstream
from optimizer.models.upstream_openai import OpenAIUpstream
from tests.gateway.world import ROUTE, FakeEnvironment, World, client, job
from tests.ledger.samples import HEADER
from tests.models.wire_server import Fault, Scripted, Turn, WireServer, wire_server

pytestmark = pytest.mark.anyio

CANARY = "sk-canary-5b1d0e77aa"
ECHO = f'{{"error":{{"message":"bad key {CANARY}","type":"t"}}}}'.encode()
SCRIPTS: dict[str, list[Scripted]] = {
    "answered": [Turn(text="fine")],
    "key repeated in a 401": [Fault(status=401, body=ECHO)],
    "key repeated in a 400": [Fault(status=400, body=ECHO)],
    "key repeated in a passing fault": [Fault(status=500, body=ECHO)] * 2,
    "key repeated in garbage": [Fault(body=f"<html>{CANARY}</html>".encode())] * 2,
    "half an answer": [Fault(is_half=True, body=ECHO)] * 2,
    "never": [Fault(is_silent=True)] * 2,
}
BODIES: dict[str, JsonObject] = {
    "/v1/chat/completions": {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]},
    "/v1/messages": {"model": "m-1", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "/v1/responses": {"model": "m-1", "input": "hi"},
}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def _no_wait(_: float) -> None:
    return


def upstream(provider: str, wire: WireServer) -> OpenAIUpstream | AnthropicUpstream:
    retry = RetryPolicy(attempts=2, sleep=_no_wait)
    origin = wire.origin if provider == "anthropic" else f"{wire.origin}/v1"
    endpoint = ModelEndpoint(model="m", key=SecretStr(CANARY), base_url=origin, price=ROUTE.price, timeout_s=0.5)
    return (
        AnthropicUpstream(endpoint, retry=retry) if provider == "anthropic" else OpenAIUpstream(endpoint, retry=retry)
    )


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_the_key_is_in_no_span_ledger_byte_log_line_or_error_body(
    world: World, folder: Path, provider: str, script: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    with Ledger.create(folder / "night", HEADER) as ledger, wire_server() as wire:
        model = upstream(provider, wire)
        gateway = replace(world, calls=ledger, upstream=model).gateway()  # type: ignore[arg-type]
        for n, (path, body) in enumerate(BODIES.items()):
            wire.script.clear()
            wire.script.extend(SCRIPTS[script])
            async with gateway.open(job(task=f"t{n}"), FakeEnvironment()) as door, client(door) as http:
                reply = await http.post(path, json=body)
                seen += [reply.text, repr(reply.headers), repr(door.recording())]
        assert any(CANARY in repr(heard.headers) for heard in wire.heard)
        seen.append(repr(model) + repr(vars(model)))
        await model.close()
    seen += [caplog.text, *(path.read_bytes().decode("latin-1") for path in _files(folder))]
    assert CANARY not in "".join(seen)
