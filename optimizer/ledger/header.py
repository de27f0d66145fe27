"""What a campaign was started with; written once, at the head of its ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignHeader:
    """Identity of a campaign: two campaigns with equal headers (start time aside) do the same."""

    campaign: str
    """Name, as in `hone/<campaign>`."""
    benchmark: str
    benchmark_version: str
    base_commit: str
    """Commit the campaign starts from."""
    base_tree: str
    """Git tree hash of the harness at the start."""
    seed: int
    settings_json: str
    """All settings at the start, budget included, as JSON text."""
    settings_hash: str
    """Hash of the settings without the budget, which may be raised between sessions."""
    split_manifest_hash: str
    """Hash of which task is in which split."""
    started_at: str
    """ISO 8601, UTC; never compared."""
    hone_version: str
    is_simulated: bool
    """True when the agent's model is the simulated one."""
