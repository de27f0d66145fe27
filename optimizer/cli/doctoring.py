"""The checks of `hone doctor`: each one small, each with a remedy."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio

from optimizer.cli.compose import Workplace, check_harness, limits_of, open_workplace, sandbox_of
from optimizer.cli.contracting import check_slices
from optimizer.cli.eyes import taxonomy_of
from optimizer.cli.models import price_of
from optimizer.cli.running import unwrapped
from optimizer.cli.session import check_pins
from optimizer.domain.errors import HoneError, ModelError
from optimizer.domain.model import CallContext
from optimizer.domain.task import BUILT_IN_METRICS
from optimizer.evals.splits import check_splits
from sandbox.contract import Spec
from sandbox.select import probe

ROOMY_BYTES = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the examination."""

    what: str
    state: Literal["ok", "warn", "FAIL"]
    detail: str
    remedy: str = ""


def examine(folder: Path, *, sandbox: str | None = None) -> tuple[Finding, ...]:
    """All findings; later checks are left out when campaign.toml cannot be read."""
    try:
        workplace = open_workplace(folder, sandbox=sandbox)
    except HoneError as error:
        return (*_sandbox(), Finding(what="settings", state="FAIL", detail=str(error), remedy="mend it and try again"))
    checks: tuple[Callable[[Workplace], Iterator[Finding]], ...] = (
        _settings,
        _git,
        _taxonomy,
        _contract,
        _harness,
        _conformance,
        _model,
        _splits,
        _budget,
        _disk,
    )
    return (*_sandbox(), *(finding for check in checks for finding in _guarded(check, workplace)))


def _guarded(check: Callable[[Workplace], Iterator[Finding]], workplace: Workplace) -> Iterator[Finding]:
    try:
        yield from check(workplace)
    except HoneError as error:
        yield Finding(what=check.__name__.strip("_"), state="FAIL", detail=str(error), remedy="see above")


def _sandbox() -> Iterator[Finding]:
    report = anyio.run(probe)
    for found in report.findings:
        yield Finding(what="sandbox", state="ok" if found.ok else "warn", detail=f"{found.what}: {found.detail}")
    yield Finding(
        what="sandbox",
        state="ok" if report.level else "FAIL",
        detail=f"level {report.level}" if report.level else "no isolation that can be trusted is available here",
        remedy="see the lines above; nothing weaker is ever put in its place",
    )


def _settings(workplace: Workplace) -> Iterator[Finding]:
    settings = workplace.settings
    yield Finding(
        what="settings",
        state="ok",
        detail=f"campaign {settings.campaign.name!r}, seed {settings.campaign.seed},"
        f" benchmark {workplace.benchmark.name} {workplace.benchmark.version}",
    )


def _git(workplace: Workplace) -> Iterator[Finding]:
    head = workplace.repo.head()
    dirty = workplace.repo.dirty_files()
    yield Finding(
        what="git",
        state="FAIL" if dirty else "ok",
        detail=f"changes not committed: {', '.join(dirty[:5])}" if dirty else f"clean at {head.commit[:10]}",
        remedy="git add -A && git commit -m 'Before hone'",
    )


def _taxonomy(workplace: Workplace) -> Iterator[Finding]:
    path = workplace.settings.mining.taxonomy
    n = len(taxonomy_of(workplace).classes)
    if path is not None:
        yield Finding(what="taxonomy", state="ok", detail=f"{n} classes in {path}")


def _contract(workplace: Workplace) -> Iterator[Finding]:
    """A name that is almost one of ours is a slip more often than an outcome of the benchmark."""
    check_pins(workplace)
    check_slices(workplace.settings, workplace.benchmark.tasks())
    for metric in workplace.settings.contract.metric or ():
        near = difflib.get_close_matches(metric.name, BUILT_IN_METRICS, n=1, cutoff=0.8)
        if near and metric.name not in BUILT_IN_METRICS:
            yield Finding(
                what="contract",
                state="warn",
                detail=f"metric {metric.name!r} is none of hone's own: did you mean {near[0]!r}? If the benchmark"
                " reports it, all is well; if not, the campaign ends at its baseline",
            )


def _harness(workplace: Workplace) -> Iterator[Finding]:
    files = workplace.repo.read(workplace.repo.head().harness_tree)
    check_harness(files, workplace.settings)
    size = sum(map(len, files.values()))
    yield Finding(what="harness", state="ok", detail=f"{len(files)} files, {size / 1024:.0f} KiB, compiles")


