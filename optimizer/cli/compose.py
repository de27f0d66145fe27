"""The composition root: settings in, concrete parts out. Nothing else in the optimizer picks classes."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import entry_points, version
from pathlib import Path

from pydantic import JsonValue

from optimizer.cli.models import price_of, proposers_of, upstream_of
from optimizer.config.load import load
from optimizer.config.settings import SandboxSection, Settings
from optimizer.domain.budget import Budget, BudgetLimits, Spend
from optimizer.domain.errors import BenchmarkError, ConfigError, HarnessError, LedgerError, SandboxUnavailableError
from optimizer.domain.final import FinalSeal
from optimizer.domain.model import Upstream
from optimizer.domain.rollout import Rollout
from optimizer.domain.task import Benchmark, Task
from optimizer.evaluate.evaluator import Evaluator, EvaluatorSettings
from optimizer.evaluate.local import LocalExecutor
from optimizer.gateway.caps import RolloutCaps
from optimizer.gateway.chat_request import ModelRoute
from optimizer.gateway.gateway import Gateway
from optimizer.ledger.ledger import Ledger
from optimizer.propose.protocol import Proposer
from optimizer.repo.harness import HarnessRepo
from sandbox.contract import Limits, Sandbox, SandboxUnavailable
from sandbox.environment import HarnessEnvironment, ensure_environment
from sandbox.select import open_sandbox, weaknesses

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchers:
    """Who is told what while parts are at work."""

    note: Report
    """Sentences about the surroundings."""
    rollout: Callable[[Rollout], None] = lambda _: None
    """Every rollout that was really run."""


CONFIG_NAME = "campaign.toml"
SOCKETS = "hone-sockets-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """A harness folder with its settings, repository and benchmark."""

    folder: Path
    settings: Settings
    repo: HarnessRepo
    benchmark: Benchmark
    upstream: Callable[[], Upstream]
    """Opens the agent's own model."""
    proposers: Callable[[], tuple[Proposer, ...]]
    """Opens the proposers, in the order they are asked."""

    @property
    def ledger_folder(self) -> Path:
        """Where the campaign's ledger lies."""
        return self.repo.state_folder()

    @property
    def is_simulated(self) -> bool:
        """Whether the agent's model is simulated."""
        return self.settings.model.provider == "sim"


