"""Backends as fixtures: every contract test runs on each of them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.contract import Sandbox, Spec
from sandbox.docker.sandbox import DockerSandbox
from sandbox.environment import HarnessEnvironment, ensure_environment
from sandbox.native.sandbox import NativeSandbox
from tests.sandbox.as_user import UID, UserSandbox, python_for_users
from tests.sandbox.dockerd import NoDockerError, docker_daemon

HOSTILE = Path(__file__).parent / "hostile"


@pytest.fixture(scope="session")
def empty_environment() -> HarnessEnvironment:
    """No packages."""
    return ensure_environment((), report=print)


@pytest.fixture(scope="session")
def openai_environment() -> HarnessEnvironment:
    """The openai package; built once per machine."""
    return ensure_environment(("openai",), report=print)


NO_DOCKER = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The relay changes how the door is reached and nothing else, so the hostile rows run over it only at leisure."""
    for item in items:
        if item.path.name == "test_hostile.py" and "docker-relayed" in item.name:
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say loudly that a whole backend was not tried."""
    reason = config.stash.get(NO_DOCKER, None)
    if reason is not None:
        terminalreporter.section("THE DOCKER SANDBOX WAS NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"no docker daemon could be had: {reason}")


@pytest.fixture(scope="session")
def docker_address(pytestconfig: pytest.Config) -> Iterator[str]:
    """A daemon of our own, running."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(docker_daemon())
        except NoDockerError as error:
            pytestconfig.stash[NO_DOCKER] = str(error)
            pytest.skip(f"NO DOCKER: {error}")
        yield address


@pytest.fixture(scope="session")
async def docker_box(
    docker_address: str, empty_environment: HarnessEnvironment, anyio_backend: str
) -> AsyncIterator[DockerSandbox]:
    """An open docker sandbox."""
    async with DockerSandbox(empty_environment, endpoint=docker_address) as box:
        yield box


@pytest.fixture(scope="session")
async def docker_relayed_box(
    docker_address: str, empty_environment: HarnessEnvironment, anyio_backend: str
) -> AsyncIterator[DockerSandbox]:
    """An open docker sandbox that does as if sockets could not be mounted."""
    async with DockerSandbox(empty_environment, endpoint=docker_address, mode="relayed") as box:
        yield box


@pytest.fixture(scope="session")
async def docker_warm_box(
    docker_address: str, empty_environment: HarnessEnvironment, anyio_backend: str
) -> AsyncIterator[DockerSandbox]:
    """An open docker sandbox whose runs share warm containers."""
    async with DockerSandbox(empty_environment, endpoint=docker_address, mode="warm") as box:
        yield box


@pytest.fixture(scope="session")
async def native_box(empty_environment: HarnessEnvironment) -> AsyncIterator[NativeSandbox]:
    """An open native sandbox of the user who runs the tests, which makes rooms ahead as in a campaign."""
    async with NativeSandbox(empty_environment, has_spare=True) as box:
        yield box


@pytest.fixture(scope="session")
async def native_user_box() -> AsyncIterator[UserSandbox]:
    """An open native sandbox of an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("the tests already run as an ordinary user, so `native` is this very case")
    if python_for_users() is None:
        pytest.skip(f"no Python {sys.version_info.major}.{sys.version_info.minor} that another user could start")
    cache = Path(tempfile.mkdtemp(prefix="hone-user-cache-"))
    os.chown(cache, UID, -1)
    try:
        async with UserSandbox(cache) as as_user:
            yield as_user
    finally:
        shutil.rmtree(cache)


@pytest.fixture(scope="session", params=["native", "native-user", "docker", "docker-warm", "docker-relayed"])
def box(request: pytest.FixtureRequest) -> Sandbox:
    """An open sandbox of each backend."""
    opened: Sandbox = request.getfixturevalue(f"{request.param.replace('-', '_')}_box")
    return opened


@pytest.fixture(scope="session")
def accounted(box: Sandbox) -> Sandbox:
    """A sandbox that limits a run as a whole."""
    # A warm container serves one run at a time, so its limits are that run's, though its level is lower.
    if ":L3:" not in box.level and not box.level.startswith("docker-warm:"):
        pytest.skip(f"{box.level}: no control group can be written here, so nothing limits a run as a whole")
    return box


@pytest.fixture
def door_folder() -> Iterator[Path]:
    """A short path that other users can pass; pytest's own is neither."""
    folder = Path(tempfile.mkdtemp(prefix="hone-door-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def hostile() -> Callable[..., Spec]:
    """Build the spec of a hostile agent by its file name."""

    def build(name: str, **changes: object) -> Spec:
        env = {"HONE_CONFORMANCE": "1"} | dict(changes.pop("env", {}))  # type: ignore[call-overload]
        files = {
            "agent.py": (HOSTILE / f"{name}.py").read_bytes(),
            "attempts.py": (HOSTILE / "attempts.py").read_bytes(),
        }
        return Spec(files=files, env=env, **changes)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
async def openai_box(openai_environment: HarnessEnvironment) -> AsyncIterator[NativeSandbox]:
    """A sandbox whose warm server knows openai."""
    async with NativeSandbox(openai_environment) as native:
        yield native
