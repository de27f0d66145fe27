"""A whole toy campaign in which a model diagnoses: every failure is an asset, and none is paid for twice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from optimizer.domain.candidate import FileEdit, Proposal
from optimizer.ledger.digest import content_digest
from optimizer.ledger.reader import LedgerReader
from optimizer.propose.protocol import ProposalRequest
from tests.campaign.session_of import run
from tests.campaign.toy import Toy, ToyProposer, git, make_toy
from tests.models.own_models import TURN_USD
from tests.models.wire_server import wire_server

DIAGNOSIS = """
[diagnosis.model]
provider = "openai"
name = "m-x"
base_url = "{url}/v1"
max_output_tokens = 500

[diagnosis.model.price]
input_usd_per_m = 1.0
cached_usd_per_m = 0.1
output_usd_per_m = 10.0
"""


@dataclass
class ForgetfulProposer(ToyProposer):
    """Teaches one skill well; every later lesson takes the place of all before."""

    async def propose(self, request: ProposalRequest) -> Proposal | None:
        self.n_asked += 1
        skill = request.cluster.label.rpartition("_")[2]
        return Proposal(
            title=f"teach {skill} alone",
            hypothesis="It does not know.",
            edits=(FileEdit(path="prompt.md", content=f"Answer.\nYou know {skill}.\n".encode()),),
            target_tasks=request.target_tasks,
            rung="prompt",
            proposer="toy",
        )


def test_a_candidate_that_breaks_what_was_solved_is_rejected_by_name_and_a_resume_pays_nothing(tmp_path):
    toy = Toy(make_toy(tmp_path / "harness").folder, proposer=ForgetfulProposer())
    with wire_server() as wire:
        settings = toy.folder / "campaign.toml"
        text = settings.read_text().replace("candidates = 12", "candidates = 4")
        settings.write_text(text + DIAGNOSIS.format(url=wire.origin))
        git(toy.folder, "commit", "-q", "-a", "-m", "with a model that diagnoses")
        assert run(toy) == "candidates"
        n_heard, digest = len(wire.heard), content_digest(toy.ledger_folder)
        again = Toy(toy.folder, proposer=ForgetfulProposer())
        assert run(again) == "candidates"
        assert (len(wire.heard), again.model.bill, again.proposer.n_asked) == (n_heard, [], 0)
    assert content_digest(toy.ledger_folder) == digest
    with LedgerReader.open(toy.ledger_folder) as reader:
        spent = reader.status().spent.usd
        decisions = [reader.candidate(row.n).decision for row in reader.candidates()]
        suite = {row.case.id: row.case for row in reader.suite() if row.case.state == "active"}
    assert n_heard > 0
    assert spent == pytest.approx(sum(usage.usd for usage in toy.model.bill) + n_heard * TURN_USD)
    assert any(decision.verdict == "accept" for decision in decisions)
    refused = [decision for decision in decisions if decision.reason_code == "suite"]
    assert refused
    assert all(any(case_id in decision.reason for case_id in suite) for decision in refused)
