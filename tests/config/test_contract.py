"""`[contract]` says what it wants in a way that can be kept; whatever cannot names file, key and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimizer.cli.contracting import check_slices, contract_of
from optimizer.config.load import from_json, parse, to_json
from optimizer.domain.errors import ConfigError
from optimizer.domain.task import Task
from optimizer.gate.contract import Contract, SliceBound
from tests.config.test_load import SMALLEST, problems

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text()


def contract(*metrics: str, section: str = "") -> str:
    return SMALLEST + f"[contract]\n{section}\n" + "".join(f"[[contract.metric]]\n{lines}\n" for lines in metrics)


def test_without_a_contract_success_alone_counts() -> None:
    read = contract_of(parse(SMALLEST))
    assert read.metrics == Contract().metrics
    assert read.is_plain
    assert "confirmation_before_write" in read.safety_checks
    assert "final_state" not in read.safety_checks


def test_the_example_of_the_page_is_read_whole() -> None:
    match = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None
    settings = parse(SMALLEST + match[1])
    read = contract_of(settings)
    success, csat, usd = read.metrics
    assert (read.policy, csat.name, csat.weight, usd.scale) == ("weighted", "csat", 2.0, 0.05)
    assert (success.floor, success.slices) == (0.45, (SliceBound(slice="refund", bound=0.4),))
    assert (usd.direction, usd.is_relative, usd.allowed_loss(0.02)) == ("minimize", True, pytest.approx(0.002))
    assert from_json(to_json(settings)) == settings


@pytest.mark.parametrize(
    ("metric", "line"),
    [
        (
            'name = "usd"',
            "[[contract.metric]] number 1 needs scale, the value that counts as 1.0, because 'usd' has none",
        ),
        (
            'name = "success"\ndirection = "minimize"',
            "[[contract.metric]] number 1 needs for 'success' neither a direction nor a scale: it is 0 or 1",
        ),
        (
            'name = "csat"\nfloor = 2\nceiling = 1',
            "[[contract.metric]] number 1 needs a floor that is not above the ceiling; now nothing could ship",
        ),
        (
            'name = "csat"\ntolerance_kind = "relative"',
            "[[contract.metric]] number 1 needs a tolerance or a tie for tolerance_kind to speak of, or none",
        ),
        ('name = "csat"\nflor = 1', "[[contract.metric]] number 1 unknown key 'flor' - did you mean 'floor'?"),
        (
            'name = "csat"\ntolerance = -1',
            "[[contract.metric]] number 1 tolerance = -1 - expected a number of at least 0.0",
        ),
        (
            'name = "csat"\nslices = { refund = "x" }',
            '[[contract.metric]] number 1 slices.refund = "x" - expected a number',
        ),
        ("floor = 1", "[[contract.metric]] number 1 name is missing - expected text: "),
    ],
)
def test_a_metric_that_cannot_be_kept_says_which_key_and_what_to_do(metric: str, line: str) -> None:
    (said,) = problems(contract(metric))
    assert said.startswith(f"campaign.toml: {line}")


def test_a_metric_named_twice_and_weights_of_nothing_are_refused() -> None:
    (twice,) = problems(contract('name = "csat"', 'name = "csat"'))
    (weightless,) = problems(contract('name = "csat"\nweight = 0', section='policy = "weighted"'))
    assert twice == "campaign.toml: [contract] needs each metric once, not csat twice"
    assert weightless == "campaign.toml: [contract] needs a metric with a weight above 0, because policy is 'weighted'"


def test_a_name_that_is_no_metric_says_how_one_is_spelled() -> None:
    (said,) = problems(contract('name = "Customer Joy"'))
    assert "expected a metric: a-z, 0-9 and '_'" in said


def test_a_bound_on_a_slice_that_validation_does_not_have_names_those_it_has() -> None:
    settings = parse(contract('name = "success"\nslices = { refnd = 0.5 }'))
    tasks = [Task(id="v", split="val", group="v", slices=("refund",)), Task(id="t", split="train", group="t")]
    with pytest.raises(
        ConfigError, match=r"success: slices names refnd, which no validation task belongs to. There is"
    ):
        check_slices(settings, tasks)
