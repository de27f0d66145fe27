"""What a proposer is: one cluster of failures in, one proposed edit out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from optimizer.domain.candidate import Proposal, Verdict
from optimizer.domain.errors import EditRefusedError
from optimizer.domain.failure import Cluster, Failure
from optimizer.domain.trace import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedEdit:
    """An earlier candidate of the campaign, and what became of it."""

    proposer: str
    title: str
    hypothesis: str
    cluster_id: int
    verdict: Verdict
    reason: str
    """The decision's sentence; of `val` and `test` it holds aggregate numbers at most."""
    parent: str = ""
    """Commit or tree it was made on, spelled as in `ProposalRequest.parent`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRequest:
    """All a proposer may know. Nothing of `val` or `test` is in it but aggregate scores in `tried`."""

    cluster: Cluster
    failures: tuple[Failure, ...]
    """Recent ones of the cluster, from train tasks only."""
    files: Mapping[str, bytes]
    """The current harness, path -> content."""
    editable: tuple[str, ...]
    """Globs of what an edit may touch."""
    tried: tuple[TriedEdit, ...]
    """All earlier candidates of the campaign, oldest first."""
    target_tasks: tuple[str, ...]
    """Train tasks the edit should fix."""
    seed: int
    """Derived per proposal; the only source of randomness."""
    guidance: str = ""
    """The campaign owner's words to proposers."""
    parent: str = ""
    """What identifies `files`; the same files have the same parent."""


class ProposalFailedError(EditRefusedError):
    """A proposal was paid for and cannot be used; `usage` is what it cost and has to be settled all the same."""

    def __init__(self, code: str, message: str, *, usage: Usage) -> None:
        super().__init__(code, message)
        self.usage = usage


class Proposer(Protocol):
    """Where candidates come from."""

    name: str
    """`playbook`, `model/<model name>`, ..."""

    async def propose(self, request: ProposalRequest) -> Proposal | None:
        """Propose one edit; None when there is nothing more to offer for this cluster.

        Raises:
            ProposalFailedError: the answer cannot be used; its `usage` counts.
            ModelError: the model behind the proposer could not be reached or understood.
        """
        ...
