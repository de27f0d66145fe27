"""What one rollout costs, in one run and one table: `make bench-sandbox`, or `python -m tests.sandbox.bench_sandbox N`.

Every figure is a median with the minimum in brackets, over N (20 or more) rollouts of each kind, taken in turn so that
a busy minute of the machine falls on all kinds alike. Wall clock is what the caller waits for. CPU is what every
process of the rollout used, from the kernel's account of children that were waited for; the host's own share, with the
test gateway that answers in the same process, has a column of its own. "All CPU" counts the warm server too,
with its forks. The load average says how far to trust the walls.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from sandbox.contract import Result, Sandbox, Spec
from sandbox.environment import HarnessEnvironment, ensure_environment
from sandbox.native.sandbox import NativeSandbox
from tests.sandbox.bench_docker import DockerRun
from tests.sandbox.gateway import open_gateway

REPOSITORY = Path(__file__).resolve().parents[2]
AT_ONCE = 8
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
AGENTS = {"empty": EMPTY, "stdlib session": STDLIB, "openai, one call": OPENAI}
HOLD = b"\n    import time\n    print('here', flush=True)\n    time.sleep(2.5)\n"
BARE = """
import sys
sys.path.insert(0, sys.argv[1])
from sandbox.guest import door, run_agent
if sys.argv[2] == "door": door.install()
sys.exit(run_agent.main(sys.argv[3]))
"""


@dataclass(slots=True, kw_only=True)
class Figures:
    """One row of the table."""

    walls_ms: list[float] = field(default_factory=list)
    cpus_ms: list[float] = field(default_factory=list)
    hosts_ms: list[float] = field(default_factory=list)
    cpu_mean_ms: float | None = None
    """For the warm server, whose children are counted over all its rollouts."""

    def row(self, kind: str, agent: str) -> str:
        """As printed."""
        parts = [_cell(self.walls_ms), _cell(self.cpus_ms), _cell(self.hosts_ms)]
        all_of_it = "" if self.cpu_mean_ms is None else f"{self.cpu_mean_ms:8.1f}"
        return f"{kind:14} {agent:18} {parts[0]:>18} {parts[1]:>18} {all_of_it:>9} {parts[2]:>16}"


def _cell(values: list[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{statistics.median(known):8.1f} ({min(known):.1f})" if known else "-"


def children_cpu_ms() -> float:
    """CPU of all processes that this one has waited for, with what they waited for in turn."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (used.ru_utime + used.ru_stime)


def server_of(box: NativeSandbox) -> int:
    """The warm server's pid: the grandchild of the host's own child."""
    assert box._server is not None
    pid = box._server._process.pid
    for _ in range(2):
        pid = next(
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _fields(path)[1:2] == [str(pid)]
        )
    return pid


def _fields(stat: Path) -> list[str]:
    try:
        return stat.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def server_cpu_ms(pid: int) -> float:
    """CPU of the warm server and of every run it has buried."""
    return sum(int(ticks) for ticks in _fields(Path(f"/proc/{pid}/stat"))[11:15]) * 1000 / os.sysconf("SC_CLK_TCK")


async def timed(figures: Figures, rollout: Callable[[], Awaitable[float]]) -> None:
    """Add one rollout; `rollout` returns its CPU in ms."""
    wall, host = time.perf_counter(), time.process_time()
    figures.cpus_ms.append(await rollout())
    figures.walls_ms.append(1000 * (time.perf_counter() - wall))
    figures.hosts_ms.append(1000 * (time.process_time() - host))


def checked(result: Result) -> float:
    """CPU in ms of a rollout that ended well."""
    assert result.kind == "ok", (result.kind, result.note, result.stderr.text)
    return 1000 * result.cpu_s


async def cold(environment: HarnessEnvironment, spec: Spec) -> float:
    """A sandbox for one rollout, with all its imports, and its end."""
    before = children_cpu_ms()
    async with NativeSandbox(environment) as box:
        checked(await box.run(spec))
    return children_cpu_ms() - before


async def bare(environment: HarnessEnvironment, folder: Path, *, door: Path, uses_sdk: bool) -> float:
    """The same agent as a plain process of this user, without any sandbox."""
    before = children_cpu_ms()
    # Waited for by asyncio's own watcher, whose account of children is complete when it returns.
    process = await asyncio.create_subprocess_exec(
        environment.python, "-c", BARE, str(REPOSITORY), "door" if uses_sdk else "-", str(folder),
        env={"HONE_SOCKET": str(door), "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": "http://127.0.0.1:8377/v1"},
    )  # fmt: skip
    assert await process.wait() == 0
    return children_cpu_ms() - before


