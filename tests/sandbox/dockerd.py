"""A docker daemon for the tests alone: on a private socket, in a temporary folder, without touching the network.

Installs the daemon by apt where it is missing and this user may. Stops exactly what it started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_S = 40.0
_INSTALL_S = 300
_QUIET_NETWORK = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")


class NoDockerError(Exception):
    """No daemon can be had here; the message is what the tests' summary says."""


@contextmanager
def docker_daemon() -> Iterator[str]:
    """The address of a running daemon. Raises NoDockerError."""
    if os.geteuid() != 0:
        raise NoDockerError("a daemon of our own can only be started by root")
    program = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or _install()
    folder = Path(tempfile.mkdtemp(prefix="hone-dockerd-"))
    try:
        with _running(program, folder) as address:
            yield address
    finally:
        _unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _install() -> str:
    if shutil.which("apt-get") is None:
        raise NoDockerError("dockerd is not installed and there is no apt-get to install it with")
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    steps = (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "docker.io"])
    for step in steps:
        try:
            done = subprocess.run(step, env=env, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise NoDockerError(f"{' '.join(step)} took more than {_INSTALL_S} s") from error
        if done.returncode:
            raise NoDockerError(f"{' '.join(step)} failed: {done.stderr.strip()[-300:]}")
    found = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise NoDockerError("docker.io is installed but brings no dockerd")
    return found


@contextmanager
def _running(program: str, folder: Path) -> Iterator[str]:
    socket = folder / "docker.sock"
    log = folder / "log"
    flags = ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [program, *flags, "-H", f"unix://{socket}", *_QUIET_NETWORK],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _await_ready(daemon, f"unix://{socket}", log)
        yield f"unix://{socket}"
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
        _end_containerd(folder)


def _await_ready(daemon: subprocess.Popen[bytes], address: str, log: Path) -> None:
    from sandbox.contract import SandboxUnavailable
    from sandbox.docker.daemon import connect

    deadline = time.monotonic() + _START_S
    while True:
        try:
            connect(address).api.close()
        except SandboxUnavailable as error:
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise NoDockerError(f"dockerd does not start: {_last_error(log)}") from error
            time.sleep(0.05)
        else:
            return


def _last_error(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-3:])[-600:]


def _end_containerd(folder: Path) -> None:
    """A daemon that had to be killed leaves its containerd; its pid file tells which one is ours."""
    pidfile = folder / "exec" / "containerd" / "containerd.pid"
    try:
        pid = int(pidfile.read_text())
        if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):
        return


def _unmount_below(folder: Path) -> None:
    lines = Path("/proc/mounts").read_text().splitlines()
    for place in sorted((line.split()[1] for line in lines if f" {folder}/" in line), reverse=True):
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)
