"""What `campaign.toml` may say: one frozen model per section, one sentence per key.

The sentences are the documentation: `optimizer.config.reference.describe` reads them for `hone init` and the docs.
Defaults of the gate and their effect are measured in the gate benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from optimizer.domain.budget import BudgetLimits

Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$")]
EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]
RelativePath = Annotated[str, StringConstraints(pattern=r"^[^/\\\x00-\x1f]([^\\\x00-\x1f]*[^/\\\x00-\x1f])?$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")]
Texts = Annotated[tuple[Text, ...], Strict(strict=False)]
Globs = Annotated[tuple[RelativePath, ...], Strict(strict=False)]
PositiveInt = Annotated[int, Field(ge=1, le=10**12)]
PositiveFloat = Annotated[float, Field(gt=0, le=1e12)]
Price = Annotated[float, Field(ge=0, le=1e6)]


class Section(BaseModel):
    """A section of the file: unknown keys are refused, NaN is refused, types are not converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


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


class PriceSection(Section):
    """What tokens of the agent's model cost; without it the price list that is shipped is asked."""

    input_usd_per_m: Price
    """USD per million input tokens."""
    output_usd_per_m: Price
    """USD per million output tokens, reasoning included."""
    cached_usd_per_m: Price | None = None
    """USD per million input tokens served from the provider's cache; without it they cost as much as others."""


class ModelSection(Section):
    """The agent's own model, reached through the gateway."""

    provider: Literal["sim", "openai", "anthropic", "litellm"] = "sim"
    """`sim` is the simulated model that needs no key; `openai` speaks to any server with that wire format."""
    name: Text = "sim"
    """Name of the model as its provider knows it."""
    base_url: Url | None = None
    """Address of the server; without it the provider's own."""
    api_key_env: EnvName | None = None
    """Environment variable that holds the key; without it the provider's usual one. Never the key itself."""
    max_output_tokens: PositiveInt = 4096
    """Upper limit for one answer, whatever the harness asks for."""
    output_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """How a chat completions server spells that limit; OpenAI's reasoning models know only `max_completion_tokens`."""
    max_concurrent: Annotated[int, Field(ge=1, le=4096)] = 64
    """Calls to the provider at the same time, over all rollouts; no part of a campaign's identity."""
    requests_per_minute: PositiveInt | None = None
    """Most requests to the provider per minute, retries included; no part of a campaign's identity."""
    tokens_per_minute: PositiveInt | None = None
    """Most tokens per minute, input and allowed output together; no part of a campaign's identity."""
    price: PriceSection | None = None
    """Prices of this model, where the shipped list is wrong or silent."""


class OwnModelSection(Section):
    """A model that hone itself asks: to propose, to diagnose, to judge."""

    provider: Literal["anthropic", "openai", "litellm"]
    """Client to call it with."""
    name: Text
    """Name of the model as its provider knows it."""
    base_url: Url | None = None
    """Address of the server; without it the provider's own."""
    api_key_env: EnvName | None = None
    """Environment variable that holds the key; without it the provider's usual one. Never the key itself."""
    max_output_tokens: PositiveInt = 16384
    """Upper limit for one answer."""
    price: PriceSection | None = None
    """Prices of this model, where the shipped list is wrong or silent."""


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


class EvalsSection(Section):
    """When a failure becomes an eval case that is believed."""

    verify_runs: Annotated[int, Field(ge=0, le=20)] = 2
    """Repeats on the harness that failed before a case joins the suite; only those not made anyway are paid for."""
    flaky_rate: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of those repeats above which passing makes a case flaky: it is quarantined, with the reason."""
    duplicate_similarity: Annotated[float, Field(gt=0.5, le=1)] = 0.8
    """Similarity (Jaccard) of two tasks' openings from which the later case is a near-duplicate."""
    admit: Mapping[Text, Text] = Field(default_factory=dict)
    """Train tasks whose cases are admitted in spite of a leak or likeness, each with the person who says so."""
    synthetic_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of made-up variations in any suite at most; 0 makes none. One costs verify_runs + promote_runs + 1 runs."""


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


class ReviewSection(Section):
    """Which questions wait for a person; `hone review` lists and answers them."""

    mode: Literal["auto", "human"] = "auto"
    """`auto`: the default answer applies at once; `human`: the loop takes the cautious choice until someone answers."""
    always_ask: Annotated[
        tuple[Literal["cluster_merge", "label", "case", "taxonomy", "judge_conflict"], ...], Strict(strict=False)
    ] = ()
    """Kinds of questions that wait for a person in mode `auto` too."""


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


Weight = Annotated[float, Field(ge=0, le=1000)]


class SignalWeightsSection(Section):
    """How much each kind of signal counts when clusters are ranked; 0 leaves it out of account."""

    check_failed: Weight = 1.0
    """A check of the benchmark failed."""
    hard_error: Weight = 1.0
    """The run crashed or met a limit, or a tool, the context or the model's output broke."""
    user_correction: Weight = 0.8
    """The user said that the agent was wrong, or had to ask again."""
    abandonment: Weight = 0.8
    """The user gave up."""
    judge_fail: Weight = 0.6
    """A judge, or a detector on a trace without checks, found a mistake."""
    business_metric: Weight = 0.5
    """A figure of the business says so."""


class MiningSection(Section):
    """How failures are classed and weighed."""

    taxonomy: RelativePath | None = None
    """TOML file in the harness folder with the team's own failure classes; without it the shipped ones are used."""
    half_life_batches: Annotated[float, Field(gt=0, le=1e6)] = 8.0
    """Batches after which a failure counts half when clusters are ranked."""
    signal_weights: SignalWeightsSection = SignalWeightsSection()
    """How much each kind of signal counts when clusters are ranked."""