async def one_by_one(
    n: int, environment: HarnessEnvironment, box: NativeSandbox, door: Path, docker: DockerRun | None
) -> None:
    """The table."""
    print(f"{'kind':14} {'agent':18} {'wall ms':>18} {'CPU in run ms':>18} {'all CPU':>9} {'host CPU ms':>16}")
    for name, source in AGENTS.items():
        rows = {kind: Figures() for kind in ("warm", "cold", "bare process", "docker run")}
        spec = Spec(files={"agent.py": source}, socket=door)
        folder = door.parent / name.replace(", ", "-").replace(" ", "-")
        folder.mkdir()
        (folder / "agent.py").write_bytes(source)
        before = server_cpu_ms(server_of(box))
        for _ in range(n):
            await timed(rows["warm"], lambda spec=spec: _warm(box, spec))  # type: ignore[misc]
            await timed(rows["cold"], lambda spec=spec: cold(environment, spec))  # type: ignore[misc]
            await timed(
                rows["bare process"],
                lambda folder=folder, source=source: bare(  # type: ignore[misc]
                    environment, folder, door=door, uses_sdk=b"openai" in source
                ),
            )
            if docker is not None:
                await timed(rows["docker run"], lambda folder=folder: docker.run(folder))  # type: ignore[misc]
        rows["warm"].cpu_mean_ms = (server_cpu_ms(server_of(box)) - before) / n
        for kind, figures in rows.items():
            if figures.walls_ms:
                print(figures.row(kind, name), flush=True)
        ratio = statistics.median(rows["cold"].cpus_ms) / rows["warm"].cpu_mean_ms
        print(f"{'':14} {name:18} cold / warm in CPU: {ratio:.0f}x", flush=True)


async def _warm(box: Sandbox, spec: Spec) -> float:
    return checked(await box.run(spec))


async def throughput(n: int, box: NativeSandbox, door: Path) -> None:
    """Rollouts per second with eight at a time."""
    for name, source in AGENTS.items():
        spec = Spec(files={"agent.py": source}, socket=door)
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def one(spec: Spec = spec, limiter: anyio.CapacityLimiter = limiter) -> None:
            async with limiter:
                checked(await box.run(spec))

        started, cpu, host = time.perf_counter(), server_cpu_ms(server_of(box)), time.process_time()
        async with anyio.create_task_group() as group:
            for _ in range(5 * n):
                group.start_soon(one)
        took = time.perf_counter() - started
        print(
            f"throughput, {AT_ONCE} at a time, {name:18} {5 * n / took:6.1f} rollouts/s   CPU each: "
            f"{(server_cpu_ms(server_of(box)) - cpu) / (5 * n):.1f} ms in the sandbox, "
            f"{1000 * (time.process_time() - host) / (5 * n):.1f} ms in the host",
            flush=True,
        )


async def memory(box: NativeSandbox, door: Path) -> None:
    """Pages that belong to one rollout alone, while eight of them are at their end at once."""
    for name, source in AGENTS.items():
        tail = HOLD if source != EMPTY else HOLD.replace(b"\n    import", b"    import", 1)
        spec = Spec(files={"agent.py": source + tail}, socket=door)
        results: list[Result] = []

        async def one(spec: Spec = spec, results: list[Result] = results) -> None:
            results.append(await box.run(spec))

        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(one)
            await anyio.sleep(1.5)
            private = private_mib(descendants(server_of(box)))
        peaks = [(result.peak_memory_bytes or 0) / 2**20 for result in results]
        print(
            f"extra memory of a rollout, {AT_ONCE} at once, {name:18} {private / AT_ONCE:5.1f} MiB private pages; "
            f"its group's peak with kernel memory {statistics.median(peaks):.1f} MiB",
            flush=True,
        )


def descendants(pid: int) -> set[int]:
    """Processes below one."""
    parents = {int(path.parent.name): _fields(path)[1:2] for path in Path("/proc").glob("[0-9]*/stat")}
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent and int(parent[0]) in fresh} - found
        found |= fresh
    return found


def private_mib(pids: set[int]) -> float:
    """Memory that goes when these processes go."""
    total = 0
    for pid in pids:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in rollup if line.startswith("Private_"))
    return total / 1024


async def main(n: int) -> None:
    """Everything, once."""
    environment = ensure_environment(("openai",), report=print)
    print(f"{n} rollouts of each kind; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    folder = Path(tempfile.mkdtemp(prefix="hone-bench-"))
    os.chmod(folder, 0o755)  # noqa: PTH101
    try:
        async with open_gateway(folder / "g.sock") as door, NativeSandbox(environment, has_spare=True) as box:
            print(f"{box.level}, warm server knows {', '.join(box.warmed)}")
            docker = DockerRun.find(environment, door)
            print("docker run: " + ("measured by wall clock" if docker else "left out, no docker daemon answers"))
            for source in AGENTS.values():
                checked(await box.run(Spec(files={"agent.py": source}, socket=door)))
            await one_by_one(n, environment, box, door, docker)
            await throughput(n, box, door)
            await memory(box, door)
        print(json.dumps({"load_average": os.getloadavg()}))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 20)
