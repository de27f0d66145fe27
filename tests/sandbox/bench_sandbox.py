"""Times of the warm server; run by hand: `python -m tests.sandbox.bench_sandbox`. Prints medians."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from sandbox.contract import Spec
from sandbox.environment import ensure_environment
from sandbox.native.sandbox import NativeSandbox
from tests.sandbox.gateway import open_gateway

EMPTY = b"async def run(session):\n    pass\n"
STDLIB = b"""
async def run(session):
    await session.call("echo", {"a": 1})
    await session.say("hello")
    await session.submit()
"""
OPENAI = b"""
from openai import OpenAI

async def run(session):
    client = OpenAI()
    client.chat.completions.create(model=session.model, messages=[{"role": "user", "content": "ping"}])
"""
ASYNC_OPENAI = OPENAI.replace(b"OpenAI", b"AsyncOpenAI").replace(b"    client.chat", b"    await client.chat")
COMMAND = b"import json, urllib.request\nurllib.request.urlopen('http://127.0.0.1:8377/session').read()\n"


async def main(n: int) -> None:
    environment = ensure_environment(tuple(sys.argv[2:]) or ("openai",), report=print)
    with tempfile.TemporaryDirectory() as folder:
        async with open_gateway(Path(folder) / "gateway.sock") as door:
            started = time.perf_counter()
            async with NativeSandbox(environment) as box:
                print(f"start of the warm server: {1000 * (time.perf_counter() - started):.0f} ms, warmed {box.warmed}")
                cases = {"empty": EMPTY, "stdlib session": STDLIB, "openai": OPENAI, "async openai": ASYNC_OPENAI}
                for name, agent in cases.items():
                    await measure(box, name, Spec(files={"agent.py": agent}, socket=door), n)
                spec = Spec(files={"agent.py": COMMAND}, command=("python3", "agent.py"), socket=door)
                await measure(box, "python command over the relay", spec, n)
                await throughput(box, Spec(files={"agent.py": OPENAI}, socket=door), n)
            for name in ("cold start + one openai run",):
                started = time.perf_counter()
                async with NativeSandbox(environment) as box:
                    await box.run(Spec(files={"agent.py": OPENAI}, socket=door))
                print(f"{name}: {1000 * (time.perf_counter() - started):.0f} ms")


async def measure(box: NativeSandbox, name: str, spec: Spec, n: int) -> None:
    walls, inside, host = [], [], []
    for _ in range(n):
        wall, cpu = time.perf_counter(), time.process_time()
        result = await box.run(spec)
        assert result.kind == "ok", (result.kind, result.note, result.stderr.text)
        walls.append(1000 * (time.perf_counter() - wall))
        host.append(1000 * (time.process_time() - cpu))
        inside.append(1000 * result.cpu_s)
    print(
        f"{name:32} wall {statistics.median(walls):6.1f} (min {min(walls):5.1f}) ms   CPU inside "
        f"{statistics.median(inside):5.1f} (min {min(inside):4.1f}) ms   CPU host incl. gateway "
        f"{statistics.median(host):5.1f} (min {min(host):4.1f}) ms   peak memory {result.peak_memory_bytes}"
    )


async def throughput(box: NativeSandbox, spec: Spec, n: int) -> None:
    started = time.perf_counter()
    before = os.times()
    limiter = anyio.CapacityLimiter(8)

    async def one() -> None:
        async with limiter:
            assert (await box.run(spec)).kind == "ok"

    async with anyio.create_task_group() as group:
        for _ in range(4 * n):
            group.start_soon(one)
    took = time.perf_counter() - started
    spent = os.times()
    host = spent.user + spent.system - before.user - before.system
    print(f"8 at a time: {4 * n / took:.0f} rollouts/s, host CPU {1000 * host / (4 * n):.1f} ms each")


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 30)
