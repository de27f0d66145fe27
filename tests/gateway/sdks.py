"""The real SDKs on a door's unix socket, asynchronous and not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import anthropic
import httpx
import httpx2
import openai

from optimizer.gateway.door import Door

ORIGIN = "http://127.0.0.1:8377"
PLACEHOLDER = "hone-sandbox"


@asynccontextmanager
async def async_openai(door: Door) -> AsyncIterator[openai.AsyncOpenAI]:
    http = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(door.socket)))
    async with openai.AsyncOpenAI(base_url=f"{ORIGIN}/v1", api_key=PLACEHOLDER, http_client=http) as client:
        yield client


@contextmanager
def sync_openai(door: Door) -> Iterator[openai.OpenAI]:
    http = httpx.Client(transport=httpx.HTTPTransport(uds=str(door.socket)))
    with openai.OpenAI(base_url=f"{ORIGIN}/v1", api_key=PLACEHOLDER, http_client=http) as client:
        yield client


@asynccontextmanager
async def async_anthropic(door: Door) -> AsyncIterator[anthropic.AsyncAnthropic]:
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(door.socket)))
    async with anthropic.AsyncAnthropic(base_url=ORIGIN, api_key=PLACEHOLDER, http_client=http) as client:
        yield client


@contextmanager
def sync_anthropic(door: Door) -> Iterator[anthropic.Anthropic]:
    http = httpx2.Client(transport=httpx2.HTTPTransport(uds=str(door.socket)))
    with anthropic.Anthropic(base_url=ORIGIN, api_key=PLACEHOLDER, http_client=http) as client:
        yield client
