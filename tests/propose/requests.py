"""Requests to proposers, as the loop would make them."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.domain.failure import Cluster, Failure
from optimizer.propose.playbook.entry import Entry, apply_entry, load_catalogue
from optimizer.propose.playbook.template import template_files
from optimizer.propose.protocol import ProposalRequest, TriedEdit

EDITABLE = ("agent.py", "tools.py", "context.py", "guards/**", "prompts/**")
TEMPLATE = template_files()
CATALOGUE = {entry.name: entry for entry in load_catalogue()}


def with_entries(*names: str, files: Mapping[str, bytes] = TEMPLATE) -> Mapping[str, bytes]:
    """A harness with entries applied one after the other."""
    current = dict(files)
    for name in names:
        edits = apply_entry(fixed(CATALOGUE[name]), template=TEMPLATE, current=current)
        current.update({edit.path: edit.content or b"" for edit in edits})
    return current


def fixed(entry: Entry) -> Entry:
    """An entry with the first variant of each parameter."""
    return entry.with_values({name: values[0] for name, values in entry.variants.items()})


def failure(number: int, *, evidence: str = '{"order_id":"#1"}') -> Failure:
    return Failure(
        id=f"f{number}",
        rollout_id=f"r{number}",
        task_id=f"train-{number}",
        tree="t0",
        signal="check_failed",
        label="looping.repeated_call",
        symptom=f"symptom {number}",
        cause="presumed cause",
        evidence=evidence,
        span=3,
        severity=0.7,
        signature="s",
    )


def cluster(label: str, *, number: int = 1) -> Cluster:
    return Cluster(
        id=number,
        label=label,
        signature="s",
        name="repeated the same failing call",
        state="open",
        n_failures=4,
        n_attempts=0,
        n_fruitless=0,
        failing_tasks=("train-1", "train-2"),
        severity=0.7,
        last_seen_batch=1,
    )


def tried(entry: str, *, cluster_id: int = 1, parent: str = "p0", verdict: str = "reject") -> TriedEdit:
    return TriedEdit(
        proposer=f"playbook/{entry}",
        title=f"title of {entry}",
        hypothesis=f"hypothesis of {entry}",
        cluster_id=cluster_id,
        verdict="accept" if verdict == "accept" else "reject",
        reason="2 of 6 target tasks fixed, 4 needed",
        parent=parent,
    )


def request(
    label: str = "looping.repeated_call",
    *,
    files: Mapping[str, bytes] = TEMPLATE,
    tried: tuple[TriedEdit, ...] = (),
    seed: int = 1,
    cluster_id: int = 1,
    parent: str = "p1",
) -> ProposalRequest:
    return ProposalRequest(
        cluster=cluster(label, number=cluster_id),
        failures=(failure(1), failure(2)),
        files=files,
        editable=EDITABLE,
        tried=tried,
        target_tasks=("train-1", "train-2"),
        seed=seed,
        guidance="",
        parent=parent,
    )
