"""campaign.toml is read once; every problem names file, key, value and what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.config.load import from_json, load, parse, settings_hash, to_json
from optimizer.domain.budget import BudgetLimits
from optimizer.domain.errors import ConfigError
from optimizer.domain.json import canonical_json

SMALLEST = """
[campaign]
name = "demo"
[harness]
editable = ["agent.py", "prompts/**"]
[benchmark]
name = "helpdesk"
[budget]
rollouts = 100
"""

WHOLE = """
[campaign]
name = "whole-1"
seed = 7
[harness]
editable = ["**/*.py"]
entry = ["node", "agent.js"]
requirements = "requirements.txt"
[benchmark]
name = "helpdesk"
[benchmark.options]
n_tasks = 30
families = ["refund", "return"]
[model]
provider = "openai"
name = "some-model"
base_url = "http://localhost:8000/v1"
api_key_env = "SOME_KEY"
max_output_tokens = 1000
price = { input_usd_per_m = 1, cached_usd_per_m = 0.1, output_usd_per_m = 4.5 }
[proposer]
kinds = ["playbook", "model"]
[proposer.model]
provider = "anthropic"
name = "large-model"
api_key_env = "ANTHROPIC_API_KEY"
[budget]
usd = 5
tokens = 1_000_000
rollouts = 2000
candidates = 40
hours = 8
[loop]
batch_size = 12
concurrency = 2
[gate]
rule = "trial"
confidence = 0.95
pin = ["t-001"]
[rollout]
wall_s = 30
[sandbox]
backend = "docker"
[guidance]
file = "GUIDANCE.md"
"""


def problems(text: str) -> list[str]:
    """The lines of the error that a text causes."""
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value).split("\n")


def changed(section: str, line: str, text: str = SMALLEST) -> str:
    """The smallest file with one line more in a section."""
    header = f"[{section}]\n"
    return text.replace(header, header + line + "\n") if header in text else f"{text}{header}{line}\n"


def test_the_smallest_file_takes_the_documented_defaults() -> None:
    settings = parse(SMALLEST)
    assert settings.loop.batch_size == 10
    assert settings.loop.candidates_per_batch == 2
    assert settings.loop.concurrency == 8
    assert settings.loop.max_infra_share == 0.2
    assert settings.gate.confidence == 0.9
    assert settings.model.provider == "sim"
    assert settings.proposer.kinds == ("playbook",)
    assert settings.sandbox.backend == "native"
    assert settings.budget.limits() == BudgetLimits(rollouts=100)


def test_every_section_is_read() -> None:
    settings = parse(WHOLE)
    assert settings.harness.entry == ("node", "agent.js")
    assert settings.model.price is not None
    assert settings.model.price.output_usd_per_m == 4.5
    assert settings.proposer.model is not None
    assert settings.proposer.model.provider == "anthropic"
    assert settings.benchmark.options == {"n_tasks": 30, "families": ["refund", "return"]}
    assert settings.budget.usd == 5.0
    assert settings.gate.pin == ("t-001",)


def test_a_folder_stands_for_the_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(SMALLEST)
    assert load(tmp_path) == load(tmp_path / "campaign.toml")


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())
    assert load(file) == parse(SMALLEST)


def test_an_unknown_key_names_the_nearest_valid_one() -> None:
    assert problems(changed("budget", "rollout = 3")) == [
        "campaign.toml: [budget] unknown key 'rollout' - did you mean 'rollouts'?"
    ]


def test_an_unknown_key_that_is_at_home_elsewhere_says_where() -> None:
    assert problems(changed("loop", "confidence = 0.9")) == [
        "campaign.toml: [loop] unknown key 'confidence' - did you mean 'confidence' in [gate]?"
    ]
    assert problems("batch_size = 3\n" + SMALLEST) == [
        "campaign.toml: unknown section or key 'batch_size' - did you mean 'batch_size' in [loop]?"
    ]


def test_an_unknown_key_near_nothing_lists_what_is_valid() -> None:
    assert problems(changed("guidance", "zzz = 1")) == [
        "campaign.toml: [guidance] unknown key 'zzz' - valid here: file"
    ]


def test_an_unknown_section_names_the_nearest_valid_one() -> None:
    (line,) = problems(SMALLEST + "[gates]\n")
    assert line == "campaign.toml: unknown section or key 'gates' - did you mean 'gate'?"


def test_a_nested_unknown_key_is_named_with_its_whole_section() -> None:
    (line,) = problems(WHOLE.replace('name = "large-model"', 'name = "large-model"\nbase_uri = "http://x"'))
    assert line == "campaign.toml: [proposer.model] unknown key 'base_uri' - did you mean 'base_url'?"


def test_all_problems_of_a_file_are_reported_together() -> None:
    text = changed("loop", 'batch_size = 0\nconcurency = 2\nmax_infra_share = "a"').replace('"demo"', '"Demo Run"')
    lines = problems(text)
    assert len(lines) == 4
    assert all(line.startswith("campaign.toml: [") for line in lines)


@pytest.mark.parametrize(
    ("section", "line", "expected"),
    [
        ("loop", "batch_size = 0", "[loop] batch_size = 0 - expected an integer of at least 1"),
        ("loop", 'batch_size = "10"', '[loop] batch_size = "10" - expected an integer'),
        ("loop", "batch_size = 1.5", "[loop] batch_size = 1.5 - expected an integer"),
        ("loop", "batch_size = true", "[loop] batch_size = true - expected an integer"),
        ("loop", "batch_size = 2020-01-01", "[loop] batch_size = 2020-01-01 - expected an integer"),
        ("loop", "max_infra_share = 1.5", "[loop] max_infra_share = 1.5 - expected a number of at most 1.0"),
        ("gate", "confidence = 1.0", "[gate] confidence = 1.0 - expected a number below 1.0"),
        ("gate", "confidence = 0.5", "[gate] confidence = 0.5 - expected a number above 0.5"),
        ("gate", "pin = ['a', 3]", "[gate] pin[1] = 3 - expected text"),
        ("gate", "pin = 'a'", '[gate] pin = "a" - expected a list of text'),
        ("gate", "strictness = nan", "[gate] strictness - expected a finite number, not nan or inf"),
        ("budget", "usd = inf", "[budget] usd - expected a finite number, not nan or inf"),
        ("budget", "usd = 0", "[budget] usd = 0 - expected a number above 0"),
        ("budget", "candidates = -1", "[budget] candidates = -1 - expected an integer of at least 1"),
        (
            "sandbox",
            'backend = "dokcer"',
            "[sandbox] backend = \"dokcer\" - expected 'native', 'docker' or 'reduced'; did",
        ),
        ("proposer", "kinds = []", "[proposer] kinds = a list with 0 entries - expected a list of"),
        (
            "proposer",
            'kinds = ["playbook", "playbook"]',
            "[proposer] needs each of its kinds once",
        ),
        ("proposer", 'kinds = ["model"]', "[proposer] needs a section [proposer.model], because kinds names 'model'"),
        ("model", "price = 3", "[model.price] = 3 - expected a section [model.price] with keys of its own"),
        (
            "model",
            "price = {input_usd_per_m = 1}",
            "[model.price] output_usd_per_m is missing - expected a number: USD per",
        ),
        ("model", 'base_url = "ftp://x"', '[model] base_url = "ftp://x" - expected an address that starts with http'),
        ("model", 'api_key_env = "my key"', '[model] api_key_env = "my key" - expected the name of an environment var'),
        ("guidance", 'file = "/etc/passwd"', '[guidance] file = "/etc/passwd" - expected a relative path'),
        (
            "benchmark",
            "options = {when = 2020-01-01}",
            "[benchmark] options.when = 2020-01-01 - expected a value that JSON",
        ),
        ("benchmark", "options = {a = {b = [nan]}}", "[benchmark] options.a.b[0] - expected a finite number"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_is_expected(section: str, line: str, expected: str) -> None:
    (problem,) = problems(changed(section, line))
    assert problem.startswith(f"campaign.toml: {expected}")


@pytest.mark.parametrize("name", ["Demo", "a b", "-a", "a-", "a/b", "..", "", "ä", "a" * 49, "a\\n"])
def test_a_campaign_name_that_no_ref_can_have_is_refused(name: str) -> None:
    (line,) = problems(SMALLEST.replace('"demo"', f'"{name}"'))
    assert "[campaign] name" in line
    assert "a-z, 0-9" in line


@pytest.mark.parametrize("glob", ["/etc/*", "a\\\\b", "", "dir/"])
def test_a_glob_outside_the_harness_is_refused(glob: str) -> None:
    (line,) = problems(SMALLEST.replace("prompts/**", glob))
    assert "[harness] editable[1]" in line


@pytest.mark.parametrize("glob", ["../x", "a/../../b"])
def test_a_glob_that_climbs_out_is_refused(glob: str) -> None:
    (line,) = problems(SMALLEST.replace("prompts/**", glob))
    assert f"[harness] needs editable globs without '..', not '{glob}'" in line


def test_at_least_one_limit_is_needed() -> None:
    assert problems(SMALLEST.replace("rollouts = 100", "")) == [
        "campaign.toml: [budget] needs at least one of usd, tokens, rollouts, candidates, hours"
    ]


def test_missing_sections_and_keys_are_named_with_their_meaning() -> None:
    lines = problems("[campaign]\n")
    assert lines[0].startswith("campaign.toml: [campaign] name is missing - expected text: Name of the branch")
    assert [line.split(":")[1] for line in lines[1:]] == [
        " the section [harness] is missing",
        " the section [benchmark] is missing",
        " the section [budget] is missing",
    ]


def test_invalid_toml_says_line_and_column() -> None:
    (line,) = problems("[campaign]\nname = demo\n")
    assert line == "campaign.toml: not valid TOML: Invalid value (at line 2, column 8)"


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 100_000, "a = " + "1" * 5000, "[campaign]\nname='a'\nname='b'", "\x00"]
)
def test_odd_toml_is_one_clear_error(text: str) -> None:
    (line,) = problems(text)
    assert line.startswith("campaign.toml: not ")


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"campaign\.toml does not exist\. `hone init"):
        load(tmp_path / "campaign.toml")


def test_a_file_that_is_not_utf8_says_where(tmp_path: Path) -> None:
    file = tmp_path / "campaign.toml"
    file.write_bytes(b"[campaign]\nname = '\xe4'\n")
    with pytest.raises(ConfigError, match="not UTF-8 at line 2: byte 0xe4"):
        load(file)


def test_a_folder_without_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path)


SECRETS = [
    "sk-proj-abcdefghijklmnopqrstuvwx",
    "sk-ant-api03-abcdefghijklmnop",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "ghp_abcdefghijklmnopqrstuvwxyz0123",
    "AKIAABCDEFGHIJKLMNOP",
    "http://user:hunter2@proxy.example/v1",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", [("model", "api_key_env"), ("model", "base_url"), ("benchmark", "options.auth")])
def test_a_secret_in_the_file_is_refused_and_never_repeated(secret: str, place: tuple[str, str]) -> None:
    (line,) = problems(changed(place[0], f'{place[1]} = "{secret}"'))
    assert 'api_key_env = "OPENAI_API_KEY"' in line
    assert secret[8:] not in line


def test_a_secret_inside_a_list_is_found() -> None:
    (line,) = problems(changed("gate", f'pin = ["t1", "{SECRETS[0]}"]'))
    assert line.startswith("campaign.toml: [gate] pin[1] looks like a secret")


@pytest.mark.parametrize("key", ["api_key", "token", "password"])
def test_a_key_that_asks_for_a_secret_is_answered_with_the_remedy(key: str) -> None:
    (line,) = problems(changed("model", f'{key} = "whatever"'))
    assert "looks like a secret" in line
    assert "whatever" not in line


@pytest.mark.parametrize(
    "name", ["task-0123456789abcdef", "gpt-4o-mini-2024-07-18", "risk-assessment-helper-long-name"]
)
def test_ordinary_names_are_not_taken_for_secrets(name: str) -> None:
    assert parse(changed("model", f'name = "{name}"')).model.name == name


def test_the_hash_ignores_budget_and_concurrency_and_nothing_else() -> None:
    base = settings_hash(parse(WHOLE))
    assert settings_hash(parse(WHOLE.replace("usd = 5", "usd = 50"))) == base
    assert settings_hash(parse(WHOLE.replace("concurrency = 2", "concurrency = 3"))) == base
    for old, new in (
        ("batch_size = 12", "batch_size = 13"),
        ("seed = 7", "seed = 8"),
        ("n_tasks = 30", "n_tasks = 31"),
    ):
        assert settings_hash(parse(WHOLE.replace(old, new))) != base


def test_the_hash_does_not_care_how_the_file_is_written() -> None:
    assert settings_hash(parse(SMALLEST)) == settings_hash(parse("# words\n" + changed("loop", "batch_size = 10")))


@pytest.mark.parametrize("text", [SMALLEST, WHOLE])
def test_settings_survive_the_ledger(text: str) -> None:
    settings = parse(text)
    tree = to_json(settings)
    assert canonical_json(tree)
    assert from_json(tree) == settings


def test_settings_of_another_version_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"settings of the ledger: \[loop\] unknown key 'old'"):
        from_json({**to_json(parse(SMALLEST)), "loop": {"old": 1}})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(SMALLEST).loop.batch_size = 3


@given(st.text(max_size=200))
def test_no_text_ends_in_anything_but_settings_or_one_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse(text)


@given(
    st.sampled_from(["campaign", "harness", "model", "proposer", "budget", "loop", "gate", "rollout", "sandbox"]),
    st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12),
    st.sampled_from(["1", "-1", '"x"', "[]", "[1]", "{}", "{a=1}", "true", "1.5", "nan", "2020-01-01"]),
)
def test_any_key_in_any_section_gives_settings_or_sentences(section: str, key: str, value: str) -> None:
    try:
        parse(changed(section, f"{key} = {value}"))
    except ConfigError as error:
        assert all(line.startswith("campaign.toml: ") for line in str(error).split("\n"))  # noqa: PT017
