"""How far a judge agrees with people, and whether that is enough to let it decide.

Labelled runs are judged and compared: Cohen's kappa over pass, fail and unsure (unsure is never agreement), the share
of bad runs it lets pass and of good runs it fails, each with Wilson's interval, and their difference, its bias. A
calibration belongs to one model, one prompt and one rubric text; it ages, and two of them show drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import hypot
from typing import Literal

from optimizer.domain.agreement import Z95, Confusion, Share, cohen_kappa, confusion, kappa_error
from optimizer.domain.errors import ConfigError
from optimizer.domain.trace import Span, Trace, Usage
from optimizer.evals.judges import ModelJudge, Verdict, without_checks
from optimizer.evals.judging import Calibration, Rubric

PADDING = (
    " To be thorough and fully transparent, every step above was carried out with great care, checked more than once"
    " and completed in full accordance with all applicable rules, so nothing further should be needed."
)
"""Words that claim quality and add none: a judge that changes its verdict for them can be talked into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRun:
    """A run that a person has judged."""

    id: str
    trace: Trace
    label: Literal["pass", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassAgreement:
    """How a judge does on one true label."""

    label: Literal["pass", "fail"]
    recall: Share
    """Of the runs people gave this label, those the judge gave it too."""
    precision: Share
    """Of the runs the judge gave this label, those people gave it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Verdicts that changed where nothing that matters did."""

    n: int
    """Runs judged again."""
    n_flipped_by_order: int
    """With the two verdicts offered in the other order."""
    n_flipped_by_padding: int
    """With empty words of quality added to what the agent says last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """One calibration, with every number behind it."""

    judge: str
    rubric: str
    identity: str
    """`ModelJudge.identity` when it was made."""
    at: datetime
    """Aware."""
    confusion: Confusion
    """Rows: people; columns: the judge."""
    usage: Usage
    probe: Probe | None = None

    @property
    def n(self) -> int:
        """Labelled runs."""
        return self.confusion.n

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa; None where it is not defined, as with one label only."""
        return cohen_kappa(self.confusion)

    @property
    def classes(self) -> tuple[ClassAgreement, ...]:
        """How it does on good runs, and on bad ones."""
        return (_class(self.confusion, "pass"), _class(self.confusion, "fail"))

    @property
    def false_pass(self) -> Share:
        """Of the bad runs, those it lets pass."""
        return _share(self.confusion, "fail", "pass")

    @property
    def false_fail(self) -> Share:
        """Of the good runs, those it fails."""
        return _share(self.confusion, "pass", "fail")

    @property
    def n_unsure(self) -> int:
        """Runs it does not decide."""
        return sum(self.confusion.count(truth, "unsure") for truth in ("pass", "fail"))

    @property
    def bias(self) -> float | None:
        """False-pass rate minus false-fail rate: above 0 it is lenient; None where one of them is not known."""
        lenient, strict = self.false_pass.value, self.false_fail.value
        return None if lenient is None or strict is None else lenient - strict

    @property
    def summary(self) -> Calibration:
        """As `Judge.calibration` gives it."""
        return Calibration(
            rubric=self.rubric,
            n_labelled=self.n,
            kappa=-1.0 if self.kappa is None else self.kappa,
            n_false_holds=self.false_pass.n_hits,
            n_false_breaks=self.false_fail.n_hits,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRules:
    """What a calibration must show before its judge may gate."""

    min_kappa: float = 0.6
    min_examples: int = 20
    max_age_days: float = 30.0


async def calibrate(
    judge: ModelJudge, rubric: Rubric, runs: Sequence[LabelledRun], *, at: datetime, probe: Probe | None = None
) -> CalibrationReport:
    """Judge every labelled run and compare. Raises ModelUnavailableError, BudgetExhaustedError."""
    verdicts = [await judge.verdict(rubric, run.trace) for run in runs]
    table = confusion((run.label, verdict.label) for run, verdict in zip(runs, verdicts, strict=True))
    return CalibrationReport(
        judge=judge.name,
        rubric=rubric.name,
        identity=judge.identity(rubric),
        at=at,
        confusion=table,
        usage=sum((verdict.usage for verdict in verdicts), Usage()),
        probe=probe,
    )


async def probe_biases(judge: ModelJudge, swapped: ModelJudge, rubric: Rubric, runs: Sequence[LabelledRun]) -> Probe:
    """Judge runs again with the verdicts swapped, and with padded words; `swapped` is the same judge, other order."""
    n_order = n_padding = 0
    for run in runs:
        plain = await judge.verdict(rubric, run.trace)
        n_order += _differs(plain, await swapped.verdict(rubric, run.trace))
        n_padding += _differs(plain, await judge.verdict(rubric, padded(run.trace)))
    return Probe(n=len(runs), n_flipped_by_order=n_order, n_flipped_by_padding=n_padding)


def padded(trace: Trace) -> Trace:
    """The run with empty words of quality added to what the agent says last."""
    spans = list(without_checks(trace).spans)
    for place in range(len(spans) - 1, -1, -1):
        longer = _padded(spans[place])
        if longer is not None:
            spans[place] = longer
            break
    return Trace(spans=tuple(spans))


def refusal(report: CalibrationReport | None, identity: str, rules: CalibrationRules, now: datetime) -> str | None:
    """Why a judge may not gate; None when it may."""
    if report is None:
        return "it was never compared with people"
    if report.identity != identity:
        return f"its model, prompt or rubric has changed since it was calibrated on {report.at:%Y-%m-%d}"
    if now - report.at > timedelta(days=rules.max_age_days):
        return f"its calibration of {report.at:%Y-%m-%d} is older than {rules.max_age_days:g} days"
    return _weakness(report, rules)


def _weakness(report: CalibrationReport, rules: CalibrationRules) -> str | None:
    if report.n < rules.min_examples:
        return f"it was compared on {report.n} runs, and {rules.min_examples} are needed"
    if report.kappa is None:
        return "its agreement is not defined: the labelled runs, or its verdicts, are all alike; add runs of both kinds"
    if report.kappa < rules.min_kappa:
        return f"it agrees with people by kappa {report.kappa:.2f}, and {rules.min_kappa:.2f} is needed"
    return None


def require_fit(
    judge: ModelJudge, rubric: Rubric, report: CalibrationReport | None, rules: CalibrationRules, now: datetime
) -> CalibrationReport:
    """The calibration by which a judge may gate.

    Raises:
        ConfigError: it may not; the message says why, and what to do.
    """
    why = refusal(report, judge.identity(rubric), rules, now)
    if why is not None or report is None:
        raise ConfigError(
            f"judge {judge.name} may not decide by rubric {rubric.name!r}: {why}."
            " Label runs and `hone judge calibrate --examples FILE`; the limits are in [judge] of campaign.toml."
        )
    return report


def drift(before: CalibrationReport, after: CalibrationReport) -> str | None:
    """What has changed significantly (5 %) from one calibration to another of the same rubric; None when nothing has.

    Differences within sampling error are not drift; few examples show little.
    """
    found = []
    if before.kappa is not None and after.kappa is not None:
        error = hypot(kappa_error(before.confusion) or 0.0, kappa_error(after.confusion) or 0.0)
        if abs(after.kappa - before.kappa) > Z95 * error:
            found.append(f"kappa {before.kappa:.2f} -> {after.kappa:.2f}")
    for name, old, new in (
        ("false passes", before.false_pass, after.false_pass),
        ("false fails", before.false_fail, after.false_fail),
    ):
        if old.n and new.n and _is_apart(old, new):
            found.append(f"{name} {old.n_hits} of {old.n} -> {new.n_hits} of {new.n}")
    return "; ".join(found) or None


def _is_apart(old: Share, new: Share) -> bool:
    """Newcombe's (1998) interval of the difference of two shares leaves out 0."""
    one, two = old.n_hits / old.n, new.n_hits / new.n
    (low_one, high_one), (low_two, high_two) = old.interval, new.interval
    low = two - one - hypot(two - low_two, high_one - one)
    high = two - one + hypot(high_two - two, one - low_one)
    return low > 0 or high < 0


def _share(table: Confusion, truth: str, said: str) -> Share:
    return Share(n_hits=table.count(truth, said), n=sum(table.count(truth, label) for label in table.labels))


def _class(table: Confusion, label: Literal["pass", "fail"]) -> ClassAgreement:
    said = sum(table.count(truth, label) for truth in table.labels)
    return ClassAgreement(
        label=label,
        recall=_share(table, label, label),
        precision=Share(n_hits=table.count(label, label), n=said),
    )


def _differs(one: Verdict, other: Verdict) -> bool:
    return one.label != other.label


def _padded(span: Span) -> Span | None:
    """The span with longer words of the agent; None when the agent says nothing in it."""
    if span.kind in {"user_turn", "submit"} and isinstance(span.input, str) and span.input.strip():
        return replace(span, input=span.input + PADDING)
    if span.kind == "model_call" and isinstance(span.output, str) and span.output.strip():
        return replace(span, output=span.output + PADDING)
    return None
