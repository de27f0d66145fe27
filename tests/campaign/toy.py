"""A whole campaign in seconds: real git, ledger, gateway and sandbox; a toy benchmark, model and proposer.

Each task needs one of four skills. The model has a skill, mostly, when the prompt says so. The proposer offers, per
skill: an edit that helps, and on the way a no-op, a crash, an edit out of scope and the same edit again.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from optimizer.cli.compose import Workplace
from optimizer.cli.session import begin
from optimizer.config.load import load
from optimizer.domain.candidate import FileEdit, Proposal
from optimizer.domain.json import JsonObject, canonical_json, content_hash
from optimizer.domain.model import CallContext, UpstreamReply
from optimizer.domain.task import Action, Check, Observation, Opening, Score, Submit, Task
from optimizer.domain.trace import Usage
from optimizer.ledger.ledger import Ledger
from optimizer.propose.model_request import request_text
from optimizer.propose.protocol import ProposalRequest
from optimizer.repo.harness import HarnessRepo

SKILLS = ("adding", "biking", "cooking", "diving")
CANARY = {"val": "VAL-CANARY-5d1f", "test": "TEST-CANARY-77c2"}
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
HARNESS = Path(__file__).parent / "toy_harness"


class ToyEnvironment:
    def __init__(self, task: Task) -> None:
        self._task = task
        self._answer = ""

    def opening(self) -> Opening:
        message = f"skill: {self._task.slices[0]} ({CANARY.get(self._task.split, 'train')} {self._task.id[-2:]})"
        return Opening(instructions="Answer.", policy="Be right.", tools=(), first_message=message)

    async def step(self, action: Action) -> Observation:
        self._answer = action.answer if isinstance(action, Submit) else ""
        return Observation(source="end", content="", is_final=True)

    async def grade(self) -> Score:
        is_right = self._answer == "right"
        return Score(value=float(is_right), checks=(Check(name=f"skill_{self._task.slices[0]}", is_passed=is_right),))

    async def close(self) -> None:
        pass


class ToyBenchmark:
    name = "toy"
    version = "1"

    def tasks(self):
        sizes = {"train": 24, "val": 16, "test": 4}
        return tuple(
            Task(id=f"{split}-{i:02}", split=split, group=f"{split}{i}", slices=(SKILLS[i % 4],))  # type: ignore[arg-type]
            for split, n in sizes.items()
            for i in range(n)
        )

    async def open(self, task: Task, *, trial: str) -> ToyEnvironment:
        return ToyEnvironment(task)


@dataclass
class ToyModel:
    """Counts every call it answers, as a provider would."""

    bill: list[Usage] = field(default_factory=list)
    is_external = False

    async def chat(self, request: JsonObject, context: CallContext) -> UpstreamReply:
        system, user = (str(message["content"]) for message in request["messages"])  # type: ignore[index, union-attr]
        skill = user.split()[1]
        dice = random.Random(content_hash(canonical_json(request), context.luck, context.occurrence))
        is_right = dice.random() < (0.95 if f"know {skill}" in system else 0.15)
        usage = Usage(input_tokens=len(system), output_tokens=5, usd=len(system) * 1e-6 + 5e-6, n_calls=1)
        self.bill.append(usage)
        message = {"role": "assistant", "content": "right" if is_right else "wrong"}
        body = {
            "id": "toy",
            "object": "chat.completion",
            "created": 0,
            "model": "toy-model",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": len(system), "completion_tokens": 5, "total_tokens": len(system) + 5},
        }
        return UpstreamReply(body=body, usage=usage)

    async def close(self) -> None:
        pass


@dataclass
class ToyProposer:
    """Remembers all it was shown, for the test that nothing of val or test ever reaches it."""

    name: str = "toy"
    seen: list[str] = field(default_factory=list)
    n_asked: int = 0

    async def propose(self, request: ProposalRequest) -> Proposal | None:
        self.seen += [repr(request), request_text(request)]
        self.n_asked += 1
        skill = request.cluster.label.rpartition("_")[2]
        prompt, agent = request.files["prompt.md"], request.files["agent.py"]
        kind = ("crash", "good", "scope", "noop", "dup", "good")[len(request.tried) % 6]
        edits = {
            "good": FileEdit(path="prompt.md", content=prompt + f"You know {skill}.\n".encode()),
            "noop": FileEdit(path="agent.py", content=agent + b"# a comment\n"),
            "crash": FileEdit(path="agent.py", content=agent.replace(b"prompt = ", b"raise OSError\n    prompt = ")),
            "scope": FileEdit(path="campaign.toml", content=b""),
            "dup": FileEdit(path="prompt.md", content=b"Answer.\n"),
        }
        return Proposal(
            title=f"{kind}: teach {skill}",
            hypothesis="It does not know.",
            edits=(edits[kind],),
            target_tasks=request.target_tasks,
            rung="prompt",
            proposer="toy",
        )


@dataclass
class Toy:
    """A toy harness folder with the parts a test looks into."""

    folder: Path
    model: ToyModel = field(default_factory=ToyModel)
    proposer: ToyProposer = field(default_factory=ToyProposer)

    def workplace(self) -> Workplace:
        settings = load(self.folder / "campaign.toml")
        return Workplace(
            folder=self.folder,
            settings=settings,
            repo=HarnessRepo.open(self.folder, campaign=settings.campaign.name),
            benchmark=ToyBenchmark(),
            upstream=lambda: self.model,
            proposers=lambda: (self.proposer,),
        )

    def begin(self) -> Ledger:
        return begin(self.workplace(), now=STARTED)

    @property
    def ledger_folder(self) -> Path:
        return self.workplace().ledger_folder


def make_toy(folder: Path) -> Toy:
    """A committed toy harness in a new folder; equal content and dates, so equal commits everywhere."""
    shutil.copytree(HARNESS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "toy")
    return Toy(folder)


def git(folder: Path, *args: str) -> str:
    names = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
    dates = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
    done = subprocess.run(
        ["git", *args],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={**names, **dates, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    return done.stdout