def open_workplace(folder: Path, *, sandbox: str | None = None) -> Workplace:
    """Read a harness folder; `sandbox` is a backend named on the command line, which counts as a setting.

    Raises:
        ConfigError: no campaign.toml, or one that cannot be used.
        RepoError: not a git repository.
        BenchmarkError: the benchmark is not installed.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"there is no {CONFIG_NAME} in {folder}. Go to your harness folder, or make one: `hone init my-harness`."
        )
    settings = load(path)
    if sandbox is not None:
        chosen = SandboxSection.model_validate({"backend": sandbox})
        settings = settings.model_copy(update={"sandbox": chosen})
    benchmark = load_benchmark(settings.benchmark.name, settings.benchmark.options)
    return Workplace(
        folder=folder,
        settings=settings,
        repo=HarnessRepo.open(folder, campaign=settings.campaign.name),
        benchmark=benchmark,
        upstream=partial(upstream_of, settings, benchmark),
        proposers=partial(proposers_of, settings),
    )


def load_benchmark(name: str, options: Mapping[str, JsonValue]) -> Benchmark:
    """Load a benchmark by the name of its entry point in the group `hone.benchmarks`; options are its arguments."""
    known = {point.name: point for point in entry_points(group="hone.benchmarks")}
    if name not in known:
        raise BenchmarkError(
            f"no benchmark {name!r} is installed; there is {', '.join(sorted(known)) or 'none'}."
            " A package offers one through the entry point group hone.benchmarks."
        )
    try:
        benchmark: Benchmark = known[name].load()(**options)
    except TypeError as error:
        raise BenchmarkError(f"benchmark {name!r} does not take these [benchmark.options]: {error}") from error
    return benchmark


def environment_of(workplace: Workplace, report: Report) -> HarnessEnvironment:
    """The dedicated Python environment of the harness, built on first use."""
    name = workplace.settings.harness.requirements
    lines = committed_text(workplace, name).splitlines() if name else []
    wanted = (line.partition("#")[0].strip() for line in lines)
    return ensure_environment(tuple(line for line in wanted if line), report=report)


def committed_text(workplace: Workplace, path: str) -> str:
    """A text file of the harness as the campaign began with it, or as it is committed now; empty where there is none.

    Raises:
        ConfigError: it is not UTF-8 text.
    """
    tree = workplace.repo.base() or workplace.repo.head().commit
    try:
        return workplace.repo.read(tree).get(path, b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8 and commit it.") from error


@asynccontextmanager
async def sandbox_of(workplace: Workplace, report: Report) -> AsyncIterator[Sandbox]:
    """The sandbox the settings ask for, open; anything weaker is refused.

    Raises:
        SandboxUnavailableError: this machine cannot give it.
    """
    try:
        environment = environment_of(workplace, report)
        wanted = workplace.settings.sandbox
        _check_entry(workplace.settings)
        if wanted.warm and wanted.backend != "docker":
            report(f"[sandbox] warm = true changes nothing in the {wanted.backend} sandbox: it is for docker alone")
        async with open_sandbox(wanted.backend, environment, is_warm=wanted.warm) as sandbox:
            if lost := weaknesses(sandbox):
                report(f"sandbox {sandbox.level} does not cover: {'; '.join(lost)}")
            yield sandbox
    except SandboxUnavailable as error:
        raise SandboxUnavailableError(str(error)) from error


def _check_entry(settings: Settings) -> None:
    if settings.sandbox.backend == "reduced" and settings.harness.entry is not None:
        raise SandboxUnavailable(
            "in the reduced sandbox [harness] entry cannot reach the model: it has no network of its own; "
            'set [sandbox] backend = "native" or "docker", or leave entry out and run agent.py'
        )


def limits_of(settings: Settings) -> Limits:
    """Limits of one run in the sandbox."""
    return Limits(
        wall_s=settings.rollout.wall_s,
        cpu_s=settings.rollout.wall_s,
        memory_bytes=settings.rollout.memory_mb * 2**20,
    )


def budget_of(settings: Settings) -> Budget:
    """The campaign's account."""
    return Budget(settings.budget.limits())


@asynccontextmanager
async def evaluator_of(
    workplace: Workplace, ledger: Ledger, budget: Budget, watchers: Watchers, *, seal: FinalSeal | None = None
) -> AsyncIterator[Evaluator]:
    """Everything that runs rollouts: sandbox, gateway, executor. Closed and cleaned up on leaving.

    Without a `seal` no task of the test split can be run.
    """
    settings = workplace.settings
    price = price_of(settings)
    if price is None and settings.budget.usd is not None:
        raise ConfigError(
            f"no price is known for model {settings.model.name!r}, so [budget] usd cannot be kept."
            " State [model.price] in campaign.toml, or limit tokens instead of usd."
        )
    upstream = workplace.upstream()
    with socket_folder() as sockets:
        gateway = Gateway(
            upstream=upstream,
            model=ModelRoute(
                name=settings.model.name,
                max_output_tokens=settings.model.max_output_tokens,
                price=price,
                output_limit_field=settings.model.output_limit_field,
                is_luck_shared=settings.loop.shared_luck,
            ),
            calls=ledger,
            folder=sockets,
            caps=RolloutCaps(
                max_calls=settings.rollout.max_calls,
                max_tokens=settings.rollout.max_tokens,
                max_usd=None if price is None else settings.rollout.max_usd,
            ),
            account=Budget(BudgetLimits()),
            on_lost=lambda amount: hold_for_ever(budget, amount),
        )
        try:
            async with sandbox_of(workplace, watchers.note) as sandbox:
                executor = _executor(workplace, gateway, sandbox)
                limits = _evaluator_settings(settings)
                yield Evaluator(executor, ledger, budget, limits, watchers.rollout, seal=seal)
        finally:
            await upstream.close()


