"""The list of settings is complete, and what it says is true."""

from __future__ import annotations

import tomllib

from optimizer.config.load import parse, to_json
from optimizer.config.reference import REQUIRED, describe
from optimizer.domain.json import Json
from tests.config.test_load import SMALLEST


def test_every_setting_says_what_it_means_in_one_line() -> None:
    for setting in describe():
        assert setting.meaning.endswith("."), setting.key
        assert "\n" not in setting.meaning
        assert setting.type
        assert "[" not in setting.type, setting


def test_keys_are_unique_and_name_all_sections() -> None:
    keys = [setting.key for setting in describe()]
    assert len(set(keys)) == len(keys)
    assert {key.split(".")[0] for key in keys} == set(to_json(parse(SMALLEST)))


def test_described_defaults_are_the_defaults() -> None:
    tree = to_json(parse(SMALLEST))
    for setting in describe():
        if setting.default in {"", REQUIRED} or setting.key.startswith("benchmark.options"):
            continue
        found: Json = tree
        for name in setting.key.split("."):
            assert found is None or isinstance(found, dict)
            found = None if found is None else found[name]
        if found is None:
            continue  # a key of an optional section that the smallest file leaves out
        assert tomllib.loads(f"x = {setting.default}")["x"] == found, setting.key


def test_the_documented_knobs_are_there() -> None:
    keys = {setting.key for setting in describe()}
    assert {"loop.suite_limit", "gate.pin", "rollout.max_usd", "proposer.model.api_key_env", "guidance.file"} <= keys
