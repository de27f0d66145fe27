"""From a cluster to a candidate commit: ask, check what was handed in, commit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.campaign.keeping import Signature
from optimizer.domain.budget import Budget, Spend
from optimizer.domain.candidate import Candidate, Decision, FileEdit, Proposal, ReasonCode
from optimizer.domain.errors import EditRefusedError
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.json import content_hash
from optimizer.domain.trace import Usage
from optimizer.ledger.ledger import Ledger
from optimizer.ledger.records import ProposalRecord, Refusal
from optimizer.propose.guards import check_edits
from optimizer.propose.protocol import ProposalFailedError, ProposalRequest, Proposer, TriedEdit
from optimizer.repo.harness import HarnessRepo
from optimizer.repo.trailers import Trailers, render_message

MAX_TARGETS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """What every proposal of a campaign has in common."""

    editable: tuple[str, ...]
    guidance: str
    seed: int
    worst_case: Spend
    """What one proposal may cost at most; set aside before it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A harness version to build on."""

    commit: str
    tree: str


class Workshop:
    """Turns clusters into candidates. Proposers are asked in order: the cheap rung first."""

    def __init__(  # noqa: PLR0913 - the composition root names each part
        self,
        *,
        repo: HarnessRepo,
        ledger: Ledger,
        budget: Budget,
        proposers: Sequence[Proposer],
        brief: Brief,
        signature: Signature,
        base: Version,
    ) -> None:
        self.base = base
        self._repo = repo
        self._ledger = ledger
        self._budget = budget
        self._proposers = tuple(proposers)
        self._brief = brief
        self._signature = signature
        self._tried: list[TriedEdit] = []
        self._trees = {base.tree: 0}

    async def offer(
        self, n: int, batch: int, parent: Version, cluster: Cluster, failures: tuple[Failure, ...]
    ) -> Candidate | Decision | None:
        """Candidate n for a cluster; a Decision when the edit is refused unpaid; None when nobody offers anything.

        Raises:
            BudgetExhaustedError: a proposal or a further candidate is not affordable.
        """
        reservation = self._budget.reserve(Spend(candidates=1) + self._brief.worst_case)
        record = self._ledger.proposal(n)
        is_anothers = record is not None and (record.batch, record.cluster_id) != (batch, cluster.id)
        if is_anothers:  # candidate n was offered for a later cluster, so this one was asked in vain
            record = None
        try:
            if record is None and not is_anothers:
                record = await self._asked(n, batch, parent, cluster, failures)
        finally:
            self._budget.settle(reservation, Spend() if record is None else _spend(record.usage))
        if record is None:
            return None
        self._ledger.record_proposal(record)
        if record.proposal is None:
            assert record.refusal is not None
            return self._refused(record, parent, record.refusal.code, record.refusal.reason)
        try:
            return self._committed(record, record.proposal, parent)
        except EditRefusedError as refusal:
            return self._refused(record, parent, refusal.code, str(refusal))

    def remember(self, cluster_id: int, proposal: Proposal, decision: Decision, parent: str) -> None:
        """Tell later proposals what became of this one."""
        self._tried.append(
            TriedEdit(
                proposer=proposal.proposer,
                title=proposal.title,
                hypothesis=proposal.hypothesis,
                cluster_id=cluster_id,
                verdict=decision.verdict,
                reason=decision.reason,
                parent=parent,
            )
        )

    async def _asked(
        self, n: int, batch: int, parent: Version, cluster: Cluster, failures: tuple[Failure, ...]
    ) -> ProposalRecord | None:
        request = ProposalRequest(
            cluster=cluster,
            failures=failures,
            files=self._repo.read(parent.tree),
            editable=self._brief.editable,
            tried=tuple(self._tried),
            target_tasks=cluster.failing_tasks[:MAX_TARGETS],
            seed=int(content_hash(self._brief.seed, n, length=12), 16),
            guidance=self._brief.guidance,
            parent=parent.tree,
        )
        for proposer in self._proposers:
            try:
                proposal = await proposer.propose(request)
            except ProposalFailedError as failed:
                refusal = Refusal(code=failed.code, reason=f"{proposer.name}: {failed}")
                return _record(n, batch, cluster.id, None, refusal=refusal, usage=failed.usage)
            if proposal is not None:
                return _record(n, batch, cluster.id, proposal, usage=proposal.usage)
        return None

    def _committed(self, record: ProposalRecord, proposal: Proposal, parent: Version) -> Candidate:
        """Check the edit and make its commit, all without a work tree.

        Raises:
            EditRefusedError: out of scope, broken, empty, too large, or a tree that was judged before.
        """
        known = self._ledger.candidate(record.n)
        if known is None:
            known = self._new_candidate(record, proposal, parent)
            self._ledger.record_candidate(known)
        self._trees[known.tree] = known.n
        return known

    def _new_candidate(self, record: ProposalRecord, proposal: Proposal, parent: Version) -> Candidate:
        self._check(proposal.edits, parent)
        trees = self._repo.write_tree(parent.commit, proposal.edits)
        if trees.harness in self._trees:
            earlier = self._trees[trees.harness]
            what = f"candidate {earlier}" if earlier else "the base"
            raise EditRefusedError("dup", f"the same harness as {what}; it is not paid for twice")
        trailers = Trailers(
            campaign=self._signature.campaign,
            candidate=record.n,
            cluster=record.cluster_id,
            proposer=proposal.proposer,
            is_simulated=self._signature.is_simulated,
        )
        message = render_message(proposal.title, proposal.hypothesis, trailers)
        commit = self._repo.commit(parent.commit, trees.root, message, at=self._signature.date(record.n))
        self._repo.hold_candidate(record.n, commit)
        return Candidate(
            n=record.n,
            parent=parent.commit,
            commit=commit,
            tree=trees.harness,
            cluster_id=record.cluster_id,
            batch=record.batch,
            proposal=proposal,
            diff=self._repo.diff(parent.commit, commit),
        )

    def _check(self, edits: tuple[FileEdit, ...], parent: Version) -> None:
        check_edits(self._repo.read(parent.tree), edits, editable=self._brief.editable)

    def _refused(self, record: ProposalRecord, parent: Version, code: str, reason: str) -> Decision:
        title = record.proposal.title if record.proposal else "unusable proposal"
        proposer = record.proposal.proposer if record.proposal else "unknown"
        decision = Decision(
            candidate=record.n,
            verdict="reject",
            reason_code=_refusal_code(code),
            reason=f"refused before any rollout ({code}): {title}: {reason}",
            checks=(),
            val_before=None,
            val_after=None,
            val_interval=None,
            fixed=(),
            broken=(),
            n_rollouts=0,
            usage=record.usage,
        )
        self._tried.append(
            TriedEdit(
                proposer=proposer,
                title=title,
                hypothesis=record.proposal.hypothesis if record.proposal else "",
                cluster_id=record.cluster_id,
                verdict="reject",
                reason=decision.reason,
                parent=parent.tree,
            )
        )
        return decision


def _record(
    n: int, batch: int, cluster_id: int, proposal: Proposal | None, *, usage: Usage, refusal: Refusal | None = None
) -> ProposalRecord:
    return ProposalRecord(n=n, batch=batch, cluster_id=cluster_id, proposal=proposal, refusal=refusal, usage=usage)


def _spend(usage: Usage) -> Spend:
    return Spend(usd=usage.usd or 0.0, tokens=usage.tokens, candidates=1)


def _refusal_code(code: str) -> ReasonCode:
    known: dict[str, ReasonCode] = {
        "scope": "scope",
        "dup": "dup",
        "syntax": "syntax",
        "empty": "empty",
        "size": "size",
    }
    return known.get(code, "apply")
