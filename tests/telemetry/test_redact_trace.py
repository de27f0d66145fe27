"""Structured fields: a value in a personal field is replaced across the whole trace."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimizer.domain.errors import ConfigError
from optimizer.domain.json import canonical_json
from optimizer.domain.trace import Span, Trace
from optimizer.telemetry.pseudonyms import PSEUDONYM, project_key
from optimizer.telemetry.redact import Redactor

KEY = b"k" * 32
PROFILE = {
    "name": {"first_name": "Mia", "last_name": "Will"},
    "email": "mia.w@example.com",
    "dob": "1990-04-05",
    "address": {"address1": "975 Sunset Drive", "city": "Austin", "zip": "78712", "country": "USA"},
    "user_id": "mia_will_3668",
    "membership": "gold",
}


def redactor() -> Redactor:
    return Redactor(KEY, engine="re")


def trace(*pairs) -> Trace:
    return Trace(
        spans=tuple(
            Span(index=index, kind=kind, name=kind, input=given, output=output)
            for index, (kind, given, output) in enumerate(pairs)
        )
    )


STORY = trace(
    ("user_turn", "Who are you?", "I am MIA Will, born April 5, 1990, and I will pay. My id: mia_will_3668"),
    ("tool_call", {"user_id": "mia_will_3668"}, json.dumps(PROFILE)),
    ("user_turn", "Thank you Mia, is it still 975 sunset drive? Austin is nice.", "Yes"),
)


def test_values_of_fields_go_from_free_text_too_before_and_after():
    clean = redactor().trace(STORY)
    text = canonical_json([[span.input, span.output] for span in clean.spans])
    for value in ("Mia", "MIA", "mia_will_3668", "April 5, 1990", "1990-04-05", "sunset drive", "Sunset", "78712"):
        assert value not in text, value
    assert "I will pay" in text
    assert "Austin is nice" in text
    assert "gold" in text


def test_pseudonyms_join_across_the_spans():
    clean = redactor().trace(STORY)
    said = PSEUDONYM.findall(str(clean.spans[0].output))
    profile = json.loads(clean.spans[1].output)
    assert profile["user_id"] == clean.spans[1].input["user_id"] == said[3]
    assert [profile["name"]["first_name"], profile["name"]["last_name"], profile["dob"]] == said[:3]


def test_the_shape_of_json_stays():
    profile = json.loads(redactor().trace(STORY).spans[1].output)
    assert profile.keys() == PROFILE.keys()
    assert profile["address"]["country"] == "USA"


def test_a_trace_redacted_twice_is_the_trace_redacted_once():
    once = redactor().trace(STORY)
    assert redactor().trace(once) == once


def test_json_in_json_in_a_string_is_reached():
    inner = json.dumps({"customer": {"name": "Zoe Kim"}, "note": "Zoe called"})
    clean = redactor().json({"result": json.dumps({"body": inner})})
    assert "Zoe" not in canonical_json(clean)
    assert "called" in canonical_json(clean)


def test_keys_that_are_values_go_too():
    clean = redactor().json({"user_id": "mia_li_3668", "by_user": {"mia_li_3668": 1, "x@example.com": 2}})
    assert set(clean) == {"user_id", "by_user"}
    assert all(PSEUDONYM.fullmatch(key) for key in clean["by_user"])


@pytest.mark.parametrize(
    "value",
    [
        {"name": "get_user", "description": "looks up", "parameters": {"type": "object"}},
        {"properties": {"email": {"type": "string"}, "name": {"type": "string"}}, "required": ["email", "name"]},
        {"products": [{"name": "T-Shirt", "price": 12}]},
        {"email": "string", "phone": None, "user_id": "unknown"},
        {"user": {"plan": "gold"}, "is_email": True},
        {"zip": "78712", "city": "Austin"},
    ],
)
def test_schemas_products_and_placeholders_stay(value):
    assert redactor().json(value) == value


def test_a_name_alone_counts_only_in_the_company_of_a_person():
    assert redactor().json({"customer": {"name": "Zoe"}}) != {"customer": {"name": "Zoe"}}
    assert redactor().json({"name": "Zoe", "email": "z@example.com"})["name"] != "Zoe"
    assert redactor().json({"name": "Zoe"}) == {"name": "Zoe"}


def test_short_and_common_values_are_replaced_where_they_stand_and_not_everywhere():
    clean = redactor().json({"first_name": "An", "last_name": "May", "user_id": "42", "text": "An May may get an 42"})
    assert PSEUDONYM.sub("_", clean["text"]) == "_ _ may get an 42"
    assert PSEUDONYM.fullmatch(clean["user_id"])


def test_numbers_in_personal_fields_go():
    clean = redactor().json({"phone": 4155552671, "text": "it is 4155552671", "seen": 4155552671, "price": 99})
    assert "4155552671" not in canonical_json(clean)
    assert clean["price"] == 99


def test_a_user_id_that_is_an_email_joins_with_the_email():
    clean = redactor().json({"user_id": "mia@example.com", "email": "mia@example.com"})
    assert clean["user_id"] == clean["email"]


def test_dates_of_birth_join_in_every_spelling():
    clean = redactor().json({"dob": "1990-04-05", "text": "April 5th, 1990 or 04/05/1990 or 1990-04-05"})
    assert set(PSEUDONYM.findall(clean["text"])) == {clean["dob"]}


def test_overlapping_values_leave_no_rest():
    clean = redactor().json({"first_name": "Anna Lee", "address1": "Lee Road 5 a", "text": "Anna Lee Road 5 a"})
    assert PSEUDONYM.sub("", clean["text"]) == ""


def test_what_is_nested_beyond_reason_is_dropped_and_not_passed_on():
    value = "x@example.com"
    for _ in range(500):
        value = [value]
    assert "example" not in canonical_json(redactor().json(value))


LEAVES = st.sampled_from(
    [
        "Mia",
        "mia",
        "Will",
        "x@example.com",
        "1990-04-05",
        "975 Sunset Drive",
        12345678,
        "<NAME:0d15aba9>",
        None,
        True,
        "",
    ]
) | st.text(max_size=12)
KEYS = st.sampled_from(
    ["first_name", "name", "email", "dob", "address1", "city", "phone", "text", "user_id", "customer"]
)
VALUES = st.recursive(
    LEAVES,
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(KEYS, below, max_size=4)
        | st.dictionaries(KEYS, below, max_size=3).map(json.dumps)
    ),
    max_leaves=14,
)


@given(VALUES)
def test_redacting_any_json_twice_is_redacting_it_once(value):
    once = redactor().json(value)
    assert redactor().json(once) == once


@given(VALUES, st.text(max_size=20))
def test_no_value_of_a_personal_field_is_left_anywhere(value, around):
    marker = "Quetzalcoatl Xy9"
    clean = redactor().json([{"full_name": marker}, value, f"{around} {marker} {around}", {marker: 1}])
    assert marker not in canonical_json(clean)


def test_the_key_of_a_project_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "redaction.key"
    key = project_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert project_key(path) == key


def test_a_key_that_is_open_to_others_is_refused(tmp_path):
    path = tmp_path / "redaction.key"
    project_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        project_key(path)


@pytest.mark.parametrize("text", ["", "zz", "00" * 5])
def test_a_file_that_is_no_key_is_refused(tmp_path, text):
    path = tmp_path / "redaction.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no redaction key"):
        project_key(path)
