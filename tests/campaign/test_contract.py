"""A contract in campaign.toml decides a whole campaign: kinder answers that are no longer right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from optimizer.campaign.contracting import missed_bounds
from optimizer.cli.compose import Workplace
from optimizer.domain.candidate import FileEdit, Proposal
from optimizer.domain.errors import ConfigError
from optimizer.domain.task import Score, Task
from optimizer.gate.contract import Contract, Metric
from optimizer.gate.pooled import pool
from optimizer.ledger.digest import content_digest
from optimizer.ledger.reader import LedgerReader
from optimizer.propose.protocol import ProposalRequest
from tests.campaign.session_of import run
from tests.campaign.toy import Toy, ToyBenchmark, ToyEnvironment, git, make_toy

CONTRACT = """
[contract]
policy = "weighted"
[[contract.metric]]
name = "success"
floor = {floor}
[[contract.metric]]
name = "{name}"
weight = 3
"""


class RatedEnvironment(ToyEnvironment):
    async def grade(self) -> Score:
        return replace(await super().grade(), metrics={"csat": float("please" in self._answer)})


class RatedBenchmark(ToyBenchmark):
    async def open(self, task: Task, *, trial: str) -> RatedEnvironment:
        return RatedEnvironment(task)


class Flatterer:
    """Offers one edit: it teaches the missing skill, and flatters where two others are asked for, which is wrong."""

    name = "toy"

    async def propose(self, request: ProposalRequest) -> Proposal | None:
        skill = request.cluster.label.rpartition("_")[2]
        kind = b'message.content + " please" * any(s in session.first_message for s in ("adding", "biking")))'
        agent = request.files["agent.py"].replace(b"message.content)", kind)
        prompt = request.files["prompt.md"] + f"You know {skill}.\n".encode()
        return Proposal(
            title="Be kind",
            hypothesis="People like it.",
            edits=(FileEdit(path="agent.py", content=agent), FileEdit(path="prompt.md", content=prompt)),
            target_tasks=request.target_tasks,
            rung="prompt",
            proposer="toy",
        )


@dataclass
class RatedToy(Toy):
    def workplace(self) -> Workplace:
        return replace(super().workplace(), benchmark=RatedBenchmark(), proposers=lambda: (Flatterer(),))


def rated(folder: Path, *, floor: float, name: str = "csat") -> RatedToy:
    toy = RatedToy(make_toy(folder).folder)
    settings = (folder / "campaign.toml").read_text().replace("candidates = 12", "candidates = 1")
    (folder / "campaign.toml").write_text(settings + CONTRACT.format(floor=floor, name=name))
    (folder / "prompt.md").write_text("You know adding.\nYou know biking.\nYou know cooking.\n")
    git(folder, "commit", "-qam", "contract")
    return toy


@pytest.mark.parametrize(("floor", "verdict", "code"), [(0.6, "reject", "contract"), (0.3, "accept", "target")])
def test_csat_up_and_success_down_ships_only_under_a_lower_floor(tmp_path, floor, verdict, code):
    toy = rated(tmp_path / "harness", floor=floor)
    run(toy)
    with LedgerReader.open(toy.ledger_folder) as reader:
        decision = reader.candidate(1).decision
    assert (decision.verdict, decision.reason_code) == (verdict, code)
    assert "conflict: csat better, success worse" in decision.reason
    ref = "hone/toy" if verdict == "accept" else "refs/hone/toy/rejected/1"
    assert decision.reason in git(toy.folder, "show", "-s", "--format=%B", ref)


def test_equal_campaigns_under_a_contract_are_equal(tmp_path):
    toys = [rated(tmp_path / name, floor=0.0) for name in ("one", "two")]
    for toy in toys:
        run(toy)
    assert len({content_digest(toy.ledger_folder) for toy in toys}) == 1


def test_a_metric_that_nobody_reports_is_refused_after_the_baseline_and_named(tmp_path):
    toy = rated(tmp_path / "harness", floor=0.0, name="nps")
    with pytest.raises((ConfigError, ExceptionGroup)) as caught:
        run(toy)
    error = caught.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert "'nps' was measured on none of 16 validation runs" in str(error)
    assert "csat" in str(error)


def test_bounds_that_the_harness_as_it_is_misses_are_said_at_the_start():
    contract = Contract(
        metrics=(Metric(name="success", floor=0.9), Metric(name="usd", direction="minimize", ceiling=9))
    )
    pooled = pool({}, contract, {"t": ({"usd": 1.0},)})
    (said,) = missed_bounds(contract, pooled, 0.4)
    assert said.startswith("[contract] floor 0.9 of success is missed by the harness as it is (0.4)")
