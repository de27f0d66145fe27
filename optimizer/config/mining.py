"""Failures, cases, questions and judges in `campaign.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, Strict

from optimizer.config.kinds import PositiveFloat, PositiveInt, RelativePath, Section, Text, Weight
from optimizer.config.models import OwnModelSection


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


class ReviewSection(Section):
    """Which questions wait for a person; `hone review` lists and answers them."""

    mode: Literal["auto", "human"] = "auto"
    """`auto`: the default answer applies at once; `human`: the loop takes the cautious choice until someone answers."""
    always_ask: Annotated[
        tuple[Literal["cluster_merge", "label", "case", "taxonomy", "judge_conflict"], ...], Strict(strict=False)
    ] = ()
    """Kinds of questions that wait for a person in mode `auto` too."""


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
