"""A sandbox as an ordinary user: a process of that user runs it, and specs and results travel as lines."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from sandbox.contract import Limits, Output, Result, Spec

UID = 12345
_ROOT = Path(__file__).resolve().parents[2]
_LINE = 2**27


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _rich(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_rich(item) for item in value)
    if not isinstance(value, dict):
        return value
    if set(value) == {"bytes"}:
        return base64.b64decode(value["bytes"])
    if set(value) == {"path"}:
        return Path(value["path"])
    return {key: _rich(item) for key, item in value.items()}


def python_for_users() -> str | None:
    """An interpreter of this version that another user may start; None if there is none."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    return shutil.which(f"python{wanted}", path="/usr/bin:/usr/local/bin")


class UserSandbox:
    """A sandbox whose host process belongs to an ordinary user."""

    def __init__(
        self, cache: Path, *, backend: str = "native", uid: int = UID, prelude: str = "", has_spare: bool = False
    ) -> None:
        self.level = ""
        self.not_covered: tuple[str, ...] = ()
        self.failed: tuple[str, ...] = ()
        self._cache = cache
        self._uid = uid
        self._words = (backend, prelude, "has spare" if has_spare else "")
        self._process: Process | None = None
        self._turn = anyio.Lock()

    async def __aenter__(self) -> Self:
        python = python_for_users()
        assert python is not None
        packages = next(entry for entry in sys.path if entry.endswith("site-packages"))
        env = {
            "PYTHONPATH": f"{_ROOT}:{packages}",
            "HONE_CACHE": str(self._cache),
            "PATH": "/usr/bin:/bin",
            "HOME": "/",
        }
        self._process = await anyio.open_process(
            [python, "-B", "-m", "tests.sandbox.as_user", *self._words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None,
            env=env,
            cwd="/",
            user=self._uid,
            group=self._uid,
            extra_groups=[],
        )
        assert self._process.stdout is not None
        self._lines = BufferedByteReceiveStream(self._process.stdout)
        opened = json.loads(await self._lines.receive_until(b"\n", _LINE))
        self.level, self.not_covered, self.failed = opened["level"], opened["not_covered"], opened["failed"]
        return self

    async def run(self, spec: Spec) -> Result:
        """One run at a time: the tests of this backend are about its walls, not its pace."""
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._turn:
            line = json.dumps(_plain({**asdict(spec), "files": dict(spec.files), "env": dict(spec.env)}))
            await self._process.stdin.send(line.encode() + b"\n")
            got = _rich(json.loads(await self._lines.receive_until(b"\n", _LINE)))
        return Result(**got | {"stdout": Output(**got["stdout"]), "stderr": Output(**got["stderr"])})

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        await self._process.wait()
        await self._process.aclose()


def _limit_namespaces(prelude: str) -> None:
    """Stand where some namespaces are not to be had: a limit such as `max_mnt_namespaces=1` of an outer namespace."""
    from sandbox.guest import kernel

    name, _, number = prelude.partition("=")
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path(f"/proc/sys/user/{name}").write_text(number)
    kernel.set_capabilities(frozenset())


async def _main() -> None:
    from sandbox.environment import ensure_environment
    from sandbox.native.sandbox import NativeSandbox
    from sandbox.native.way import WAYS
    from sandbox.reduced.sandbox import ReducedSandbox

    backend, prelude, spare = sys.argv[1:]
    if prelude:
        _limit_namespaces(prelude)
    environment = ensure_environment((), report=lambda _: None)
    ways = tuple(way for way in WAYS if way.name == backend) if backend.startswith("native-") else WAYS
    native = NativeSandbox(environment, ways=ways, has_spare=spare != "")
    async with ReducedSandbox(environment) if backend == "reduced" else native as box:
        said = {"level": box.level, "not_covered": box.not_covered, "failed": getattr(box, "failed", ())}
        print(json.dumps(said), flush=True)
        while line := await anyio.to_thread.run_sync(sys.stdin.buffer.readline):
            raw = _rich(json.loads(line))
            raw["limits"] = Limits(**raw["limits"])
            result = await box.run(Spec(**raw))
            print(json.dumps(_plain(asdict(result))), flush=True)


if __name__ == "__main__":
    anyio.run(_main)
