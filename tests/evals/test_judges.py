"""Judges over real clients: quoted verdicts, and no say before calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from optimizer.domain.errors import ConfigError, ModelUnavailableError
from optimizer.evals.calibration import (
    PADDING,
    CalibrationReport,
    CalibrationRules,
    Probe,
    calibrate,
    drift,
    padded,
    probe_biases,
    refusal,
    require_fit,
)
from optimizer.evals.calibration_store import FILE_NAME, append, history, latest
from optimizer.evals.judges import ModelJudge
from optimizer.evals.judging import Judge, Rubric, require_calibrated
from optimizer.evals.labelled import read_examples
from tests.evals.judged import RUBRIC, run, runs, verdict
from tests.models.own_models import PROVIDERS, TURN_USD, heard_text, own_model
from tests.models.wire_server import Fault, Scripted, Turn, WireServer, wire_server

AT = datetime(2026, 1, 2, tzinfo=UTC)
RULES = CalibrationRules(min_kappa=0.6, min_examples=10, max_age_days=30)


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with wire_server() as server:
        yield server


async def report(wire: WireServer, *said: str, n_good: int = 5, rubric: Rubric = RUBRIC) -> CalibrationReport:
    """A calibration on good runs followed by bad ones, judged as `said`."""
    wire.script.extend(verdict(label) for label in said)
    async with own_model(wire) as model:
        return await calibrate(ModelJudge(model), rubric, runs(n_good, len(said) - n_good), at=AT)


RIGHT = ("pass",) * 5 + ("fail",) * 5


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.anyio
async def test_a_judge_gives_a_quoted_verdict_and_never_sees_the_checks(wire, provider):
    wire.script.append(verdict("pass"))
    async with own_model(wire, provider) as model:
        judge: Judge = ModelJudge(model)
        opinion = await judge.judge(RUBRIC, run(1).trace)
    assert (opinion.holds, opinion.confidence, opinion.evidence) == (True, 0.9, "Fine.")
    assert opinion.usage.usd == pytest.approx(TURN_USD)
    assert judge.name == "model/m-x"
    asked = heard_text(wire.heard[0])
    assert "Does the agent thank the customer?" in asked
    assert "gold answer" not in asked


UNUSABLE: dict[str, Scripted] = {
    "misquoted": verdict("pass", evidence="Thank you so very much."),
    "from a hidden check": verdict("pass", span=1, evidence="the gold answer differs"),
    "another verdict": verdict("excellent"),
    "overconfident": verdict("pass", confidence=3),
    "truncated": Turn(text='{"span": 0', stop="length"),
    "prose": Turn(text="Looks good to me!"),
    "declined": Turn(text="No.", stop="refusal"),
    "refused by the provider": Fault(status=400),
}


@pytest.mark.parametrize("bad", UNUSABLE)
@pytest.mark.anyio
async def test_a_judge_without_a_usable_answer_is_unsure_and_unsure_is_no_pass(wire, bad):
    wire.script.extend([UNUSABLE[bad]] * 2)
    async with own_model(wire) as model:
        said = await ModelJudge(model).verdict(RUBRIC, run(1).trace)
        wire.script.extend([UNUSABLE[bad]] * 2)
        opinion = await ModelJudge(model).judge(RUBRIC, run(1).trace)
    assert (said.label, said.evidence, said.span) == ("unsure", "", None)
    assert said.reason
    assert (opinion.holds, opinion.confidence) == (False, 0.0)


@pytest.mark.anyio
async def test_a_judge_out_of_reach_says_nothing(wire):
    wire.script.extend([Fault(status=429)] * 3)
    async with own_model(wire) as model:
        with pytest.raises(ModelUnavailableError):
            await ModelJudge(model).judge(RUBRIC, run(1).trace)


# Calibration.


@pytest.mark.anyio
async def test_a_calibration_counts_what_people_and_judge_say(wire):
    found = await report(wire, "pass", "pass", "pass", "fail", "unsure", "pass", "pass", "fail", "fail", "fail")
    assert (found.n, found.n_unsure) == (10, 1)
    assert (found.false_pass.n_hits, found.false_pass.n) == (2, 5)
    assert (found.false_fail.n_hits, found.false_fail.n) == (1, 5)
    assert found.bias == pytest.approx(0.2)
    # by hand: 6 of 10 agree; chance 5/10 x 5/10 + 5/10 x 4/10 = 0.45
    assert found.kappa == pytest.approx((0.6 - 0.45) / (1 - 0.45))
    good, bad = found.classes
    assert (good.label, good.recall.value, good.precision.value) == ("pass", 0.6, 0.6)
    assert (bad.label, bad.recall.value, bad.precision.value) == ("fail", 0.6, 0.75)
    assert found.usage.n_calls == 10
    assert found.summary.n_false_holds == 2


@pytest.mark.anyio
async def test_a_well_calibrated_judge_may_gate(wire):
    found = await report(wire, *RIGHT)
    assert refusal(found, found.identity, RULES, AT) is None
    async with own_model(wire) as model:
        judge = ModelJudge(model, calibrations={RUBRIC.name: found.summary})
        assert require_fit(judge, RUBRIC, found, RULES, AT) == found
        with pytest.raises(ConfigError):  # its own floor is 20 examples
            require_calibrated(judge, RUBRIC)


@pytest.mark.anyio
async def test_a_judge_that_was_never_compared_is_refused_with_the_remedy(wire):
    async with own_model(wire) as model:
        judge = ModelJudge(model)
        with pytest.raises(ConfigError, match=r"never compared.*hone judge calibrate --examples FILE"):
            require_fit(judge, RUBRIC, None, RULES, AT)
        with pytest.raises(ConfigError, match="never calibrated"):
            require_calibrated(judge, RUBRIC)


@pytest.mark.anyio
async def test_a_judge_is_refused_for_each_reason_by_name(wire):
    found = await report(wire, *RIGHT)
    async with own_model(wire) as model:
        changed = ModelJudge(model).identity(replace(RUBRIC, text="Is the agent polite?"))
    weak = await report(wire, *(("pass", "fail") * 5))
    blind = await report(wire, *(("pass",) * 10), n_good=10)
    assert "changed" in str(refusal(found, changed, RULES, AT))
    assert refusal(found, found.identity, RULES, AT + timedelta(days=30)) is None
    assert "older than 30 days" in str(refusal(found, found.identity, RULES, AT + timedelta(days=31)))
    assert "10 runs, and 11" in str(refusal(found, found.identity, replace(RULES, min_examples=11), AT))
    assert "kappa" in str(refusal(weak, weak.identity, RULES, AT))
    assert "not defined" in str(refusal(blind, blind.identity, RULES, AT))


@pytest.mark.anyio
async def test_a_judge_that_passes_everything_agrees_with_nobody(wire):
    found = await report(wire, *(("pass",) * 10))
    assert found.kappa == 0.0
    assert found.bias == 1.0


@pytest.mark.anyio
async def test_drift_is_a_change_beyond_sampling_error(wire):
    before = await report(wire, *(RIGHT * 1))
    slip = await report(wire, *("pass",) * 4, "fail", *("fail",) * 5)
    turned = await report(wire, *(("pass",) * 10))
    assert drift(before, before) is None
    assert drift(before, slip) is None
    found = drift(before, turned)
    assert found is not None
    assert "kappa 1.00 -> 0.00" in found
    assert "false passes 0 of 5 -> 5 of 5" in found


@pytest.mark.anyio
async def test_a_probe_counts_verdicts_that_turn_where_nothing_that_matters_did(wire):
    script = ("pass", "fail", "pass", "fail", "fail", "pass")  # per run: plain, swapped, padded
    wire.script.extend(verdict(label) for label in script)
    async with own_model(wire) as model:
        judge, swapped = ModelJudge(model), ModelJudge(model, order=("fail", "pass"))
        found = await probe_biases(judge, swapped, RUBRIC, runs(1, 1))
    assert found == Probe(n=2, n_flipped_by_order=1, n_flipped_by_padding=1)
    plain, other, longer = map(heard_text, wire.heard[:3])
    assert plain.index('\\"pass\\" if') < plain.index('\\"fail\\" if')
    assert other.index('\\"fail\\" if') < other.index('\\"pass\\" if')
    assert PADDING.strip() in longer
    assert padded(run(1).trace).spans[0].output == "Fine."


# The store and the examples.


@pytest.mark.anyio
async def test_calibrations_are_kept_in_order_and_come_back_as_they_were(wire, tmp_path):
    first = replace(await report(wire, *RIGHT), probe=Probe(n=2, n_flipped_by_order=1, n_flipped_by_padding=0))
    second = replace(first, at=AT + timedelta(days=1), rubric="other", probe=None)
    assert history(tmp_path) == ()
    append(tmp_path, first)
    append(tmp_path, second)
    kept = history(tmp_path)
    assert [(one.at, one.kappa, one.probe, one.confusion) for one in kept] == [
        (one.at, one.kappa, one.probe, one.confusion) for one in (first, second)
    ]
    assert latest(kept, "model/m-x", "other") == kept[1]
    assert latest(kept, "model/m-y", "other") is None


def test_a_damaged_calibration_is_named_by_its_line(tmp_path: Path):
    (tmp_path / FILE_NAME).write_text('{"version": 2}\n')
    with pytest.raises(ConfigError, match="line 1"):
        history(tmp_path)


def test_examples_are_transcripts_or_recorded_rollouts(tmp_path: Path):
    path = tmp_path / "examples.jsonl"
    path.write_text(
        '{"rollout": "r1", "label": "fail"}\n\n'
        '{"transcript": [{"role": "user", "content": "Hi"}, {"role": "tool", "name": "look", "content": "a cup"},'
        ' {"role": "assistant", "content": "A cup."}], "label": "pass"}\n'
    )
    recorded, written = read_examples(path, lambda rollout: run(1).trace if rollout == "r1" else None)
    assert (recorded.id, recorded.label, recorded.trace) == ("r1", "fail", run(1).trace)
    assert [(s.kind, s.name, s.output) for s in written.trace.spans] == [
        ("user_turn", "user", "Hi"),
        ("tool_call", "look", "a cup"),
        ("model_call", "assistant", "A cup."),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no examples"),
        ('{"rollout": "r9", "label": "pass"}', "no rollout 'r9'"),
        ('{"rollout": "r1", "label": "meh"}', "line 1: label"),
        ('{"rollout": "r1"', "line 1"),
        ('{"label": "pass"}', "rollout. or .transcript"),
        ('{"rollout": "r1", "label": "pass"}\n{"rollout": "r1", "label": "fail"}', "labelled twice"),
    ],
)
def test_unusable_examples_are_named_with_line_and_remedy(tmp_path: Path, text: str, said: str):
    path = tmp_path / "examples.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_examples(path, lambda rollout: run(1).trace if rollout == "r1" else None)


def test_a_missing_example_file_is_a_config_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_examples(tmp_path / "none.jsonl", lambda _: None)
