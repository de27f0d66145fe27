"""A plain `docker run` of the same agent, for the comparison in `bench_sandbox`; needs no image registry."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import anyio

from sandbox.environment import HarnessEnvironment
from sandbox.native.plan import GUEST, inside, plan_view
from sandbox.native.warm_server import owner_of_doors

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