class DiagnosisSection(Section):
    """A model that looks at failures, on top of the detectors."""

    model: OwnModelSection | None = None
    """Without it the detectors alone carry the loop."""
    per_batch: Annotated[int, Field(ge=0, le=1000)] = 6
    """Failures a model looks at per batch at most: typical ones of new and grown clusters first."""
    name_clusters: bool = True
    """Whether the model also names clusters."""
    induce_from: Annotated[int, Field(ge=0, le=10_000)] = 12
    """Failures that no class fits from which the model proposes new classes; 0 means never."""
    annotators: Annotated[int, Field(ge=2, le=20)] = 4
    """Independent labellings that proposed classes must agree in."""
    min_kappa: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Agreement (Fleiss' kappa) of the annotators below which new classes stay proposals."""
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of those failures that must find a class."""


class JudgeSection(Section):
    """A model that judges runs by a rubric; it decides nothing until it is calibrated."""

    model: OwnModelSection | None = None
    """The judging model; without it no case has a semantic layer."""
    rubric: RelativePath | None = None
    """Markdown file in the harness folder with the question to judge by."""
    min_kappa: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Agreement with people (Cohen's kappa) below which the judge may not gate."""
    min_examples: PositiveInt = 20
    """Labelled examples of a calibration below which it may not gate."""
    max_age_days: PositiveFloat = 30.0
    """Days after which a calibration is too old to gate by."""


class GuidanceSection(Section):
    """What a person wants the proposer to know."""

    file: RelativePath | None = None
    """Markdown file in the harness folder that is shown to the proposer."""


_COUNTED = frozenset({"usd", "tokens", "latency_s", "model_calls"})
"""Metrics without a natural 1.0."""
_MINIMIZED = _COUNTED | {"escalation"}


class ContractMetricSection(Section):
    """One metric of the contract; docs/contract.md has the formulae."""

    name: Annotated[str, StringConstraints(pattern=r"^(check:.{1,200}|[a-z][a-z0-9_]{0,47})$")]
    """`success`, `score`, `usd`, `tokens`, `latency_s`, `model_calls`, `escalation`, `safety`, `trajectory`,
    `check:<name>`, or an outcome that the benchmark reports."""
    direction: Literal["maximize", "minimize"] | None = None
    """Which way is better; without it costs and `escalation` are minimized and all others maximized."""
    weight: Weight = 1.0
    """`weighted` alone: share in the utility, relative to the other weights."""
    floor: float | None = None
    """Lowest value on validation with which a change may ship, whatever else it gains."""
    ceiling: float | None = None
    """Highest value on validation with which a change may ship, whatever else it gains."""
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """Guardrail: how much worse than the trunk's pooled value a change may be; without it there is none."""
    tolerance_kind: Literal["absolute", "relative"] = "absolute"
    """`absolute`: tolerance and tie in units of the metric; `relative`: as shares of the trunk's value."""
    tie: Annotated[float, Field(ge=0)] | None = None
    """`lexicographic` alone: a difference up to this decides nothing; without it the tolerance, and else 0."""
    scale: Annotated[float, Field(gt=0, le=1e12)] | None = None
    """Value that counts as 1.0 in weighing; 1 where it is left out, and needed for costs and counts."""
    slices: Mapping[str, float] = Field(default_factory=dict)
    """Bound for the validation tasks of single slices by name: a floor, or a ceiling where the metric is minimized."""

    @property
    def is_minimized(self) -> bool:
        """Which way is better, the default included."""
        return self.direction == "minimize" or (self.direction is None and self.name in _MINIMIZED)

    @model_validator(mode="after")
    def _makes_sense(self) -> ContractMetricSection:
        if self.name == "utility":
            raise PydanticCustomError("contract", "another name: 'utility' is the weighted sum itself")
        if self.name == "success" and (self.is_minimized or self.scale not in {None, 1.0}):
            raise PydanticCustomError("contract", "for 'success' neither a direction nor a scale: it is 0 or 1")
        if self.name in _COUNTED and self.scale is None:
            raise PydanticCustomError(
                "contract", "scale, the value that counts as 1.0, because {name} has none", {"name": repr(self.name)}
            )
        if self.floor is not None and self.ceiling is not None and self.floor > self.ceiling:
            raise PydanticCustomError("contract", "a floor that is not above the ceiling; now nothing could ship")
        if self.tolerance_kind == "relative" and self.tolerance is None and self.tie is None:
            raise PydanticCustomError("contract", "a tolerance or a tie for tolerance_kind to speak of, or none")
        return self


class ContractSection(Section):
    """What is wanted beside success, and what no gain may buy."""

    policy: Literal["lexicographic", "weighted"] = "lexicographic"
    """`lexicographic`: the first metric that differs by more than a tie decides. `weighted`: their weighted mean."""
    safety_checks: Texts = ()
    """Checks whose failure counts against `safety`; without them all that the taxonomy files under `policy`."""
    metric: Annotated[tuple[ContractMetricSection, ...], Strict(strict=False)] | None = None
    """The metrics, the most important first; without any, success alone."""

    @model_validator(mode="after")
    def _agrees(self) -> ContractSection:
        names = [metric.name for metric in self.metric or ()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PydanticCustomError("contract", "each metric once, not {names} twice", {"names": ", ".join(twice)})
        if self.policy == "weighted" and self.metric and not any(metric.weight for metric in self.metric):
            raise PydanticCustomError("contract", "a metric with a weight above 0, because policy is 'weighted'")
        return self


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
