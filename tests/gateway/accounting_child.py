"""One session of a campaign that only makes model calls: killed and started again by the accounting test."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx
from pydantic import SecretStr

from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.rollout import Rollout, RolloutJob
from optimizer.domain.trace import Trace
from optimizer.gateway.caps import RolloutCaps
from optimizer.gateway.gateway import Gateway
from optimizer.ledger.ledger import Ledger
from optimizer.models.endpoint import ModelEndpoint
from optimizer.models.retry import RetryPolicy
from optimizer.models.throttle import Throttle, ThrottleLimits
from optimizer.models.upstream_openai import OpenAIUpstream
from tests.gateway.world import ROUTE, FakeEnvironment, client, job

CALLS_PER_ROLLOUT = 20
PATHS = ("chat/completions", "messages", "responses")


def body_of(n: int, path: str, *, is_streamed: bool) -> dict[str, object]:
    words = f"question {n}"
    if path == "responses":
        return {"model": "m-1", "input": words, "stream": is_streamed}
    talk = [{"role": "user", "content": words}]
    limit = {"max_tokens": 50} if path == "messages" else {}
    return {"model": "m-1", "messages": talk, "stream": is_streamed, **limit}


async def rollout(gateway: Gateway, ledger: Ledger, wanted: RolloutJob) -> None:
    async with gateway.open(wanted, FakeEnvironment()) as door, client(door) as http:
        for n in range(CALLS_PER_ROLLOUT):
            await call(http, n)
        record = door.recording()
    assert record.infra is None, record.infra
    ledger.record_rollout(
        Rollout(
            job=wanted,
            status="passed",
            score=1.0,
            checks=(),
            usage=record.usage,
            trace_sha=None,
            note="",
            wall_s=0.0,
            cpu_s=0.0,
            sandbox_level="reduced",
        ),
        Trace(spans=record.spans),
    )


async def call(http: httpx.AsyncClient, n: int) -> None:
    path = PATHS[n % 3]
    reply = await http.post(f"/v1/{path}", json=body_of(n, path, is_streamed=n % 2 == 0))
    assert reply.status_code == 200, reply.text


async def session(folder: Path, origin: str, n_rollouts: int, key: str) -> None:
    endpoint = ModelEndpoint(model="m-1", key=SecretStr(key), base_url=f"{origin}/v1", price=ROUTE.price, timeout_s=20)
    throttle = Throttle(ThrottleLimits(max_concurrent=32))
    upstream = OpenAIUpstream(endpoint, retry=RetryPolicy(attempts=20, base_s=0.005), throttle=throttle)
    with Ledger.open(folder) as ledger, TemporaryDirectory(prefix="hone-") as sockets:
        ledger.start_session(os.getpid(), "host")
        gateway = Gateway(
            upstream=upstream,
            model=ROUTE,
            calls=ledger,
            folder=Path(sockets),
            caps=RolloutCaps(max_usd=None),
            account=Budget(BudgetLimits()),
        )
        limiter = anyio.CapacityLimiter(16)

        async def one(wanted: RolloutJob) -> None:
            async with limiter:
                await rollout(gateway, ledger, wanted)

        async with anyio.create_task_group() as tasks:
            for n in range(n_rollouts):
                wanted = job(task=f"task-{n}")
                if ledger.rollout(wanted.id) is None:
                    tasks.start_soon(one, wanted)
        ledger.end_session("finished")
    await upstream.close()


if __name__ == "__main__":
    anyio.run(session, Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), os.environ["HONE_TEST_KEY"])
