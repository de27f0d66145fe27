"""The models a campaign asks beside the proposers': one that diagnoses, one that judges, each where described."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from optimizer.campaign.diagnosing import DiagnosisRules, Diagnostician, Redact
from optimizer.campaign.paying import Account, PaidModel
from optimizer.cli.judging import judge_settings, rubric_of, rules_of, state_of
from optimizer.cli.models import language_model, own_price
from optimizer.config.settings import Settings
from optimizer.domain.budget import Budget
from optimizer.evals.calibration import require_fit
from optimizer.evals.calibration_store import history, latest
from optimizer.evals.judges import ModelJudge
from optimizer.ledger.answers import Answers
from optimizer.mining.diagnosis_prompt import KnownClass
from optimizer.mining.induction import InductionRules
from optimizer.mining.superseding import ReviewMode


def diagnostician_of(
    settings: Settings,
    answers: Answers,
    budget: Budget,
    *,
    classes: Sequence[KnownClass],
    redact: Redact,
    review: ReviewMode,
) -> Diagnostician | None:
    """Who looks at failures on top of the detectors; None without [diagnosis.model].

    Raises:
        ConfigError: its key is missing, or its price is unknown under a USD limit.
    """
    section = settings.diagnosis
    if section.model is None:
        return None
    price = own_price(section.model, "diagnosis.model", has_usd_limit=settings.budget.usd is not None)
    rules = DiagnosisRules(
        per_batch=section.per_batch,
        names_clusters=section.name_clusters,
        induce_from=section.induce_from,
        induction=InductionRules(
            n_annotators=section.annotators,
            min_kappa=section.min_kappa,
            min_coverage=section.min_coverage,
            max_output_tokens=section.model.max_output_tokens,
        ),
        review=review,
        max_output_tokens=section.model.max_output_tokens,
    )
    account = Account(answers=answers, budget=budget, price=price)
    return Diagnostician(language_model(section.model), account, classes=classes, redact=redact, rules=rules)


def judge_of(settings: Settings, folder: Path, answers: Answers, budget: Budget, *, now: datetime) -> ModelJudge | None:
    """The judge by which a campaign may decide; None without [judge.model].

    Raises:
        ConfigError: it is not calibrated well enough, or its key or price is missing; the message says what to do.
    """
    if settings.judge.model is None:
        return None
    section, model = judge_settings(settings)
    price = own_price(model, "judge.model", has_usd_limit=settings.budget.usd is not None)
    rubric = rubric_of(folder, section)
    account = Account(answers=answers, budget=budget, price=price)
    paid = PaidModel(language_model(model), account, purpose="judge", subject=rubric.name, keeps_absence=False)
    plain = ModelJudge(paid, max_output_tokens=model.max_output_tokens)
    last = latest(history(state_of(folder, settings)), plain.name, rubric.name)
    report = require_fit(plain, rubric, last, rules_of(section), now)
    return ModelJudge(paid, calibrations={rubric.name: report.summary}, max_output_tokens=model.max_output_tokens)
