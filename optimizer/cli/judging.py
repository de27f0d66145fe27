"""`hone judge`: which judge a folder has, how far it agrees with people, and whether it may decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from optimizer.cli.compose import CONFIG_NAME
from optimizer.cli.models import language_model
from optimizer.cli.reading import STATE, open_reader
from optimizer.config.load import load
from optimizer.config.mining import JudgeSection
from optimizer.config.models import OwnModelSection
from optimizer.config.settings import Settings
from optimizer.domain.errors import ConfigError
from optimizer.domain.trace import Trace
from optimizer.evals.calibration import (
    CalibrationReport,
    CalibrationRules,
    calibrate,
    drift,
    probe_biases,
    refusal,
)
from optimizer.evals.calibration_store import append, history, latest
from optimizer.evals.judges import ModelJudge, judge_identity, judge_name
from optimizer.evals.judging import Rubric
from optimizer.evals.labelled import read_examples
from optimizer.repo.state import state_folder

MAX_PROBED = 20
"""Examples that a probe judges again; each takes three more calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A judge as it stands today."""

    judge: str
    rubric: str
    refusal: str | None
    """Why it may not gate; None when it may."""
    drift: str | None
    """What has changed significantly since the calibration before; None when nothing has."""
    reports: tuple[CalibrationReport, ...]
    """Oldest first."""


def judge_settings(settings: Settings) -> tuple[JudgeSection, OwnModelSection]:
    """The section of the judge, and of its model.

    Raises:
        ConfigError: [judge] names no model or no rubric.
    """
    section = settings.judge
    if section.model is None or section.rubric is None:
        raise ConfigError(
            "campaign.toml describes no judge: [judge] needs `rubric` and a section [judge.model] with provider, name."
        )
    return section, section.model


def rubric_of(folder: Path, section: JudgeSection) -> Rubric:
    """The rubric, named after its file.

    Raises:
        ConfigError: it cannot be read, or is empty.
    """
    path = folder / str(section.rubric)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the rubric {path} cannot be read ({error}). Correct [judge] rubric.") from error
    if not text:
        raise ConfigError(f"the rubric {path} is empty. Write down what a run must fulfil, as a question.")
    return Rubric(name=path.stem, text=text)


def rules_of(section: JudgeSection) -> CalibrationRules:
    """What a calibration must show."""
    return CalibrationRules(
        min_kappa=section.min_kappa, min_examples=section.min_examples, max_age_days=section.max_age_days
    )


async def calibrated(folder: Path, examples: Path, campaign: str | None, *, probes: bool) -> Standing:
    """Judge all labelled examples, keep the calibration, and say where the judge stands.

    Raises:
        ConfigError: settings, rubric or examples cannot be used.
        ModelError: the judging model cannot be reached.
    """
    settings = load(folder / CONFIG_NAME)
    section, asked = judge_settings(settings)
    rubric = rubric_of(folder, section)
    runs = read_examples(examples, lambda rollout_id: _trace(folder, campaign, rollout_id))
    model = language_model(asked)
    judge = ModelJudge(model, max_output_tokens=asked.max_output_tokens)
    swapped = ModelJudge(model, order=("fail", "pass"), max_output_tokens=asked.max_output_tokens)
    probe = await probe_biases(judge, swapped, rubric, runs[:MAX_PROBED]) if probes else None
    report = await calibrate(judge, rubric, runs, at=datetime.now(UTC), probe=probe)
    append(state_of(folder, settings), report)
    return standing(folder, now=report.at)


def standing(folder: Path, *, now: datetime) -> Standing:
    """Where the folder's judge stands; no model is asked.

    Raises:
        ConfigError: settings, rubric or calibrations cannot be used.
    """
    settings = load(folder / CONFIG_NAME)
    section, asked = judge_settings(settings)
    rubric = rubric_of(folder, section)
    judge = judge_name(asked.name)
    reports = tuple(
        one for one in history(state_of(folder, settings)) if (one.judge, one.rubric) == (judge, rubric.name)
    )
    last = latest(reports, judge, rubric.name)
    return Standing(
        judge=judge,
        rubric=rubric.name,
        refusal=refusal(last, judge_identity(judge, rubric), rules_of(section), now),
        drift=drift(reports[-2], reports[-1]) if len(reports) > 1 else None,
        reports=reports,
    )


def state_of(folder: Path, settings: Settings) -> Path:
    """`.hone`, invisible to git."""
    return state_folder(folder, settings.campaign.name).parent


def _trace(folder: Path, campaign: str | None, rollout_id: str) -> Trace | None:
    if not (folder / STATE).is_dir():
        return None
    with open_reader(folder, campaign) as reader:
        rollout = reader.rollout(rollout_id)
        return None if rollout is None or rollout.trace_sha is None else reader.trace(rollout.trace_sha)
