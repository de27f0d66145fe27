"""`hone lineage` on a campaign that really ran: every id it has leads somewhere, both ways."""

from __future__ import annotations

import json

from optimizer.ledger.reader import LedgerReader
from tests.campaign.conftest import Finished
from tests.campaign.toy import git
from tests.cli.conftest import hone


def nodes(listed: list) -> list[dict]:
    return [found for node in listed for found in (node, *nodes(node["children"]))]


def lineage(finished: Finished, item: str) -> dict:
    said = hone("lineage", item, "--json", "--limit", "50", cwd=finished.toy.folder)
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_an_accepted_commit_leads_back_to_the_traces_behind_it_and_a_trace_to_the_commit(finished: Finished):
    with LedgerReader.open(finished.toy.ledger_folder) as reader:
        accepted = reader.accepted()[0]
    back = lineage(finished, accepted.commit[:12])
    assert back["subject"]["id"] == accepted.commit
    found = nodes(back["origins"])
    assert {"decision", "candidate", "cluster", "failure", "rollout", "trace"} <= {
        each["item"]["kind"] for each in found
    }
    trace = next(each["item"]["id"] for each in found if each["item"]["kind"] == "trace")
    forth = nodes(lineage(finished, trace)["outcomes"])
    assert accepted.commit in {each["item"]["id"] for each in forth}


def test_a_case_leads_back_to_its_rollout(finished: Finished):
    with LedgerReader.open(finished.toy.ledger_folder) as reader:
        case = reader.suite()[0].case
    found = lineage(finished, case.id)
    assert case.rollout_id in {each["item"]["id"] for each in nodes(found["origins"])}


def test_a_commit_that_was_set_aside_or_picked_names_its_candidate_through_its_message(finished: Finished):
    refs = git(
        finished.toy.folder, "for-each-ref", "--format=%(objectname) %(refname:lstrip=4)", "refs/hone/toy/rejected/"
    )
    sha, n = refs.split("\n")[0].split()
    assert lineage(finished, sha[:10])["subject"] == lineage(finished, f"candidate:{n}")["subject"]


def test_the_text_is_a_tree(finished: Finished):
    said = hone("lineage", "1", cwd=finished.toy.folder)
    assert said.code == 0, said.err
    assert said.out.startswith("candidate 1 ")
    assert "└─ made for cluster k" in said.out
    assert "  led to\n  └─ judged decision 1" in said.out


def test_an_id_that_is_nothing_says_what_would_be_one(finished: Finished):
    said = hone("lineage", "deadbeef99", cwd=finished.toy.folder)
    assert said.code == 7
    assert "is nothing in this campaign" in said.err
    assert "k12 for a cluster" in said.err
