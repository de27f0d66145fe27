"""How a run's container is made: everything it may see, and every limit it is under."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import docker
from docker.types import LogConfig, Mount, Ulimit

from sandbox.contract import Limits, Spec
from sandbox.docker.daemon import OWNER, SANDBOX, UNTIL, Daemon, owner_label
from sandbox.docker.image import Image
from sandbox.docker.profile import profile
from sandbox.docker.warm_entry import CAPS
from sandbox.guest.layout import DOOR, HARNESS

UNPRIVILEGED = 65534
LIBRARY = "/hone/lib"
_SMALLEST_MEMORY = 6 * 2**20
"""Docker refuses less."""
_SPARE_PROCESSES = 2
"""The init and the relay of a run, which are ours; a warm container has one more."""
_LINGER_S = 600
LIFETIME_S = 1800.0
"""How long a warm container may serve."""
_MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/block", "/sys/bus",
    "/sys/class", "/sys/dev", "/sys/devices", "/sys/firmware", "/sys/hypervisor", "/sys/kernel", "/sys/module",
    "/sys/power",
)  # fmt: skip
"""Docker's own list and the rest of /sys; /sys/fs/cgroup stays, where process 1 reads the run's account."""
_BOOT = (
    "import sys; sys.path[len(sys.path):] = ['{0}', '{0}/sandbox/guest']; "
    "from sandbox.docker.{1} import guarded; guarded()"
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all runs of one sandbox share."""

    daemon: Daemon
    image: Image
    machine: str
    """Processor family, for the seccomp profile."""
    folder: Path
    """Temporary folder of this sandbox; its name is in the containers' labels."""
    limiter: anyio.CapacityLimiter
    """How many calls to the daemon may wait at once."""
    is_warm: bool = False
    """Whether runs of one candidate share containers, one after the other."""
    is_relayed: bool = False
    """Whether the door goes over the container's streams instead of a mounted socket."""

    @property
    def library(self) -> Path:
        """The guest code as the container sees it."""
        return self.folder / "lib"

    @property
    def level(self) -> str:
        """The level of a run here; `+relay` where the door goes over the container's streams."""
        kind = "docker-warm:L2" if self.is_warm else f"docker:{'L3' if self.daemon.limits_runs else 'L2'}"
        return f"{kind}:{self.daemon.runtime}{'+relay' if self.is_relayed else ''}"


async def call(site: Site, action: Callable[..., T], *args: object) -> T:
    """Ask the daemon in a thread; never left alone, so that cancelling leaves nothing half made."""
    return await anyio.to_thread.run_sync(partial(action, *args), limiter=site.limiter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One run's container, harness folder and line to the daemon."""

    name: str
    api: docker.APIClient
    harness: Path


def write_harness(container: Container, spec: Spec) -> None:
    """Write the harness into a folder of its own that appears read-only, whatever the umask."""
    container.harness.mkdir(parents=True)
    for path, content in spec.files.items():
        place = container.harness / path
        place.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o555)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        place.chmod(0o555)
    for folder in (container.harness, *(entry for entry in container.harness.rglob("*") if entry.is_dir())):
        folder.chmod(0o755)


def remove_harness(container: Container) -> None:
    """Remove it; a file that cannot be removed now goes with the sandbox's folder."""
    shutil.rmtree(container.harness.parent, ignore_errors=True)


def inner_user(daemon: Daemon) -> int:
    """Who a run is inside: nobody, or the caller where only the caller's own sockets can be opened."""
    if daemon.is_rootless:
        return 0  # in the daemon's user namespace, which is this very user outside
    return UNPRIVILEGED if os.geteuid() == 0 else os.geteuid()


def create(site: Site, container: Container, spec: Spec) -> None:
    """Make the container, stopped. Raises what the SDK raises."""
    api = container.api
    user = 0 if site.is_warm else inner_user(site.daemon)
    limits = spec.limits
    api.create_container(
        site.image.name,
        command=[site.image.python, "-I", "-B", "-X", "utf8", "-c", *_boot(site)],
        entrypoint=[],
        name=container.name,
        hostname="hone",
        user=f"{user}:{user}",
        working_dir=HARNESS,
        stdin_open=True,
        tty=False,
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/scratch"},
        labels={
            OWNER: owner_label(),
            SANDBOX: site.folder.name,
            UNTIL: str(int(time.time() + _longest(site, limits) + _LINGER_S)),
        },
        network_disabled=True,
        host_config={"MaskedPaths": list(_MASKED)}
        | api.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=sorted(CAPS) if site.is_warm else None,
            security_opt=["no-new-privileges=true", f"seccomp={_profile(site, spec)}"],
            ipc_mode="none",
            init=False,  # the entry is process 1: it reaps, and unlike docker's init it reports raw statuses
            mounts=_mounts(site, container, spec),
            tmpfs=_writable_places(limits)
            | _place_of_door(site, spec)
            | dict.fromkeys(site.image.masks, "ro,size=4k,nr_inodes=2,mode=0755"),
            mem_limit=max(limits.memory_bytes, _SMALLEST_MEMORY),
            memswap_limit=max(limits.memory_bytes, _SMALLEST_MEMORY),
            pids_limit=limits.pids + _SPARE_PROCESSES + site.is_warm,
            nano_cpus=10**9,
            ulimits=[Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=1024, hard=1024)],
            log_config=LogConfig(type=LogConfig.types.NONE),
            dns=["127.0.0.1"],  # the host's resolvers are nobody's business
            dns_search=["."],
            runtime=site.daemon.runtime,
        ),
    )


def _boot(site: Site) -> list[str]:
    if site.is_warm:
        return [_BOOT.format(LIBRARY, "warm_entry"), str(LIFETIME_S + _LINGER_S / 2)]
    return [_BOOT.format(LIBRARY, "entry")]


def _longest(site: Site, limits: Limits) -> float:
    return limits.wall_s + (LIFETIME_S if site.is_warm else 0)


def _place_of_door(site: Site, spec: Spec) -> dict[str, str]:
    """Where process 1 makes the socket itself: room for that one name."""
    if not site.is_relayed or (spec.socket is None and not site.is_warm):
        return {}
    owner = 0 if site.is_warm else inner_user(site.daemon)
    folder = str(Path(DOOR).parent)
    return {folder: f"rw,noexec,nosuid,nodev,size=4k,nr_inodes=2,mode=0755,uid={owner},gid={owner}"}


def _profile(site: Site, spec: Spec) -> str:
    return profile(site.machine, inet=spec.command is not None)


def _mounts(site: Site, container: Container, spec: Spec) -> list[Mount]:
    pairs = [*site.image.binds, (str(site.library), LIBRARY), (str(container.harness), HARNESS)]
    if spec.socket is not None and not site.is_relayed:
        # The socket alone and not its folder: other runs' sockets may lie beside it.
        pairs.append((str(spec.socket), DOOR))
    return [Mount(target=place, source=source, type="bind", read_only=True) for source, place in pairs]


def _writable_places(limits: Limits) -> dict[str, str]:
    room = f"rw,exec,nosuid,nodev,size={limits.scratch_bytes},nr_inodes={limits.scratch_inodes},mode=1777"
    return {"/scratch": room, "/tmp": room, "/dev/shm": room}  # noqa: S108 - the sandbox's own
