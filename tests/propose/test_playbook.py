"""Which entry the playbook proposes, and when it has nothing more to offer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from optimizer.domain.trace import Usage
from optimizer.propose.playbook.proposer import PlaybookProposer
from tests.propose.requests import CATALOGUE, request, tried, with_entries

pytestmark = pytest.mark.anyio


def offered(label: str) -> set[str]:
    return {name for name, entry in CATALOGUE.items() if label in entry.treats}


async def all_proposals(label: str, *, seed: int) -> list[str]:
    """What is proposed for one cluster until nothing is left, everything being rejected."""
    proposer = PlaybookProposer(seed)
    names: list[str] = []
    while proposal := await proposer.propose(
        request(label, tried=tuple(tried(name) for name in names), seed=len(names))
    ):
        names.append(proposal.proposer.removeprefix("playbook/"))
    return names


async def test_every_entry_that_treats_the_label_is_offered_once_then_none() -> None:
    names = await all_proposals("looping.repeated_call", seed=1)

    assert sorted(names) == sorted(offered("looping.repeated_call"))


async def test_the_order_follows_from_the_seed() -> None:
    first, second = [await all_proposals("planning.missing_step", seed=5) for _ in range(2)]
    others = {tuple(await all_proposals("planning.missing_step", seed=seed)) for seed in range(6)}

    assert first == second
    assert len(others) > 1


async def test_a_high_prior_mostly_comes_first() -> None:
    firsts = [(await all_proposals("looping.repeated_call", seed=seed))[0] for seed in range(10)]

    assert firsts.count("repeated-call-guard") > 5
    assert "fewer-steps" not in firsts


async def test_a_label_nothing_treats_gets_no_proposal() -> None:
    assert await PlaybookProposer(1).propose(request("harness.crash")) is None


async def test_an_entry_rejected_on_one_cluster_may_be_tried_on_another_once_the_harness_has_moved_on() -> None:
    label = "policy.over_refusal"
    history = tuple(tried(name, cluster_id=2, parent="p0") for name in offered(label))

    assert await PlaybookProposer(1).propose(request(label, tried=history, parent="p1")) is not None
    assert await PlaybookProposer(1).propose(request(label, tried=history, parent="p0")) is None


async def test_an_earlier_rejection_elsewhere_lowers_the_rank() -> None:
    label = "tool_selection.hallucinated_tool"
    history = tuple(tried("tool-name-guard", cluster_id=number, parent="p0") for number in range(2, 8))

    proposal = await PlaybookProposer(1).propose(request(label, tried=history))

    assert proposal is not None
    assert proposal.proposer != "playbook/tool-name-guard"


async def test_entries_already_in_the_harness_are_passed_over() -> None:
    label = "policy.over_refusal"
    files = with_entries(*offered(label))

    assert await PlaybookProposer(1).propose(request(label, files=files)) is None


async def test_entries_that_need_files_outside_the_editable_ones_are_passed_over() -> None:
    narrow = replace(request("looping.repeated_call"), editable=("prompts/**",))

    proposal = await PlaybookProposer(1).propose(narrow)

    assert proposal is not None
    assert all(edit.path.startswith("prompts/") for edit in proposal.edits)


async def test_a_proposal_names_its_entry_targets_the_tasks_and_costs_nothing() -> None:
    proposal = await PlaybookProposer(1).propose(request("policy.missed_escalation"))

    assert proposal is not None
    entry = CATALOGUE[proposal.proposer.removeprefix("playbook/")]
    assert (proposal.rung, proposal.hypothesis) == (entry.rung, entry.hypothesis)
    assert proposal.target_tasks == ("train-1", "train-2")
    assert proposal.usage == Usage()
    assert len(proposal.title) <= 72


@pytest.mark.parametrize("label", ["harness.step_limit", "policy.no_confirmation", "looping.repeated_call"])
async def test_a_harness_that_does_not_derive_from_the_template_gets_no_proposal(label: str) -> None:
    foreign = {"agent.py": b"async def run(session):\n    await session.submit()\n"}

    assert await PlaybookProposer(1).propose(request(label, files=foreign)) is None
