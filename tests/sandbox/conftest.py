"""Backends as fixtures: every contract test runs on each of them."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from sandbox.contract import Sandbox, Spec
from sandbox.docker.sandbox import DockerSandbox
from sandbox.environment import HarnessEnvironment, ensure_environment
from sandbox.native.sandbox import NativeSandbox
from sandbox.native.way import Way
from tests.sandbox.as_user import UID, UserSandbox, python_for_users
from tests.sandbox.bubblewrap import NoBubblewrapError, ensure_bubblewrap
from tests.sandbox.dockerd import NoDockerError, docker_daemon

HOSTILE = Path(__file__).parent / "hostile"
WHOLE = ("native", "native-user", "docker")
REDUCED = ("reduced", "reduced-root")
SAMPLED = (
    "docker-warm", "docker-relayed", "native-cold", "native-bwrap", "native-bwrap-cold", "user-bwrap-cold", *REDUCED
)  # fmt: skip
NOT_HELD = {
    "test_a_command_reaches_the_door_over_tcp": "entry commands",
    "test_concurrent_runs_do_not_see_each_other": "fixed paths",
    "test_04": "fixed paths",
    "test_05": "disk space",
    "test_06": "number of files",
    "test_07_08_a_command": "entry commands",
    "test_10": "fixed paths",
    "test_11": "names, sizes and times of host files",
    "test_13": "fixed paths",
    "test_22": "uid",
    "test_24": "fixed paths",
}
"""Rows of the suites that the reduced backend does not hold as they stand, and the words with which it says so."""
SAMPLE = (
    "test_a_conforming_harness_ends_well", "test_unicode_passes", "test_a_mebibyte_of_stdin",
    "test_the_session_is_a_conversation", "test_a_command_reaches_the_door_over_tcp",
    "test_01_without_groups", "test_03_a_memory_bomb", "test_05", "test_07_08_no_socket", "test_11", "test_14",
    "test_17", "test_20",
)  # fmt: skip
"""Tests that run on the `SAMPLED` at every change; `make test-slow` runs all of them there."""


@pytest.fixture(scope="session")
def empty_environment() -> HarnessEnvironment:
    """No packages."""
    return ensure_environment((), report=print)


@pytest.fixture(scope="session")
def openai_environment() -> HarnessEnvironment:
    """The openai package; built once per machine."""
    return ensure_environment(("openai",), report=print)


NO_DOCKER = pytest.StashKey[str]()
NO_BWRAP = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What differs only in who builds the walls or carries the bytes is tried whole in the slow lane, by a sample here.

    What the reduced backend says that it does not hold, it is not asked to hold; `test_reduced` asks that it says so.
    """
    items[:] = [item for item in items if not (is_on(item, REDUCED) and item.name.startswith(tuple(NOT_HELD)))]
    for item in items:
        if is_on(item, SAMPLED) and not item.name.startswith(SAMPLE):
            item.add_marker(pytest.mark.slow)


def is_on(item: pytest.Item, boxes: tuple[str, ...]) -> bool:
    """Whether a test runs on one of these sandboxes."""
    return getattr(getattr(item, "callspec", None), "params", {}).get("box") in boxes


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say loudly that a whole backend was not tried."""
    reason = config.stash.get(NO_DOCKER, None)
    if reason is not None:
        terminalreporter.section("THE DOCKER SANDBOX WAS NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"no docker daemon could be had: {reason}")
    reason = config.stash.get(NO_BWRAP, None)
    if reason is not None:
        terminalreporter.section("THE BUBBLEWRAP LAUNCHER WAS NOT TESTED", red=True, bold=True)
        terminalreporter.line(f"no bubblewrap could be had: {reason}")


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
async def native_cold_box(empty_environment: HarnessEnvironment) -> AsyncIterator[NativeSandbox]:
    """An open native sandbox that starts every run cold."""
    async with NativeSandbox(empty_environment, ways=(Way(launcher="direct", is_cold=True),)) as box:
        yield box


@pytest.fixture(scope="session")
def bubblewrap(pytestconfig: pytest.Config) -> None:
    """bubblewrap is installed, or its tests are skipped loudly."""
    try:
        ensure_bubblewrap()
    except NoBubblewrapError as error:
        pytestconfig.stash[NO_BWRAP] = str(error)
        pytest.skip(f"NO BUBBLEWRAP: {error}")


@pytest.fixture(scope="session")
async def native_bwrap_box(bubblewrap: None, empty_environment: HarnessEnvironment) -> AsyncIterator[NativeSandbox]:
    """An open native sandbox whose warm server lives in bubblewrap."""
    async with NativeSandbox(empty_environment, ways=(Way(launcher="bwrap", is_cold=False),)) as box:
        yield box


@pytest.fixture(scope="session")
async def native_bwrap_cold_box(
    bubblewrap: None, empty_environment: HarnessEnvironment
) -> AsyncIterator[NativeSandbox]:
    """An open native sandbox that starts bubblewrap for every run."""
    async with NativeSandbox(empty_environment, ways=(Way(launcher="bwrap", is_cold=True),)) as box:
        yield box


@asynccontextmanager
async def sandbox_of_user(backend: str = "native", *, uid: int = UID, prelude: str = "") -> AsyncIterator[UserSandbox]:
    """An open sandbox whose host process belongs to another user."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as another user")
    if python_for_users() is None:
        pytest.skip(f"no Python {sys.version_info.major}.{sys.version_info.minor} that another user could start")
    cache = Path(tempfile.mkdtemp(prefix="hone-user-cache-"))
    os.chmod(cache, 0o755)  # noqa: PTH101
    os.chown(cache, uid, -1)
    try:
        async with UserSandbox(cache, backend=backend, uid=uid, prelude=prelude, has_spare=True) as as_user:
            yield as_user
    finally:
        shutil.rmtree(cache)


@pytest.fixture(scope="session")
async def native_user_box() -> AsyncIterator[UserSandbox]:
    """An open native sandbox of an ordinary user."""
    async with sandbox_of_user() as box:
        yield box


@pytest.fixture(scope="session")
async def user_bwrap_cold_box(bubblewrap: None) -> AsyncIterator[UserSandbox]:
    """An open cold sandbox of an ordinary user, started by bubblewrap: the case of Ubuntu 24.04 and later."""
    async with sandbox_of_user("native-bwrap-cold") as box:
        yield box


@pytest.fixture(scope="session")
async def reduced_box() -> AsyncIterator[UserSandbox]:
    """An open reduced sandbox of an ordinary user."""
    async with sandbox_of_user("reduced") as box:
        yield box


@pytest.fixture(scope="session")
async def reduced_root_box() -> AsyncIterator[UserSandbox]:
    """An open reduced sandbox of root, which gives every run a uid of its own."""
    async with sandbox_of_user("reduced", uid=0) as box:
        yield box


@pytest.fixture(scope="session", params=[*WHOLE, *SAMPLED])
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
