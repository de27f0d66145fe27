"""The docker daemon: reaching it, what it can limit, whose containers are whose, and removing what nobody owns."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import requests
from docker.utils import kwargs_from_env

from sandbox.contract import SandboxUnavailable

OWNER = "hone.owner"
UNTIL = "hone.until"
SANDBOX = "hone.sandbox"
TROUBLES = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)
"""What a daemon that fails looks like from here."""
_TIMEOUT_S = 60
_USUAL_PLACE = "unix:///var/run/docker.sock"
_IS_LINUX = platform.system() == "Linux"
_REMEDY = (
    "install Docker and start its daemon (Debian: apt install docker.io; macOS: Docker Desktop), let this user talk "
    "to it (group docker), or point DOCKER_HOST at one"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """A daemon that answered."""

    api: docker.APIClient
    version: str
    runtime: str
    is_rootless: bool
    limits_runs: bool
    """Whether memory, processes and CPU of a container can be limited."""
    address: tuple[tuple[str, Any], ...]
    """How the SDK reaches it."""

    def line(self) -> docker.APIClient:
        """A client of its own for one run.

        The SDK keeps a pool per address it asks for and closes the oldest under whoever uses it, so concurrent runs
        must not share one.
        """
        return docker.APIClient(**dict(self.address), version=self.api.api_version, timeout=_TIMEOUT_S)

    @property
    def level(self) -> str:
        """The level of a run on it."""
        return f"docker:{'L3' if self.limits_runs else 'L2'}:{self.runtime}"


def connect(endpoint: str | None = None, runtime: str | None = None) -> Daemon:
    """The daemon at this address, or at DOCKER_HOST, or at the usual place. Raises SandboxUnavailable."""
    chosen = {"base_url": endpoint} if endpoint else kwargs_from_env()
    try:
        _knock(str(chosen.get("base_url", _USUAL_PLACE)))
        api = docker.APIClient(**chosen, timeout=_TIMEOUT_S)
    except TROUBLES as error:
        where = chosen.get("base_url", _USUAL_PLACE)
        raise SandboxUnavailable(f"no docker daemon answers at {where} ({error}); {_REMEDY}") from error
    try:
        return _describe(api, runtime, tuple(chosen.items()))
    except BaseException:
        api.close()
        raise


def _knock(address: str) -> None:
    """Raise OSError where nobody listens; asked first, because the SDK does not tidy up after that."""
    if address.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(_TIMEOUT_S)
            door.connect(address.removeprefix("unix://"))


def _describe(api: docker.APIClient, runtime: str | None, address: tuple[tuple[str, Any], ...]) -> Daemon:
    try:
        info = api.info()
    except TROUBLES as error:
        raise SandboxUnavailable(f"the docker daemon does not say what it is ({error}); {_REMEDY}") from error
    if info.get("OSType") != "linux":
        raise SandboxUnavailable(f"the docker daemon runs {info.get('OSType')} containers; Linux containers are needed")
    known = info.get("Runtimes") or {}
    if runtime is not None and runtime not in known:
        raise SandboxUnavailable(
            f"the docker daemon has no runtime {runtime!r}, only {', '.join(sorted(known))}; install it and "
            f"name it under `runtimes` in /etc/docker/daemon.json (Debian: apt install {runtime}), restart the daemon, "
            "or leave HONE_DOCKER_RUNTIME unset"
        )
    security = info.get("SecurityOptions") or []
    if not any("seccomp" in option for option in security):
        raise SandboxUnavailable("the docker daemon has no seccomp, without which a container is no sandbox")
    return Daemon(
        api=api,
        version=str(info.get("ServerVersion", "unknown")),
        runtime=runtime or str(info.get("DefaultRuntime", "runc")),
        is_rootless=any("rootless" in option for option in security),
        limits_runs=all(info.get(limit) for limit in ("MemoryLimit", "PidsLimit", "CpuCfsQuota")),
        address=address,
    )


def owner_label() -> str:
    """Who makes containers: this process, told apart from a later one of the same number."""
    return f"{_realm()}/{os.getpid()}/{_started(os.getpid())}"


def _realm() -> str:
    """Where a process number means something: this boot of this machine and this process namespace."""
    if not _IS_LINUX:
        return socket.gethostname()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> str:
    """When the process started, in the kernel's ticks; "gone" when there is none."""
    if _IS_LINUX:
        try:
            return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        except OSError:
            return "gone"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "there"
    return "there"


def is_orphan(labels: dict[str, str], *, now: float) -> bool:
    """Whether the host that made a container is dead, or its run must long be over."""
    realm, _, rest = labels.get(OWNER, "").partition("/")
    pid, _, started = rest.partition("/")
    if realm == _realm() and pid.isdigit():
        return _started(int(pid)) != started
    until = labels.get(UNTIL, "")
    return until.isdigit() and now > int(until)


def reap(api: docker.APIClient) -> int:
    """Remove containers of hosts that died; returns how many. Raises what the SDK raises."""
    n_removed = 0
    for container in api.containers(all=True, filters={"label": OWNER}):
        if is_orphan(container.get("Labels") or {}, now=time.time()):
            n_removed += 1
            remove(api, container["Id"])
    return n_removed


def remove_all_of(api: docker.APIClient, sandbox: str) -> None:
    """Remove every container that one sandbox has made."""
    for container in api.containers(all=True, filters={"label": f"{SANDBOX}={sandbox}"}):
        remove(api, container["Id"])


def remove(api: docker.APIClient, container: str) -> None:
    """Kill and remove; one that is gone, or that someone else is removing, is as good as removed."""
    with contextlib.suppress(docker.errors.NotFound):
        try:
            api.remove_container(container, force=True, v=True)
        except docker.errors.APIError as error:
            if "already in progress" not in str(error):
                raise
