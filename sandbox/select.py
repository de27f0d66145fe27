"""Choosing a sandbox, by trying and never by guessing; nothing weaker than what was asked for is ever given."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import anyio

from sandbox.contract import Sandbox, SandboxUnavailable
from sandbox.environment import HarnessEnvironment, ensure_environment
from sandbox.guest.seccomp import MACHINES
from sandbox.native.cgroup import open_groups, own_trees, remove_folders
from sandbox.native.sandbox import NativeSandbox

Backend = Literal["native", "docker", "reduced"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a sandbox needs."""

    what: str
    ok: bool
    detail: str
    """What was found; where `ok` is false, what is lost by it or what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What this machine can give."""

    level: str | None
    """The level that `open_sandbox("native", ...)` reaches; None where it refuses."""
    findings: tuple[Finding, ...]


def open_sandbox(backend: str, environment: HarnessEnvironment, *, is_warm: bool = False) -> Sandbox:
    """The sandbox of this name, still closed: `async with` opens it. Raises SandboxUnavailable.

    `is_warm` is for docker alone: the native sandbox is always warm.
    """
    if backend == "native":
        missing = [finding for finding in _static_findings() if not finding.ok]
        if missing:
            raise SandboxUnavailable(f"the native sandbox needs {missing[0].what}: {missing[0].detail}")
        return NativeSandbox(environment, has_spare=True)
    if backend == "docker":
        return _docker(environment, is_warm=is_warm)
    if backend in BACKENDS:
        raise SandboxUnavailable(
            f"the {backend} sandbox is not part of this version, and nothing weaker is put in its place; "
            "use native on Linux, or docker"
        )
    raise SandboxUnavailable(f"there is no sandbox called {backend!r}; choose one of {', '.join(BACKENDS)}")


def _docker(environment: HarnessEnvironment, *, is_warm: bool) -> Sandbox:
    """The SDK is loaded only where it is asked for."""
    from sandbox.docker.sandbox import DockerSandbox

    runtime = os.environ.get("HONE_DOCKER_RUNTIME") or None
    return DockerSandbox(environment, runtime=runtime, mode="warm" if is_warm else None)


async def probe(*, report: Callable[[str], None] = lambda _: None) -> ProbeReport:
    """Try everything once, with an empty harness environment."""
    findings = list(_static_findings())
    docker = await anyio.to_thread.run_sync(_docker_finding)
    if not all(finding.ok for finding in findings):
        return ProbeReport(level=None, findings=(*findings, docker))
    findings.append(docker)
    findings.append(_groups_finding())
    try:
        environment = ensure_environment((), report=report)
        async with NativeSandbox(environment) as sandbox:
            level = sandbox.level
    except SandboxUnavailable as error:
        findings.append(Finding(what="an empty run in the sandbox", ok=False, detail=str(error)))
        return ProbeReport(level=None, findings=tuple(findings))
    findings.append(Finding(what="an empty run in the sandbox", ok=True, detail=f"it ends well, at level {level}"))
    return ProbeReport(level=level, findings=tuple(findings))


def _static_findings() -> tuple[Finding, ...]:
    """What can be told without starting anything."""
    is_linux = sys.platform == "linux"
    machine = platform.machine()
    found = [
        Finding(
            what="Linux",
            ok=is_linux,
            detail="found" if is_linux else f"this is {sys.platform}; run hone in a Linux machine or container",
        ),
        Finding(
            what="a known processor family",
            ok=machine in MACHINES,
            detail=machine
            if machine in MACHINES
            else f"{machine} has no seccomp table; known are {', '.join(MACHINES)}",
        ),
    ]
    if is_linux:
        has_filter = Path("/proc/sys/kernel/seccomp").exists()
        found.append(
            Finding(
                what="seccomp filters in the kernel",
                ok=has_filter,
                detail="found" if has_filter else "the kernel is built without CONFIG_SECCOMP_FILTER",
            )
        )
    return tuple(found)


def _docker_finding() -> Finding:
    """Whether the other backend could be used; the native one does not need it."""
    from sandbox.docker.daemon import connect

    what = "docker, for `backend: docker`"
    try:
        daemon = connect(runtime=os.environ.get("HONE_DOCKER_RUNTIME") or None)
    except SandboxUnavailable as error:
        return Finding(what=what, ok=False, detail=str(error))
    daemon.api.close()
    lost = "" if daemon.limits_runs else "; it cannot limit memory, processes and CPU of a container"
    return Finding(what=what, ok=True, detail=f"version {daemon.version} answers, level {daemon.level}{lost}")


def _groups_finding() -> Finding:
    groups = open_groups(f"hone-probe-{os.getpid()}", own_trees())
    if groups is None:
        detail = (
            "none can be written, so memory and process limits hold per process only (level L2); run as root, or in a "
            "delegated group: systemd-run --user --scope -p Delegate=yes hone ..."
        )
        return Finding(what="control groups", ok=False, detail=detail)
    remove_folders(groups.folders)
    return Finding(what="control groups", ok=True, detail=f"{groups.version}: limits hold for a run as a whole")
