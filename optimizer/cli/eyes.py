"""What a campaign sees failures through and judges them by: taxonomy, redaction, diagnosing model, judge."""

from __future__ import annotations

from datetime import datetime

from optimizer.campaign.curating import Sources
from optimizer.campaign.mining import Lens
from optimizer.campaign.redacting import redacting
from optimizer.campaign.semantic import Bench
from optimizer.cli.compose import Workplace, committed_text
from optimizer.cli.judging import rubric_of
from optimizer.cli.own_models import diagnostician_of, judge_of
from optimizer.domain.budget import Budget
from optimizer.domain.dataset import Pedigree
from optimizer.domain.errors import ConfigError
from optimizer.domain.json import content_hash
from optimizer.ledger.ledger import Ledger
from optimizer.mining.diagnosis_prompt import known_classes
from optimizer.mining.induction import base_of
from optimizer.mining.taxonomy import Taxonomy, parse_taxonomy, shipped_text
from optimizer.telemetry.pseudonyms import project_key
from optimizer.telemetry.redact import REDACTION_VERSION, Redactor


def taxonomy_text(workplace: Workplace) -> str:
    """The team's own taxonomy as it is committed, or the shipped one.

    Raises:
        ConfigError: the file is not committed, or is not UTF-8.
    """
    path = workplace.settings.mining.taxonomy
    if path is None:
        return shipped_text()
    text = committed_text(workplace, path)
    if not text.strip():
        raise ConfigError(
            f"[mining] taxonomy = {path!r} is not in the committed harness, or is empty. `git add {path}` and commit"
            " it, or leave the key out to use the shipped taxonomy."
        )
    return text


def taxonomy_of(workplace: Workplace) -> Taxonomy:
    """The classes of this campaign. Raises ConfigError."""
    return parse_taxonomy(taxonomy_text(workplace), workplace.settings.mining.taxonomy or "the shipped taxonomy.toml")


def redactor_of(workplace: Workplace) -> Redactor:
    """Redacts under the project's key, `.hone/redaction.key`: one person has one pseudonym in all its campaigns.

    Whoever repeats a campaign elsewhere and wants the same words copies that file, too. The people of a simulated
    campaign are made up and need no secret: there the key follows from the seed, so that equal campaigns are equal.

    Raises:
        ConfigError: the key cannot be read or made, or is open to others.
    """
    if workplace.is_simulated:
        return Redactor(bytes.fromhex(content_hash("redaction", workplace.settings.campaign.seed, length=64)))
    return Redactor(project_key(workplace.ledger_folder.parent / "redaction.key"))


def lens_of(workplace: Workplace, ledger: Ledger, budget: Budget) -> Lens:
    """Through what the campaign sees failures.

    Raises:
        ConfigError: taxonomy, key or diagnosing model cannot be used.
    """
    settings, taxonomy = workplace.settings, taxonomy_of(workplace)
    redact = redacting(redactor_of(workplace))
    is_asked = settings.review.mode == "human" or "label" in settings.review.always_ask
    doctor = diagnostician_of(
        settings,
        ledger.answers,
        budget,
        classes=known_classes(taxonomy),
        redact=redact,
        review="human" if is_asked else "auto",
    )
    return Lens(taxonomy=taxonomy, base=base_of(taxonomy_text(workplace)), redact=redact, diagnostician=doctor)


def sources_of(workplace: Workplace, ledger: Ledger, budget: Budget, taxonomy: Taxonomy) -> Sources:
    """What eval cases are checked against, and the reading of the data they were made under."""
    header = ledger.header

    def bench() -> Bench | None:
        started = datetime.fromisoformat(header.started_at)
        judge = judge_of(workplace.settings, workplace.folder, ledger.answers, budget, now=started)
        return (
            None if judge is None else Bench(judge=judge, rubric=rubric_of(workplace.folder, workplace.settings.judge))
        )

    return Sources(
        benchmark=workplace.benchmark,
        pedigree=Pedigree(splits=header.split_manifest_hash, taxonomy=taxonomy.sha, redaction=REDACTION_VERSION),
        taxonomy=taxonomy,
        judge=bench,
    )