def _conformance(workplace: Workplace) -> Iterator[Finding]:
    """Import the committed harness inside the sandbox, where it will run."""
    if workplace.settings.harness.entry is not None:
        yield Finding(
            what="conformance", state="ok", detail="runs by its own entry command; tried at the first rollout"
        )
        return
    notes: list[str] = []

    async def tried() -> tuple[str, str, float]:
        files = workplace.repo.read(workplace.repo.head().harness_tree)
        async with sandbox_of(workplace, notes.append) as sandbox:
            result = await sandbox.run(
                Spec(files=files, env={"HONE_CONFORMANCE": "1"}, limits=limits_of(workplace.settings))
            )
        return result.kind, result.stderr.text.strip(), result.cpu_s

    with unwrapped():
        kind, said, cpu_s = anyio.run(tried)
    yield from (Finding(what="sandbox", state="warn", detail=note) for note in notes if "[sandbox]" in note)
    last = said.splitlines()[-1] if said else ""
    yield Finding(
        what="conformance",
        state="ok" if kind == "ok" else "FAIL",
        detail=f"imports in the sandbox in {1000 * cpu_s:.0f} ms CPU" if kind == "ok" else f"{kind}: {last}",
        remedy="HARNESS.md has the contract; the line above is the harness's own error",
    )


def _model(workplace: Workplace) -> Iterator[Finding]:
    settings = workplace.settings
    price = price_of(settings)
    if workplace.is_simulated:
        yield Finding(what="model", state="ok", detail=f"{settings.model.name}: SIMULATED, no key, no real cost")
        return
    yield Finding(
        what="price",
        state="warn" if price is None else "ok",
        detail="unknown" if price is None else f"${price.input:g} in, ${price.output:g} out per million tokens",
        remedy="state [model.price], or limit tokens instead of usd",
    )
    yield _reached(workplace)


def _reached(workplace: Workplace) -> Finding:
    upstream = workplace.upstream()
    name = workplace.settings.model.name

    async def ping() -> int:
        try:
            reply = await upstream.chat(
                {"model": name, "messages": [{"role": "user", "content": "ping"}], "max_tokens": 1},
                CallContext(task_id="doctor", luck="doctor", occurrence=0),
            )
        finally:
            await upstream.close()
        return reply.usage.tokens

    try:
        tokens = anyio.run(ping)
    except ModelError as error:
        return Finding(what="model", state="FAIL", detail=str(error), remedy="check [model] base_url, name and the key")
    return Finding(what="model", state="ok", detail=f"{name} answered ({tokens} tokens)")


def _splits(workplace: Workplace) -> Iterator[Finding]:
    report = check_splits(tuple(workplace.benchmark.tasks()))
    counts = ", ".join(f"{count.split} {count.n_tasks} tasks in {count.n_groups} groups" for count in report.counts)
    yield Finding(
        what="splits",
        state="ok" if report.is_sound else "FAIL",
        detail=f"{counts}; manifest {report.manifest_hash}" if report.is_sound else "; ".join(report.problems),
        remedy="a group on two sides of a split leaks answers; mend the benchmark",
    )


def _budget(workplace: Workplace) -> Iterator[Finding]:
    """A block of rollouts must be affordable at its worst, or the campaign ends before it begins."""
    settings = workplace.settings
    n_val = sum(task.split == "val" for task in workplace.benchmark.tasks())
    limits, caps = settings.budget, settings.rollout
    short = [
        f"{name} {limit:g} < {n_val} validation rollouts at up to {cap:g} each"
        for name, limit, cap in (
            ("usd", limits.usd, caps.max_usd),
            ("tokens", limits.tokens, caps.max_tokens),
            ("rollouts", limits.rollouts, 1),
        )
        if limit is not None and limit < n_val * cap
    ]
    yield Finding(
        what="budget",
        state="FAIL" if short else "ok",
        detail="; ".join(short) or "the baseline is affordable at its worst",
        remedy="raise [budget], or lower the caps of one rollout in [rollout]",
    )


def _disk(workplace: Workplace) -> Iterator[Finding]:
    free = shutil.disk_usage(workplace.ledger_folder).free
    yield Finding(
        what="disk",
        state="ok" if free > ROOMY_BYTES else "warn",
        detail=f"{free / 2**30:.1f} GiB free for ledger and traces",
        remedy="a long campaign may need a gigabyte",
    )
