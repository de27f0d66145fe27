"""What the gateway adds: `python -m tests.gateway.bench_gateway [n_accounting_calls]`, or `make bench-gateway`.

Latency of a call through a door against the same call made directly, over one kept-alive connection each, taken in
turns; 500 streams at the same time, of a provider that pauses after each event, and when their first piece arrives; and
both sides' books after calls with faults and a kill -9 in the middle.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import anyio
import httpx
from pydantic import SecretStr

from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.gateway.caps import RolloutCaps
from optimizer.gateway.gateway import Gateway
from optimizer.ledger.ledger import Ledger
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.throttle import Throttle, ThrottleLimits
from optimizer.models.upstream_openai import OpenAIUpstream
from tests.gateway.accounting import check, two_sessions
from tests.gateway.provider import provider
from tests.gateway.world import ROUTE, FakeEnvironment, chat_body, client, job
from tests.ledger.samples import HEADER

N_LATENCY = 400
N_STREAMS = 500
PAUSE_S = 0.5
"""Between the events of the provider's streams."""


async def latency(gateway: Gateway, origin: str) -> None:
    direct_s: list[float] = []
    through_s: list[float] = []
    caps_free = job(task="latency")
    async with (
        gateway.open(caps_free, FakeEnvironment()) as door,
        client(door) as http,
        httpx.AsyncClient(base_url=origin) as plain,
    ):
        for n in range(N_LATENCY):
            body = chat_body(f"question {n}")
            started = time.perf_counter()
            (await plain.post("/v1/chat/completions", json=body)).raise_for_status()
            middle = time.perf_counter()
            (await http.post("/v1/chat/completions", json=body)).raise_for_status()
            direct_s.append(middle - started)
            through_s.append(time.perf_counter() - middle)
    added = [1000 * (b - a) for a, b in zip(direct_s[20:], through_s[20:], strict=True)]
    cuts = quantiles(added, n=20)
    print(
        f"added latency over {len(added)} calls: p50 {cuts[9]:.2f} ms, p95 {cuts[18]:.2f} ms, min {min(added):.2f} ms"
    )


async def streams(gateway: Gateway) -> None:
    done: list[bool] = []
    first_s: list[float] = []
    whole_s: list[float] = []

    async def one(n: int) -> None:
        async with gateway.open(job(task=f"stream-{n}"), FakeEnvironment()) as door, client(door) as http:
            begun = time.perf_counter()
            async with http.stream("POST", "/v1/chat/completions", json=chat_body(f"hi {n}", stream=True)) as reply:
                pieces: list[str] = []
                async for piece in reply.aiter_text():
                    first_s.extend([time.perf_counter() - begun] if not pieces else [])
                    pieces.append(piece)
            whole_s.append(time.perf_counter() - begun)
            done.append("".join(pieces).endswith("data: [DONE]\n\n"))

    started = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for n in range(N_STREAMS):
            tasks.start_soon(one, n)
    print(f"{sum(done)} of {N_STREAMS} concurrent streams complete in {time.perf_counter() - started:.2f} s")
    print(f"first piece after {median(first_s):.2f} s, the end after {median(whole_s):.2f} s (medians)")


async def speed() -> None:
    with (
        TemporaryDirectory(prefix="hone-") as name,
        provider() as upstream,
        Ledger.create(Path(name) / "night", HEADER) as ledger,
    ):
        endpoint = ModelEndpoint(model="m-1", key=SecretStr("k"), base_url=f"{upstream.origin}/v1", price=ROUTE.price)
        model = OpenAIUpstream(endpoint, throttle=Throttle(ThrottleLimits(max_concurrent=N_STREAMS)))
        gateway = Gateway(
            upstream=model,
            model=ROUTE,
            calls=ledger,
            folder=Path(name),
            caps=RolloutCaps(max_calls=10_000, max_tokens=10**9, max_usd=None),
            account=Budget(BudgetLimits()),
        )
        await latency(gateway, upstream.origin)
        upstream.pause_s = PAUSE_S
        await streams(gateway)
        await model.close()


def main() -> None:
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    anyio.run(speed)
    n_calls = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with TemporaryDirectory(prefix="hone-") as name:
        started = time.perf_counter()
        books = two_sessions(Path(name) / "night", HEADER, n_calls=n_calls)
        check(books)
        print(f"accounting in {time.perf_counter() - started:.0f} s: {books}")


if __name__ == "__main__":
    main()
