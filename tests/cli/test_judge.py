"""`hone judge`, as a person uses it, and the models a campaign asks beside its proposers'."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from optimizer.cli.own_models import diagnostician_of, judge_of
from optimizer.config.load import load, parse
from optimizer.config.settings import Settings
from optimizer.domain.budget import Budget, BudgetLimits
from optimizer.domain.errors import ConfigError
from optimizer.ledger.ledger import Ledger
from tests.cli.conftest import Said, hone
from tests.evals.judged import verdict
from tests.ledger.samples import HEADER
from tests.mining.cases import CLASSES
from tests.models.wire_server import WireServer, wire_server

SMALLEST = """
[campaign]
name = "x"
[harness]
editable = ["agent.py"]
[benchmark]
name = "helpdesk"
[budget]
tokens = 1000000
"""
JUDGE = """
[judge]
rubric = "polite.md"
min_examples = 8
[judge.model]
provider = "openai"
name = "m-x"
base_url = "{origin}/v1"
price = {{ input_usd_per_m = 1.0, output_usd_per_m = 10.0 }}
"""


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with wire_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, wire: WireServer) -> Path:
    (tmp_path / "campaign.toml").write_text(SMALLEST + JUDGE.format(origin=wire.origin))
    (tmp_path / "polite.md").write_text("Does the agent thank the customer?\n")
    lines = [
        {
            "transcript": [{"role": "user", "content": "Fine."}, {"role": "assistant", "content": f"Bye, {n}."}],
            "label": "pass" if n < 4 else "fail",
        }
        for n in range(8)
    ]
    (tmp_path / "examples.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def calibrate(folder: Path, wire: WireServer, *labels: str) -> Said:
    wire.script.extend(verdict(label) for label in labels)
    return hone("judge", "calibrate", "--examples", "examples.jsonl", "--json", cwd=folder)


GOOD = ("pass",) * 4 + ("fail",) * 4


def test_a_judge_is_calibrated_shown_and_seen_drifting(folder: Path, wire: WireServer):
    before = hone("judge", "show", cwd=folder)
    assert before.code == 0
    assert "no: it was never compared with people" in before.out + before.err
    made = calibrate(folder, wire, *GOOD)
    assert made.code == 0, made.err
    said = json.loads(made.out)
    assert (said["may_decide"], said["calibrations"][0]["kappa"], said["calibrations"][0]["n"]) == (True, 1.0, 8)
    assert calibrate(folder, wire, *(("pass",) * 8)).code == 0
    shown = json.loads(hone("judge", "show", "--json", cwd=folder).out)
    assert not shown["may_decide"]
    assert "kappa 0.00" in shown["refusal"]
    assert "kappa 1.00 -> 0.00" in shown["drift"]
    assert len(shown["calibrations"]) == 2
    assert len(wire.heard) == 16


def test_a_changed_rubric_voids_the_calibration(folder: Path, wire: WireServer):
    assert calibrate(folder, wire, *GOOD).code == 0
    (folder / "polite.md").write_text("Does the agent say goodbye?\n")
    shown = json.loads(hone("judge", "show", "--json", cwd=folder).out)
    assert "rubric has changed" in shown["refusal"]


def test_a_folder_without_a_judge_says_what_is_missing(tmp_path: Path):
    (tmp_path / "campaign.toml").write_text(SMALLEST)
    said = hone("judge", "show", cwd=tmp_path)
    assert said.code == 2
    assert "[judge.model]" in said.err


def test_a_missing_rubric_and_bad_examples_are_named(folder: Path, wire: WireServer):
    (folder / "examples.jsonl").write_text('{"label": "pass"}')
    assert "line 1" in calibrate(folder, wire).err
    (folder / "polite.md").unlink()
    said = calibrate(folder, wire)
    assert said.code == 2
    assert "polite.md" in said.err
    assert wire.heard == []


# What a campaign gets.


def account(tmp_path: Path) -> Ledger:
    return Ledger.create(tmp_path / "night", HEADER)


def test_a_campaign_gets_its_judge_only_once_it_is_calibrated(folder: Path, wire: WireServer, tmp_path: Path):
    settings, budget = load(folder / "campaign.toml"), Budget(BudgetLimits())
    with account(tmp_path) as ledger:
        now = datetime.now(UTC)
        with pytest.raises(ConfigError, match="hone judge calibrate"):
            judge_of(settings, folder, ledger.answers, budget, now=now)
        assert calibrate(folder, wire, *GOOD).code == 0
        judge = judge_of(settings, folder, ledger.answers, budget, now=datetime.now(UTC))
    assert judge is not None
    assert judge.name == "model/m-x"


def diagnosis_settings(extra: str = "", budget: str = "") -> Settings:
    return parse(f'{SMALLEST}{budget}[diagnosis.model]\nprovider = "openai"\nname = "m"\n{extra}')


def test_without_a_model_nobody_diagnoses_and_nobody_judges(tmp_path: Path):
    settings = parse(SMALLEST)
    with account(tmp_path) as ledger:
        parts = (ledger.answers, Budget(BudgetLimits()))
        assert diagnostician_of(settings, *parts, classes=CLASSES, redact=lambda p: p, review="auto") is None
        assert judge_of(settings, tmp_path, *parts, now=datetime.now(UTC)) is None


def test_a_diagnosing_model_needs_a_price_under_a_dollar_limit(tmp_path: Path):
    with account(tmp_path) as ledger:
        parts = (ledger.answers, Budget(BudgetLimits()))
        base = 'base_url = "http://localhost:1/v1"\n'
        with pytest.raises(ConfigError, match=r"\[diagnosis.model.price\]"):
            diagnostician_of(
                diagnosis_settings(base, "usd = 5.0\n"), *parts, classes=CLASSES, redact=lambda p: p, review="auto"
            )
        made = diagnostician_of(diagnosis_settings(base), *parts, classes=CLASSES, redact=lambda p: p, review="human")
    assert made is not None
    assert made.by == "model/m"
