"""Warm containers: one per candidate and slot, each serving one run at a time.

Faster than a container per run and weaker, because runs of one candidate share a container one after the other:
they may count each other and pass small numbers on through counters that only grow (process numbers, the account
of the control group). What is left behind is removed by process 1 of the container; only a container that says it
is clean, after a run that ended by itself and met no limit, serves again. All others are thrown away.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

import anyio

from sandbox.contract import Limits, Result, Spec
from sandbox.docker.container import LIFETIME_S, Container, Site, call
from sandbox.docker.line import Line, hang_up
from sandbox.docker.run import (
    OURS,
    START_TIMEOUT_S,
    InfraError,
    await_state,
    bury,
    examine,
    infra,
    is_oom_at_start,
    new_container,
    new_watch,
    note_peak,
    start,
    talk,
)
from sandbox.docker.warm_entry import MOST_RUNS
from sandbox.docker.watch import Watch, judge

_MOST_IDLE = 8
_IDLE_S = 300.0

Key = tuple[str, Limits, bool]
"""Harness files, limits, and whether TCP to the private loopback is open: what a container is made for."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """One warm container."""

    key: Key
    container: Container
    line: Line
    born: float = field(default_factory=time.monotonic)
    used: float = field(default_factory=time.monotonic)
    n_runs: int = 0

    @property
    def is_worn(self) -> bool:
        """Whether it must not serve again, however clean."""
        age = time.monotonic() - self.born
        return self.n_runs >= MOST_RUNS or age + self.key[1].wall_s > LIFETIME_S


class Slots:
    """All warm containers of one sandbox."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._idle: list[Slot] = []
        """Longest unused first."""

    async def run(self, name: str, spec: Spec) -> Result:
        """Carry out one run. Raises nothing but cancellation, and only when nothing of it is left."""
        started = time.monotonic()
        watch = new_watch(spec)
        try:
            examine(self._site, spec)
            used = self._take(_key(spec))
            if used is not None:
                await self._serve(used, spec, watch)
            if used is None or not (watch.is_up or watch.report):  # one that died while it was idle tells nothing
                watch = new_watch(spec)
                slot = await self._open(name, spec, watch)
                if slot is not None:
                    await self._serve(slot, spec, watch)
        except OURS as error:
            if not is_oom_at_start(error):
                return infra(self._site, error, started)
            watch.was_oom_killed = True
        return judge(watch, self._site.level)

    async def close(self) -> None:
        """Let go of all of them."""
        while self._idle:
            await self._drop(self._idle.pop(), None)

    def _take(self, key: Key) -> Slot | None:
        for slot in reversed(self._idle):
            if slot.key == key:
                self._idle.remove(slot)
                return slot
        return None

    async def _open(self, name: str, spec: Spec, watch: Watch) -> Slot | None:
        """A new one, warm and clean; None where it has died in warming up, of which `watch` then knows."""
        container = await new_container(self._site, name)
        slot: Slot | None = None
        try:
            line = await start(self._site, container, spec)
            slot = Slot(key=_key(spec), container=container, line=line)
            await _await_warmth(line, watch)
        except BaseException:
            await self._lose(container, slot, watch)
            raise
        if watch.state is None:
            await self._lose(container, slot, watch)
            return None
        return slot

    async def _serve(self, slot: Slot, spec: Spec, watch: Watch) -> None:
        watch.state, watch.started = None, time.monotonic()
        slot.n_runs += 1
        is_good = False
        try:
            await talk(self._site, slot.line, spec, watch)
            if slot.n_runs == 1:  # later, the peak may be an earlier run's
                await note_peak(self._site, slot.container, watch)
            is_good = _may_serve_again(watch) and not slot.is_worn
        finally:
            if not is_good:
                await self._drop(slot, watch)
        if is_good:
            slot.used = time.monotonic()
            self._idle.append(slot)
            await self._thin_out()

    async def _thin_out(self) -> None:
        """Drop what is too old or too many: slots of candidates that nobody asks for any more."""
        now = time.monotonic()
        while self._idle and (len(self._idle) > _MOST_IDLE or now - self._idle[0].used > _IDLE_S):
            await self._drop(self._idle.pop(0), None)

    async def _drop(self, slot: Slot, watch: Watch | None) -> None:
        await self._lose(slot.container, slot, watch)

    async def _lose(self, container: Container, slot: Slot | None, watch: Watch | None) -> None:
        with anyio.CancelScope(shield=True):
            try:
                if slot is not None:
                    await call(self._site, hang_up, slot.line)
            finally:
                await bury(self._site, container, watch or new_watch(Spec(files={})))


async def _await_warmth(line: Line, watch: Watch) -> None:
    """Wait for the first word of a container. Raises what `OURS` holds, and not when it has died of a limit."""
    trouble = await await_state(line, watch, START_TIMEOUT_S)
    if trouble is not None:
        raise trouble
    if watch.state is None and not watch.is_over:
        raise InfraError(f"the container did not warm up within {START_TIMEOUT_S:.0f} s")
    if watch.state is not None and not watch.state.get("is_clean"):
        raise InfraError(f"a fresh container could not be cleaned after a run: {watch.state.get('trouble')}")


def _may_serve_again(watch: Watch) -> bool:
    """Only after a run that ended by itself, met no limit and left nothing."""
    report = watch.report
    is_plain = isinstance(report.get("status"), int) and not report.get("ending") and not report.get("n_oom_kills")
    is_over = watch.stdout.is_over or watch.stderr.is_over or watch.ending is not None
    return is_plain and not is_over and watch.state is not None and watch.state.get("is_clean") is True


def _key(spec: Spec) -> Key:
    digest = hashlib.sha256()
    for path, content in sorted(spec.files.items()):
        digest.update(f"{len(path.encode())}:{path}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest(), spec.limits, spec.command is not None
