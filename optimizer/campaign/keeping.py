"""Keep a commit on the branch, or set it aside where it stays reachable for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from optimizer.domain.candidate import Candidate, Decision
from optimizer.ledger.ledger import Ledger
from optimizer.repo.harness import HarnessRepo
from optimizer.repo.trailers import render_message, trailers_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What goes on every commit of a campaign besides its evidence."""

    campaign: str
    started_at: datetime
    """Commit dates are counted from here, so that a resumed campaign makes the same commits again."""
    is_simulated: bool

    def date(self, n: int) -> datetime:
        """Date of candidate n."""
        return self.started_at + timedelta(seconds=n)


class Keeper:
    """Writes decisions into git. What a killed session has done already is found done."""

    def __init__(self, repo: HarnessRepo, ledger: Ledger, signature: Signature) -> None:
        self._repo = repo
        self._ledger = ledger
        self._signature = signature
        self._on_branch = frozenset(repo.accepted())
        self._aside = frozenset(repo.rejected())
        self._n_accepted = 0

    def accept(self, candidate: Candidate, decision: Decision, *, expected_head: str) -> str:
        """Advance the branch by a commit that carries its evidence; returns that commit."""
        self._n_accepted += 1
        commit = self._signed(candidate, decision, parent=expected_head)
        if commit not in self._on_branch:
            self._repo.advance(commit, expected_old=expected_head)
        self._ledger.record_accept(candidate.n, commit, self._n_accepted)
        self._repo.drop_candidate_ref(candidate.n)
        return commit

    def set_aside(self, candidate: Candidate, decision: Decision) -> None:
        """Keep a rejected candidate as refs/hone/<campaign>/rejected/<n>."""
        if candidate.n not in self._aside:
            self._repo.set_aside(candidate.n, self._signed(candidate, decision, parent=candidate.parent))
        self._repo.drop_candidate_ref(candidate.n)

    def _signed(self, candidate: Candidate, decision: Decision, *, parent: str) -> str:
        suite = next((check for check in decision.checks if check.name == "regression_suite"), None)
        trailers = trailers_of(
            decision,
            campaign=self._signature.campaign,
            cluster=candidate.cluster_id,
            proposer=candidate.proposal.proposer,
            regression=None if suite is None or suite.value is None else suite.note,
            is_simulated=self._signature.is_simulated,
        )
        message = render_message(candidate.proposal.title, candidate.proposal.hypothesis, trailers)
        root = self._repo.describe(candidate.commit).tree
        return self._repo.commit(parent, root, message, at=self._signature.date(candidate.n))