def hold_for_ever(budget: Budget, amount: Spend) -> None:
    """Count money as gone that may have been billed without an answer.

    Held, not spent: `spent` follows from what is recorded, and a resume must repeat it exactly.
    """
    budget.reserved = budget.reserved + amount


@contextmanager
def socket_folder() -> Iterator[Path]:
    """A short-named folder for the sockets of this process; what killed processes left behind is removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{SOCKETS}*-*"):
        owner = left.name.removeprefix(SOCKETS).split("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and _holds_only_sockets(left):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{SOCKETS}{os.getpid()}-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - the harness's uid connects by a name it is given, lists nothing
        yield Path(folder)


def _holds_only_sockets(folder: Path) -> bool:
    """Ours, by owner and content: nothing a person made is ever removed."""
    try:
        return folder.stat().st_uid == os.geteuid() and all(path.is_socket() for path in folder.iterdir())
    except OSError:
        return False


def _executor(workplace: Workplace, gateway: Gateway, sandbox: Sandbox) -> LocalExecutor:
    @lru_cache(maxsize=64)
    def files(tree: str) -> Mapping[str, bytes]:
        return workplace.repo.read(tree)

    return LocalExecutor(
        benchmark=workplace.benchmark,
        gateway=gateway,
        sandbox=sandbox,
        files=files,
        limits=limits_of(workplace.settings),
        command=workplace.settings.harness.entry,
    )


def _evaluator_settings(settings: Settings) -> EvaluatorSettings:
    return EvaluatorSettings(
        concurrency=settings.loop.concurrency,
        infra_retries=settings.loop.infra_retries,
        max_usd=settings.rollout.max_usd,
        max_tokens=settings.rollout.max_tokens,
    )


def measured_tasks(benchmark: Benchmark) -> tuple[Task, ...]:
    """Train and val tasks. The test split stays sealed: only `hone finalize` may run it.

    What its tasks show first is read on the trusted side, so that no eval case repeats it (`optimizer.evals.openings`).
    """
    return tuple(task for task in benchmark.tasks() if task.split != "test")


def check_harness(files: Mapping[str, bytes], settings: Settings) -> None:
    """Refuse a harness that cannot run, before anything is spent.

    Raises:
        HarnessError: no agent.py, or a syntax error; the message names file and line.
    """
    if settings.harness.entry is not None:
        return
    if "agent.py" not in files:
        raise HarnessError(
            "there is no agent.py in the harness (as committed). Add one that defines `async def run(session)`,"
            " or set [harness] entry to the command that runs your harness. HARNESS.md has the contract."
        )
    for path, content in sorted(files.items()):
        if path.endswith(".py"):
            try:
                compile(content, path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError) as error:
                raise HarnessError(f"the harness does not compile: {error}. Mend and commit it, then try again.") from (
                    error
                )


def open_ledger(workplace: Workplace) -> Ledger:
    """The existing ledger of this campaign.

    Raises:
        LedgerError: there is none, or it was recorded with other settings.
    """
    from optimizer.config.load import settings_hash

    ledger = Ledger.open(workplace.ledger_folder)
    if ledger.header.settings_hash != settings_hash(workplace.settings):
        ledger.close()
        raise LedgerError(
            f"campaign {workplace.settings.campaign.name!r} was recorded with other settings than {CONFIG_NAME} has."
            " Only [budget], [loop] concurrency and the rates of [model] may change between sessions: put the others"
            " back (a --sandbox that was given must be given again), or choose another [campaign] name for a new one."
        )
    return ledger


def host_name() -> str:
    """This machine, for the ledger's session rows."""
    return platform.node()


def hone_version() -> str:
    """Version of this program."""
    return version("hone-agent")
