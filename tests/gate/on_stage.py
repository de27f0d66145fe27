"""Whole campaigns on helpdesk in this process: everything is real but the sandbox.

Ledger, git, miner, curator, playbook, gate and the gateway's door (caps, recording, replay of byte-identical requests)
are the shipped ones. Only the harness does not run in a sandbox of its own: its files are imported here, one set of
modules per git tree, and its session and its `AsyncOpenAI` call the door without a socket. It is code of our own
template and playbook, which this benchmark trusts.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import cast

import httpx
import openai
from openai.types.chat import ChatCompletion

from optimizer.campaign.loop import Campaign, Ending
from optimizer.cli.compose import Workplace, _evaluator_settings, budget_of
from optimizer.cli.models import price_of
from optimizer.cli.progress import Narrator
from optimizer.cli.session import _crew, policy_of
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.json import Json, JsonObject, content_hash
from optimizer.domain.model import CallContext, Upstream
from optimizer.domain.recording import CallRecorder
from optimizer.domain.rollout import RolloutJob
from optimizer.domain.task import Benchmark
from optimizer.evaluate.evaluator import Evaluator
from optimizer.evaluate.executor import Executed
from optimizer.evaluate.local import _outcome
from optimizer.gateway.caps import RolloutCaps
from optimizer.gateway.chat_request import ModelRoute
from optimizer.gateway.door import Door
from optimizer.gateway.http import HttpRequest, RequestRefusedError
from optimizer.gateway.limits import DoorLimits
from optimizer.gateway.outlet import Outlet
from optimizer.gateway.purchase import ModelAccess
from optimizer.ledger.ledger import Ledger
from sandbox.contract import Output, Result
from tests.harness_template.stage import MODULES, SDK

LEVEL = "none: in process"


class Client:
    """Stands in for `openai.AsyncOpenAI`, and for the session's connection: the door without a socket."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.chat = self.completions = self

    async def request(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> JsonObject:
        content = b"" if body is None else json.dumps(body).encode()
        reply = await self._door.handle(HttpRequest(method=method, path=path, body=content), _UNUSED)
        assert reply is not None
        return cast("JsonObject", json.loads(reply.body))

    async def create(self, **request: Json) -> ChatCompletion:
        try:
            return ChatCompletion.model_validate(await self.request("POST", "/v1/chat/completions", request))
        except RequestRefusedError as refusal:
            asked = httpx.Request("POST", "http://127.0.0.1:8377/v1/chat/completions")
            answer = httpx.Response(refusal.status, request=asked)
            raise openai.APIStatusError(refusal.message, response=answer, body=None) from refusal


class DirectClient(Client):
    """Asks the model past the door's desk: no caps, no records, a third of the time. For runs outside a campaign."""

    def __init__(self, door: Door, upstream: Upstream, job: RolloutJob) -> None:
        super().__init__(door)
        self._upstream, self._job = upstream, job
        self._seen: Counter[str] = Counter()

    async def create(self, **request: Json) -> ChatCompletion:
        wire = cast("JsonObject", json.loads(json.dumps(request)))
        key = content_hash(wire)
        context = CallContext(task_id=self._job.task.id, luck=self._job.luck, occurrence=self._seen[key])
        self._seen[key] += 1
        return ChatCompletion.model_validate((await self._upstream.chat(wire, context)).body)


_UNUSED = cast("Outlet", None)
"""Nothing is streamed here."""


@dataclass(slots=True)
class Troupe:
    """The harness versions, imported: one folder and one set of modules per tree."""

    folder: Path
    files: Callable[[str], Mapping[str, bytes]]
    _modules: dict[str, dict[str, ModuleType]] = field(default_factory=dict)

    async def play(self, tree: str, client: Client) -> Result:
        """Run one harness to its end. One at a time: what is imported is the process's."""
        started, cpu, place = time.perf_counter(), time.process_time(), self._place(tree)
        before = list(sys.path)
        sys.path[:0] = [str(place), str(SDK)]
        sys.modules.update(self._modules[tree])
        shown = b""
        try:
            agent, sdk = importlib.import_module("agent"), importlib.import_module("hone_session")
            agent.AsyncOpenAI = lambda **_: client  # type: ignore[attr-defined]
            agent.print = lambda *_: None  # type: ignore[attr-defined]
            await agent.run(sdk.Session(await client.request("GET", "/session"), client))
        except Exception as error:  # noqa: BLE001 - whatever the harness raises is the harness's crash
            shown = f"{type(error).__name__}: {error}".encode()
        finally:
            sys.path[:] = before
            own = [name for name in sys.modules if name.split(".")[0] in MODULES]
            self._modules[tree] = {name: sys.modules.pop(name) for name in own}
        return Result(
            kind="nonzero" if shown else "ok",
            status=256 if shown else 0,
            level=LEVEL,
            stderr=Output(head=shown, n_bytes=len(shown)),
            wall_s=time.perf_counter() - started,
            cpu_s=time.process_time() - cpu,
        )

    def _place(self, tree: str) -> Path:
        place = self.folder / tree
        if tree not in self._modules:
            self._modules[tree] = {}
            for name, content in self.files(tree).items():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_bytes(content)
            importlib.invalidate_caches()
        return place


@dataclass(frozen=True, slots=True, kw_only=True)
class StageExecutor:
    """`LocalExecutor` with the troupe in place of the sandbox and no socket in between."""

    benchmark: Benchmark
    troupe: Troupe
    access: ModelAccess
    caps: RolloutCaps
    is_direct: bool
    """Whether the model is asked past the gateway."""

    async def execute(self, job: RolloutJob) -> Executed:
        environment = await self.benchmark.open(job.task, trial=job.luck)
        try:
            door = Door(
                socket=Path(),
                job=job,
                environment=environment,
                access=self.access,
                caps=self.caps,
                limits=DoorLimits(json_depth=1_000_000),  # our own harness does not nest; looking takes time
            )
            client = DirectClient(door, self.access.upstream, job) if self.is_direct else Client(door)
            result = await self.troupe.play(job.tree, client)
            score = await environment.grade()
            return _outcome(job, result, door.recording(), score)
        finally:
            await environment.close()


def executor_of(workplace: Workplace, calls: CallRecorder, folder: Path, *, is_direct: bool = False) -> StageExecutor:
    """The same model, price and caps as `optimizer.cli.compose.evaluator_of` gives."""
    settings = workplace.settings

    @cache
    def files(tree: str) -> Mapping[str, bytes]:
        return workplace.repo.read(tree)

    route = ModelRoute(
        name=settings.model.name,
        max_output_tokens=settings.model.max_output_tokens,
        price=price_of(settings),
        output_limit_field=settings.model.output_limit_field,
        is_luck_shared=settings.loop.shared_luck,
    )
    caps = settings.rollout
    return StageExecutor(
        benchmark=workplace.benchmark,
        troupe=Troupe(folder, files),
        access=ModelAccess(upstream=workplace.upstream(), route=route, calls=calls, account=Budget(BudgetLimits())),
        is_direct=is_direct,
        caps=RolloutCaps(max_calls=caps.max_calls, max_tokens=caps.max_tokens, max_usd=caps.max_usd),
    )


async def campaign(workplace: Workplace, ledger: Ledger, folder: Path) -> Ending:
    """`optimizer.cli.session.work` on the stage: one session, never interrupted."""
    budget = budget_of(workplace.settings)
    workplace.repo.begin(ledger.header.base_commit)
    ledger.start_session(0, "stage", limits=budget.limits)
    narrator = Narrator(limits=budget.limits, is_simulated=True, is_terminal=False, told_until=10**9)
    executor = executor_of(workplace, ledger, folder)
    evaluator = Evaluator(executor, ledger, budget, _evaluator_settings(workplace.settings))
    crew = _crew(workplace, ledger, budget, evaluator, narrator, lambda: 0.0)
    ending = await Campaign(crew, workplace.settings, policy_of(workplace)).run()
    ledger.end_session("finished")
    return ending
