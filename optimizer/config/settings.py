"""What `campaign.toml` may say: one frozen model per section, one sentence per key.

The sentences are the documentation: `optimizer.config.reference.describe` reads them for `hone init` and the docs.
Defaults of the gate and their effect are measured in the gate benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue, Strict, model_validator
from pydantic_core import PydanticCustomError

from optimizer.config.contract import ContractSection
from optimizer.config.kinds import Globs, PositiveFloat, PositiveInt, RelativePath, Section, Slug, Text, Texts
from optimizer.config.mining import DiagnosisSection, EvalsSection, JudgeSection, MiningSection, ReviewSection
from optimizer.config.models import ModelSection, OwnModelSection
from optimizer.domain.budget import BudgetLimits


class CampaignSection(Section):
    """Which campaign this is."""

    name: Slug
    """Name of the branch `hone/<name>` and of the ledger's folder; a-z, 0-9 and '-', at most 48 characters."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Equal settings and equal seed give an equal campaign with the simulated model."""


class HarnessSection(Section):
    """What may be edited, and how the harness is started."""

    editable: Annotated[Globs, Field(min_length=1)]
    """Globs, relative to the harness folder, of the files a candidate may change; `**` spans folders."""
    entry: Annotated[Texts, Field(min_length=1)] | None = None
    """Command that runs the harness, in any language; without it `agent.py` runs in the warm Python."""
    requirements: RelativePath | None = "requirements.txt"
    """File with the Python packages the harness needs; ignored when it does not exist."""

    @model_validator(mode="after")
    def _stay_inside(self) -> HarnessSection:
        for glob in self.editable:
            if ".." in glob.split("/"):
                raise PydanticCustomError("outside", "editable globs without '..', not {glob}", {"glob": repr(glob)})
        return self


class BenchmarkSection(Section):
    """What the harness is measured on."""

    name: Text
    """Name under which the benchmark is installed, such as `helpdesk`."""
    options: Mapping[str, JsonValue] = Field(default_factory=dict)
    """Passed to the benchmark as they are; it says which it knows."""


class ProposerSection(Section):
    """Who proposes edits."""

    kinds: Annotated[
        tuple[Literal["playbook", "model"], ...], Strict(strict=False), Field(min_length=1, max_length=2)
    ] = ("playbook",)
    """In the order they are asked: `playbook` is a catalogue of known fixes, `model` asks [proposer.model]."""
    model: OwnModelSection | None = None
    """Needed when `kinds` names `model`."""

    @model_validator(mode="after")
    def _model_is_described(self) -> ProposerSection:
        if "model" in self.kinds and self.model is None:
            raise PydanticCustomError("needs_model", "a section [proposer.model], because kinds names 'model'")
        if len(set(self.kinds)) != len(self.kinds):
            raise PydanticCustomError("twice", "each of its kinds once")
        return self


class BudgetSection(Section):
    """Hard limits; reaching one is a planned stop. At least one is needed. May be raised before `hone resume`."""

    usd: PositiveFloat | None = None
    """USD for all model calls together, the proposer's included."""
    tokens: PositiveInt | None = None
    """Input and output tokens of all model calls together."""
    rollouts: PositiveInt | None = None
    """Rollouts of the harness, repetitions included."""
    candidates: PositiveInt | None = None
    """Candidates that are judged."""
    hours: PositiveFloat | None = None
    """Wall time over all sessions of the campaign."""

    def limits(self) -> BudgetLimits:
        """The limits as the account of a campaign knows them."""
        return BudgetLimits(
            usd=self.usd, tokens=self.tokens, rollouts=self.rollouts, candidates=self.candidates, hours=self.hours
        )

    @model_validator(mode="after")
    def _one_limit(self) -> BudgetSection:
        if not self.model_dump(exclude_none=True):
            raise PydanticCustomError("no_limit", "at least one of usd, tokens, rollouts, candidates, hours")
        return self


