"""A plain `docker run` for `bench_sandbox`; and, as `python -m tests.sandbox.bench_docker N`, docker's own modes.

The second needs no daemon but starts its own. Figures are medians with the minimum in brackets over N (10 or more)
rollouts of each kind, taken in turn. CPU is the container's account of the run; a bare process has the kernel's.
The first rollout of a warm container opens it and has a row of its own.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import anyio

from sandbox.contract import Result, Sandbox, Spec
from sandbox.docker.sandbox import DockerSandbox, Mode
from sandbox.environment import HarnessEnvironment, ensure_environment
from sandbox.native.plan import GUEST, inside, plan_view
from sandbox.native.warm_server import owner_of_doors
from tests.sandbox.dockerd import docker_daemon
from tests.sandbox.gateway import open_gateway

_IMAGE = "hone-bench-skeleton"
_CODE = (
    "import sys; sys.path.insert(0, '/hone/lib'); from sandbox.guest import door, run_agent; "
    "door.install() if b'openai' in open('/harness/agent.py', 'rb').read() else None; "
    "sys.exit(run_agent.main('/harness'))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerRun:
    """One container per rollout, from an image that holds nothing but mount points."""

    words: tuple[str, ...]

    @classmethod
    def find(cls, environment: HarnessEnvironment, door: Path) -> Self | None:
        """None where no daemon answers."""
        docker = shutil.which("docker")
        if docker is None or subprocess.run([docker, "info"], capture_output=True, check=False).returncode:
            return None
        plan = plan_view(environment)
        subprocess.run([docker, "import", "-", _IMAGE], input=_skeleton(plan.links), capture_output=True, check=True)
        volumes = [*plan.binds, (str(GUEST), "/hone/lib/sandbox/guest"), (str(door.parent), "/run/hone")]
        binds = tuple(word for source, place in volumes for word in ("-v", f"{source}:{place}:ro"))
        uid = owner_of_doors() or os.getuid()  # the native sandbox has made the gateway's socket this user's
        words = (
            docker, "run", f"--user={uid}:{uid}", "--rm", "--network=none", "--cap-drop=ALL",
            "--security-opt=no-new-privileges=true",
            "--read-only", "--tmpfs=/tmp", "--memory=512m", "--pids-limit=64", *binds,
            "--env", "HONE_SOCKET=/run/hone/g.sock",
            "--env", "OPENAI_API_KEY=x", "--env", "OPENAI_BASE_URL=http://127.0.0.1:8377/v1", "{harness}",
            _IMAGE, f"{inside(environment)}/bin/python", "-c", _CODE,
        )  # fmt: skip
        return cls(words=words)

    async def run(self, folder: Path) -> float:
        """Run the agent in `folder`; its CPU is the daemon's affair and is given as not a number."""
        words = [f"--volume={folder}:/harness:ro" if word == "{harness}" else word for word in self.words]
        done = await anyio.run_process(words, check=False)
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return float("nan")


def _skeleton(links: tuple[tuple[str, str], ...]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for path, target in links:
            link = tarfile.TarInfo(path.lstrip("/"))
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name in ("tmp", "proc", "dev", "sys", "etc", "usr", "harness", "run/hone", "hone/lib/sandbox/guest"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(folder)
    return held.getvalue()


MODES: tuple[Mode, ...] = ("mounted", "relayed", "warm")
Samples = dict[tuple[str, str], list[tuple[float, float]]]
"""Kind and agent -> wall and CPU of each rollout, in ms."""


async def compare(address: str, folder: Path, n_rollouts: int) -> Samples:
    """All kinds in turn, `n_rollouts` times."""
    from tests.sandbox.bench_sandbox import AGENTS

    environment = await anyio.to_thread.run_sync(lambda: ensure_environment(("openai",), report=print))
    samples: Samples = {}
    async with AsyncExitStack() as stack:
        door = await stack.enter_async_context(open_gateway(folder / "g.sock"))
        boxes: dict[str, Sandbox] = {
            mode: await stack.enter_async_context(DockerSandbox(environment, endpoint=address, mode=mode))
            for mode in MODES
        }
        for agent, code in AGENTS.items():
            (folder / "agent.py").write_bytes(code)
            spec = Spec(files={"agent.py": code}, socket=door)
            samples["warm, opening", agent] = [await _timed(boxes["warm"], spec)]
            for _ in range(n_rollouts):
                for kind, box in boxes.items():
                    samples.setdefault((kind, agent), []).append(await _timed(box, spec))
                samples.setdefault(("bare process", agent), []).append(await _bare(environment, folder, door))
    return samples


async def _timed(box: Sandbox, spec: Spec) -> tuple[float, float]:
    started = time.perf_counter()
    result: Result = await box.run(spec)
    assert result.kind == "ok", (result.kind, result.note, result.stderr.text)
    return 1000 * (time.perf_counter() - started), 1000 * result.cpu_s


async def _bare(environment: HarnessEnvironment, folder: Path, door: Path) -> tuple[float, float]:
    from tests.sandbox.bench_sandbox import bare

    started = time.perf_counter()
    uses_sdk = b"openai" in (folder / "agent.py").read_bytes()
    cpu = await bare(environment, folder, door=door, uses_sdk=uses_sdk)
    return 1000 * (time.perf_counter() - started), cpu


def main() -> None:
    """Print the table."""
    n_rollouts = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="hone-bench-") as folder, docker_daemon() as address:
        Path(folder).chmod(0o755)
        samples = anyio.run(compare, address, Path(folder), n_rollouts)
    print(f"{n_rollouts} rollouts of each kind; load {load:.1f} before and {os.getloadavg()[0]:.1f} after")
    print(f"{'':14} {'agent':18} {'wall ms':>20} {'CPU ms':>20}")
    for (kind, agent), figures in sorted(samples.items(), key=lambda item: (item[0][1], item[0][0])):
        cells = [f"{statistics.median(column):.1f} ({min(column):.1f})" for column in zip(*figures, strict=True)]
        print(f"{kind:14} {agent:18} {cells[0]:>20} {cells[1]:>20}")


if __name__ == "__main__":
    main()
