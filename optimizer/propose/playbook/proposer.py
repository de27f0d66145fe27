"""The proposer that tries known fixes."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import anyio.to_thread

from optimizer.domain.candidate import FileEdit, Proposal
from optimizer.domain.errors import EditRefusedError
from optimizer.propose.guards import check_edits
from optimizer.propose.playbook.entry import Entry, apply_entry, load_catalogue
from optimizer.propose.playbook.template import template_files
from optimizer.propose.protocol import ProposalRequest, TriedEdit

JITTER = 0.25
"""Width of what chance adds to a prior: enough to swap neighbours now and then, not to turn the order over."""
REJECTION_COST = 0.15
"""What each earlier rejection in the campaign takes off a prior."""
MAX_TARGET_TASKS = 6


class PlaybookProposer:
    """Offers, for a cluster, the most promising known fix that treats its label and was not tried on it."""

    name = "playbook"

    def __init__(
        self,
        seed: int,
        *,
        entries: tuple[Entry, ...] | None = None,
        template: Mapping[str, bytes] | None = None,
    ) -> None:
        """Take the shipped catalogue and template unless others are given."""
        self._seed = seed
        self._entries = load_catalogue() if entries is None else entries
        self._template = template_files() if template is None else template

    async def propose(self, request: ProposalRequest) -> Proposal | None:
        """Propose the first entry, in order of promise, that can be applied to the current harness."""
        return await anyio.to_thread.run_sync(self._first_applicable, request)

    def _first_applicable(self, request: ProposalRequest) -> Proposal | None:
        rng = Random(f"{self._seed}/{request.seed}/{request.cluster.id}")
        for entry in self._ranked(request, rng):
            drawn = entry.drawn(rng)
            try:
                edits = apply_entry(drawn, template=self._template, current=request.files)
                check_edits(request.files, edits, editable=request.editable)
            except EditRefusedError:
                continue  # not applicable to this harness
            return _proposal(drawn, edits, request)
        return None

    def _ranked(self, request: ProposalRequest, rng: Random) -> list[Entry]:
        """Order the untried entries that treat the label: by prior, less its rejections, plus a little chance."""
        promise = {
            entry.name: entry.prior - REJECTION_COST * _n_rejections(entry, request.tried) + rng.uniform(0.0, JITTER)
            for entry in self._entries
        }
        offered = [
            entry for entry in self._entries if request.cluster.label in entry.treats and not _is_tried(entry, request)
        ]
        return sorted(offered, key=lambda entry: (-promise[entry.name], entry.name))


def proposer_name(entry: Entry) -> str:
    """Spell an entry as the proposer of its candidate."""
    return f"{PlaybookProposer.name}/{entry.name}"


def _is_tried(entry: Entry, request: ProposalRequest) -> bool:
    """Whether an entry was tried on this cluster, or on this very tree for any cluster."""
    return any(
        tried.cluster_id == request.cluster.id or tried.parent == request.parent
        for tried in request.tried
        if tried.proposer == proposer_name(entry)
    )


def _n_rejections(entry: Entry, tried: tuple[TriedEdit, ...]) -> int:
    return sum(edit.proposer == proposer_name(entry) and edit.verdict == "reject" for edit in tried)


def _proposal(entry: Entry, edits: tuple[FileEdit, ...], request: ProposalRequest) -> Proposal:
    return Proposal(
        title=entry.title,
        hypothesis=entry.hypothesis,
        edits=edits,
        target_tasks=request.target_tasks[:MAX_TARGET_TASKS],
        rung=entry.rung,
        proposer=proposer_name(entry),
        predicted_fixes=f"fewer failures of the class {request.cluster.label}",
    )