class LoopSection(Section):
    """The pace of the loop."""

    batch_size: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Train tasks per batch of traffic."""
    candidates_per_batch: Annotated[int, Field(ge=1, le=1000)] = 2
    """Candidates proposed after each batch."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 8
    """Rollouts that run at the same time; no part of a campaign's identity."""
    fruitless_limit: PositiveInt = 3
    """Rejected candidates in a row after which a cluster is set aside."""
    dormant_batches: PositiveInt = 3
    """Batches for which a cluster stays set aside."""
    promote_runs: PositiveInt = 2
    """Passes in a row after which a solved case joins the regression suite."""
    suite_limit: PositiveInt = 30
    """Most cases of the regression suite that are run per candidate, the most reliable first; none is dropped."""
    infra_retries: Annotated[int, Field(ge=0, le=100)] = 2
    """Repetitions of a rollout that ended in an infrastructure error."""
    max_infra_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Share of rollouts lost to infrastructure above which nothing is decided."""
    shared_luck: bool = True
    """Whether a version is served recorded answers to requests byte-identical to another's; docs/shared-luck.md."""


class GateSection(Section):
    """How much evidence an edit needs."""

    rule: Literal["trial", "published", "paired-kse"] = "trial"
    """`trial`: a sequential paired test on the targets, then a pooled guard on validation. `published`: suite share and
    the best score ever seen. `paired-kse`: mean paired difference of k standard errors. docs/gate.md compares them."""
    effort: Literal[1, 2, 3] = 1
    """1, 2 or 3: at most 18, 36, 36 candidate rollouts on targets and 1, 2, 3 passes over validation."""
    k_se: Annotated[float, Field(ge=0, le=5)] = 1.0
    """`paired-kse` alone: standard errors by which the mean difference must lie above zero."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    """1 - alpha of the test on the target tasks."""
    strictness: Annotated[float, Field(ge=0.5, lt=1)] = 0.5
    """Probability of no harm that validation must show; higher keeps out more harm and much more good."""
    regression_rate: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Share of the regression suite that must still pass."""
    pin: Texts = ()
    """Ids of tasks that must keep passing whatever else improves."""


class RolloutSection(Section):
    """Limits of one rollout; reaching one ends it."""

    max_calls: PositiveInt = 60
    """Model calls."""
    max_tokens: PositiveInt = 400_000
    """Input and output tokens."""
    max_usd: PositiveFloat = 0.25
    """USD."""
    wall_s: PositiveFloat = 180.0
    """Seconds of wall time."""
    memory_mb: Annotated[int, Field(ge=64, le=1_048_576)] = 512
    """MiB of memory of the sandbox."""


class SandboxSection(Section):
    """Where harness code runs."""

    backend: Literal["native", "docker", "reduced"] = "native"
    """`native`: Linux namespaces; `docker`: a container; `reduced`: weaker isolation, only by explicit wish."""
    warm: bool = False
    """`docker` only: runs of one candidate share warm containers, which is faster and weaker. Native is always warm."""


class GuidanceSection(Section):
    """What a person wants the proposer to know."""

    file: RelativePath | None = None
    """Markdown file in the harness folder that is shown to the proposer."""


class Settings(Section):
    """A whole `campaign.toml`."""

    campaign: CampaignSection
    """Which campaign this is."""
    harness: HarnessSection
    """What may be edited, and how the harness is started."""
    benchmark: BenchmarkSection
    """What the harness is measured on."""
    budget: BudgetSection
    """Hard limits; at least one is needed."""
    model: ModelSection = ModelSection()
    """The agent's own model."""
    proposer: ProposerSection = ProposerSection()
    """Who proposes edits."""
    loop: LoopSection = LoopSection()
    """The pace of the loop."""
    evals: EvalsSection = EvalsSection()
    """When a failure becomes an eval case that is believed."""
    gate: GateSection = GateSection()
    """How much evidence an edit needs."""
    review: ReviewSection = ReviewSection()
    """Which questions wait for a person."""
    contract: ContractSection = ContractSection()
    """What is wanted beside success, and what no gain may buy."""
    rollout: RolloutSection = RolloutSection()
    """Limits of one rollout."""
    sandbox: SandboxSection = SandboxSection()
    """Where harness code runs."""
    mining: MiningSection = MiningSection()
    """How failures are classed and weighed."""
    diagnosis: DiagnosisSection = DiagnosisSection()
    """A model that looks at failures, on top of the detectors."""
    judge: JudgeSection = JudgeSection()
    """A model that judges runs by a rubric."""
    guidance: GuidanceSection = GuidanceSection()
    """What a person wants the proposer to know."""
