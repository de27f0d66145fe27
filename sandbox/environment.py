"""The harness environment: a virtual environment of its own, never the optimizer's.

What harness code may import is part of the experiment, and what lies in the optimizer's site-packages (benchmarks,
answers, credentials helpers) must not be in reach. Environments are cached by what they contain.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.contract import SandboxUnavailable

_DONE = ".hone-complete"
_TAIL_LINES = 15
_INSTALL_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessEnvironment:
    """A Python that harness code runs in."""

    python: Path
    """The interpreter to start."""
    prefix: Path
    """The virtual environment; everything that was installed is below it."""
    base_prefix: Path
    """The installation that the virtual environment borrows its standard library from."""
    requirements: tuple[str, ...] = ()


def cache_folder() -> Path:
    """`$HONE_CACHE`, or `hone` in the user's cache folder."""
    chosen = os.environ.get("HONE_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "hone"


def ensure_environment(requirements: tuple[str, ...], *, report: Callable[[str], None]) -> HarnessEnvironment:
    """Return the environment for these requirements, building it first if this machine has none.

    `report` gets one line for each step that takes time. Raises SandboxUnavailable with the installer's last words.
    """
    prefix = (cache_folder() / "envs" / _key(requirements)).resolve()
    environment = HarnessEnvironment(
        python=prefix / "bin" / "python",
        prefix=prefix,
        base_prefix=Path(sys.base_prefix),
        requirements=requirements,
    )
    if _is_complete(environment):
        return environment
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        with _lock(prefix.parent / f"{prefix.name}.lock"):
            if not _is_complete(environment):
                _build(environment, report)
    except OSError as error:
        raise SandboxUnavailable(
            f"the harness environment cannot be built at {prefix} ({error}); free space, fix permissions "
            "or set HONE_CACHE"
        ) from error
    return environment


def _key(requirements: tuple[str, ...]) -> str:
    """Same key, same content: requirements, interpreter and where it is installed."""
    parts = (*sorted(requirements), platform.python_version(), platform.python_implementation(), platform.machine())
    text = "\n".join((*parts, os.path.realpath(sys.base_prefix)))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _is_complete(environment: HarnessEnvironment) -> bool:
    return (environment.prefix / _DONE).is_file() and environment.python.exists()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One builder at a time; the lock ends with its process, however that ends."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _build(environment: HarnessEnvironment, report: Callable[[str], None]) -> None:
    shutil.rmtree(environment.prefix, ignore_errors=True)
    report(f"building the harness environment in {environment.prefix}")
    borrow_pip = importlib.util.find_spec("pip") is not None
    before = os.umask(0o022)  # the sandbox reads it as another user
    try:
        venv.EnvBuilder(symlinks=True, with_pip=bool(environment.requirements) and not borrow_pip).create(
            environment.prefix
        )
        if environment.requirements:
            report(f"installing {', '.join(environment.requirements)}")
            _install(environment, borrow_pip=borrow_pip)
        (environment.prefix / _DONE).write_text("\n".join(environment.requirements), encoding="utf-8")
    except subprocess.CalledProcessError as error:
        raise SandboxUnavailable(f"no virtual environment can be made at {environment.prefix}: {error}") from error
    finally:
        os.umask(before)
    report("the harness environment is ready")


def _clean_environment() -> dict[str, str]:
    """The variables of this process but those that show pip foreign packages, which it would take for installed."""
    foreign = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT"}
    return {name: value for name, value in os.environ.items() if name not in foreign}


def _install(environment: HarnessEnvironment, *, borrow_pip: bool) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(environment.python)]
    if not borrow_pip:
        pip = [str(environment.python), "-m", "pip"]
    try:
        done = subprocess.run(
            [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-input", *environment.requirements],
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SandboxUnavailable(
            f"installing {', '.join(environment.requirements)} took more than {_INSTALL_TIMEOUT_S} s; "
            "check the package index that pip is set up with"
        ) from error
    if done.returncode != 0:
        tail = "\n".join(done.stdout.strip().splitlines()[-_TAIL_LINES:])
        raise SandboxUnavailable(
            f"pip cannot install {', '.join(environment.requirements)}; check the names and the package index. "
            f"Its last words:\n{tail}"
        )
