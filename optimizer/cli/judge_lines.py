"""A judge's standing in words."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.cli.judging import Standing
from optimizer.domain.agreement import Share
from optimizer.domain.json import Json
from optimizer.evals.calibration import CalibrationReport


def standing_lines(standing: Standing) -> Iterator[str]:
    """What `hone judge show` prints."""
    yield f"  judge       {standing.judge}, rubric {standing.rubric}"
    yield f"  may decide  {'yes' if standing.refusal is None else f'no: {standing.refusal}'}"
    if standing.refusal is not None:
        yield "              -> label runs, then `hone judge calibrate --examples FILE`"
    if standing.drift is not None:
        yield f"  drift       {standing.drift}"
    if standing.reports:
        yield from _report_lines(standing.reports[-1])
    for report in standing.reports[:-1]:
        yield f"  earlier     {report.at:%Y-%m-%d %H:%M}  kappa {_number(report.kappa)} on {report.n}"


def standing_json(standing: Standing) -> Json:
    """The same for machines, derived numbers included."""
    return {
        "judge": standing.judge,
        "rubric": standing.rubric,
        "may_decide": standing.refusal is None,
        "refusal": standing.refusal,
        "drift": standing.drift,
        "calibrations": [_report_json(report) for report in standing.reports],
    }


def _report_lines(report: CalibrationReport) -> Iterator[str]:
    yield f"  calibrated  {report.at:%Y-%m-%d %H:%M} on {report.n} labelled runs, {report.n_unsure} of them unsure"
    yield f"  kappa       {_number(report.kappa)}"
    yield f"  bad passed  {_share(report.false_pass)}"
    yield f"  good failed {_share(report.false_fail)}"
    yield f"  bias        {_number(report.bias)} (above 0: lenient)"
    for truth in report.confusion.labels:
        counts = ", ".join(f"{said} {report.confusion.count(truth, said)}" for said in report.confusion.labels)
        if truth != "unsure":
            yield f"  people say {truth}: the judge says {counts}"
    if report.probe is not None:
        probe = report.probe
        yield f"  flips       {probe.n_flipped_by_order} of {probe.n} by order, {probe.n_flipped_by_padding} by padding"


def _report_json(report: CalibrationReport) -> Json:
    probe = report.probe
    return {
        "at": report.at.isoformat(),
        "identity": report.identity,
        "n": report.n,
        "n_unsure": report.n_unsure,
        "kappa": report.kappa,
        "bias": report.bias,
        "labels": list(report.confusion.labels),
        "confusion": [list(row) for row in report.confusion.counts],
        "false_pass": _share_json(report.false_pass),
        "false_fail": _share_json(report.false_fail),
        "classes": [
            {"label": one.label, "recall": _share_json(one.recall), "precision": _share_json(one.precision)}
            for one in report.classes
        ],
        "usd": report.usage.usd,
        "tokens": report.usage.tokens,
        "probe": None
        if probe is None
        else {"n": probe.n, "by_order": probe.n_flipped_by_order, "by_padding": probe.n_flipped_by_padding},
    }


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.n_hits} of {share.n} ({low:.0%} to {high:.0%})"


def _share_json(share: Share) -> Json:
    return {"n_hits": share.n_hits, "n": share.n, "value": share.value, "interval": list(share.interval)}


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
