"""Where a container's files come from: this machine's own Python over an empty image, or an image built for it.

The skeleton needs no registry and no download: mount points, a few names in /etc, and everything else bound
read-only from the host, masked as the native backend masks it. It needs a daemon on this very machine. Elsewhere,
as on macOS, an image with Python and the harness's requirements is built from the Dockerfile beside this module.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker

from sandbox.contract import SandboxUnavailable
from sandbox.docker.daemon import TROUBLES
from sandbox.environment import HarnessEnvironment
from sandbox.native.plan import inside, plan_view

_REPOSITORY = "hone-sandbox"
BASE = "python:3.12-slim"
"""What a built image starts from, unless HONE_DOCKER_BASE names another with Python at /usr/local/bin/python3."""
_MOUNT_POINTS = {
    "harness": 0o755, "hone/lib": 0o755, "hone/env": 0o755, "run/hone": 0o755, "proc": 0o755, "dev": 0o755,
    "sys": 0o755, "scratch": 0o1777, "tmp": 0o1777, "etc": 0o755, "sbin": 0o755,
}  # fmt: skip
_ETC = {
    "etc/passwd": "root:x:0:0::/:/bin/sh\nhone:x:65534:65534::/scratch:/bin/sh\n",
    "etc/group": "root:x:0:\nhone:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_BUILD_CONTEXT = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a container is made from, and how its Python is called."""

    name: str
    python: str
    prefix: str
    binds: tuple[tuple[str, str], ...] = ()
    """Source on the host and path inside, read-only."""
    masks: tuple[str, ...] = ()
    """Folders that appear empty."""


def skeleton(api: docker.APIClient, environment: HarnessEnvironment) -> Image:
    """Import the skeleton unless the daemon has it. Raises SandboxUnavailable."""
    view = plan_view(environment)
    archive = _skeleton_archive(view.links, tuple(place for source, place in view.binds if Path(source).is_dir()))
    tag = hashlib.sha256(archive).hexdigest()[:20]
    try:
        if not api.images(f"{_REPOSITORY}:{tag}", quiet=True):
            api.import_image_from_data(archive, repository=_REPOSITORY, tag=tag)
    except TROUBLES as error:
        raise SandboxUnavailable(f"the docker daemon does not take the skeleton image: {error}") from error
    prefix = inside(environment)
    return Image(
        name=f"{_REPOSITORY}:{tag}",
        python=f"{prefix}/bin/python",
        prefix=prefix,
        binds=view.binds,
        masks=view.masks,
    )


def _skeleton_archive(links: tuple[tuple[str, str], ...], folders: tuple[str, ...]) -> bytes:
    """The same bytes for the same content, so that its hash names it."""
    linked = {path.lstrip("/") for path, _ in links}
    places = {folder.lstrip("/"): 0o755 for folder in folders} | _MOUNT_POINTS
    wanted: dict[str, int] = {}
    for place, mode in sorted(places.items()):
        for parent in reversed(Path(place).parents):
            wanted.setdefault(str(parent), 0o755)
        wanted[place] = mode
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for place, mode in sorted(wanted.items()):
            if place not in linked | {"."}:
                archive.addfile(_entry(place, tarfile.DIRTYPE, mode))
        for path, target in sorted(links):
            entry = _entry(path.lstrip("/"), tarfile.SYMTYPE, 0o777)
            entry.linkname = target
            archive.addfile(entry)
        for path, text in _ETC.items():
            entry = _entry(path, tarfile.REGTYPE, 0o644)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = kind, mode
    return entry


def built(api: docker.APIClient, requirements: tuple[str, ...], *, report: Callable[[str], None]) -> Image:
    """Build the Dockerfile with these requirements unless the daemon has it. Raises SandboxUnavailable."""
    recipe = (_BUILD_CONTEXT / "Dockerfile").read_bytes()
    base = os.environ.get("HONE_DOCKER_BASE", BASE)
    key = hashlib.sha256(recipe + "\n".join((base, *sorted(requirements))).encode()).hexdigest()[:20]
    name = f"{_REPOSITORY}:built-{key}"
    try:
        if not api.images(name, quiet=True):
            report(f"building the image {name} (minutes, once)")
            _build(api, (("Dockerfile", recipe), ("requirements.txt", "\n".join(requirements).encode())), name, base)
    except TROUBLES as error:
        raise SandboxUnavailable(f"the image {name} cannot be built: {error}") from error
    return Image(name=name, python="/usr/local/bin/python3", prefix="/usr/local")


def _build(api: docker.APIClient, files: tuple[tuple[str, bytes], ...], name: str, base: str) -> None:
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for path, content in files:
            entry = _entry(path, tarfile.REGTYPE, 0o644)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    context.seek(0)
    last = ""
    for event in api.build(
        fileobj=context, custom_context=True, tag=name, rm=True, decode=True, buildargs={"BASE": base}
    ):
        last = str(event.get("stream") or last)
        if "error" in event:
            raise SandboxUnavailable(f"the image {name} cannot be built: {event['error']}; last step: {last.strip()}")
