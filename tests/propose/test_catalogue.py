"""Every entry fits the template, alone and together with others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from optimizer.domain.candidate import FileEdit
from optimizer.domain.errors import EditRefusedError
from optimizer.propose.guards import EditLimits, check_edits
from optimizer.propose.playbook.entry import apply_entry, read_entry
from tests.harness_template.stage import FakeModel, FakeSession, call, play
from tests.propose.requests import CATALOGUE, EDITABLE, TEMPLATE, fixed, with_entries

LABELS = {
    "tool_selection.hallucinated_tool",
    "tool_execution.invalid_arguments",
    "tool_execution.ignored_error",
    "looping.repeated_call",
    "planning.early_give_up",
    "planning.missing_step",
    "policy.identity_not_verified",
    "policy.no_confirmation",
    "policy.forbidden_action",
    "policy.yielded_to_pressure",
    "policy.missed_escalation",
    "policy.over_escalation",
    "policy.over_refusal",
    "communication.missing_information",
    "communication.unverified_claim",
    "memory.forgotten_constraint",
    "harness.step_limit",
}
EXCLUDING = {frozenset({"fewer-steps", "more-steps"})}
"""Entries that change the same line in different ways."""
NAMES = sorted(CATALOGUE)


def excludes(names: tuple[str, ...]) -> bool:
    return any(pair <= set(names) for pair in EXCLUDING)


def edits_between(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> tuple[FileEdit, ...]:
    changed = {path: content for path, content in after.items() if before.get(path) != content}
    return tuple(FileEdit(path=path, content=content) for path, content in changed.items())


def test_the_catalogue_treats_every_class_code_can_treat_and_no_unknown_one() -> None:
    treated = {label for entry in CATALOGUE.values() for label in entry.treats}

    assert treated == LABELS


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_applies_cleanly_to_the_template(name: str) -> None:
    edits = apply_entry(fixed(CATALOGUE[name]), template=TEMPLATE, current=TEMPLATE)

    after = check_edits(TEMPLATE, edits, editable=EDITABLE)

    assert after != TEMPLATE


@pytest.mark.parametrize("name", NAMES)
def test_no_parameter_is_left_open(name: str) -> None:
    entry = fixed(CATALOGUE[name])
    text = entry.title + entry.model_dump_json()

    assert not [parameter for parameter in CATALOGUE[name].variants if f"{{{parameter}}}" in text]


@pytest.mark.parametrize("name", NAMES)
def test_a_prompt_rule_is_short(name: str) -> None:
    words = [len(added.content.split()) for added in CATALOGUE[name].file if added.path.startswith("prompts/rules/")]

    assert all(n <= 60 for n in words) or name in {"style-guide", "worked-example"}


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_not_applied_twice(name: str) -> None:
    entry = fixed(CATALOGUE[name])

    with pytest.raises(EditRefusedError) as caught:
        apply_entry(entry, template=TEMPLATE, current=with_entries(name))

    assert caught.value.code == "dup"


@given(names=st.permutations(NAMES).flatmap(lambda order: st.integers(1, len(order)).map(lambda n: tuple(order[:n]))))
@example(names=tuple(name for name in NAMES if name != "more-steps"))
@settings(max_examples=25, deadline=None)
def test_entries_compose_in_any_order_unless_known_to_exclude_each_other(names: tuple[str, ...]) -> None:
    if excludes(names):
        with pytest.raises(EditRefusedError, match="conflicts"):
            with_entries(*names)
        return

    composed = with_entries(*names)

    assert composed == with_entries(*sorted(names))
    check_edits(
        TEMPLATE,
        edits_between(TEMPLATE, composed),
        editable=EDITABLE,
        limits=EditLimits(growth_bytes=10**6, n_files=99),
    )


@pytest.mark.anyio
@pytest.mark.parametrize("left_out", ["more-steps", "fewer-steps"])
async def test_the_harness_with_all_entries_holds_a_whole_conversation(tmp_path: Path, left_out: str) -> None:
    files = with_entries(*(name for name in NAMES if name != left_out))
    session = FakeSession()
    model = FakeModel(moves=[call("find_customer", email="a@b.c"), "Hello.", "Bye."])

    await play(files, tmp_path, session, model)

    assert [name for name, _ in session.calls] == ["find_customer"]
    assert session.said == ["Hello."]


def test_an_entry_survives_other_changes_of_the_user() -> None:
    mine = dict(TEMPLATE)
    mine["agent.py"] = mine["agent.py"].replace(b"tools=registry.specs(),", b"tools=registry.specs(), seed=7,")
    mine["context.py"] = b"# ours\n" + mine["context.py"]

    composed = with_entries("fewer-steps", "pin-instructions", "repeated-call-guard", files=mine)

    assert b"MAX_STEPS = 8" in composed["agent.py"]
    assert b"seed=7" in composed["agent.py"]
    assert composed["context.py"].startswith(b"# ours\n")
    assert b"Reminder before your next step" in composed["context.py"]


@pytest.mark.parametrize(
    ("path", "old", "new", "entry"),
    [
        ("agent.py", b"MAX_STEPS = 24", b"MAX_STEPS = 30", "fewer-steps"),
        ("context.py", b"    return []", b"    return turns[:1]", "pin-instructions"),
        ("tools.py", b'return tool["description"]', b'return tool["description"].upper()', "schema-preconditions"),
    ],
)
def test_an_entry_is_refused_where_the_user_changed_the_same_lines(
    path: str, old: bytes, new: bytes, entry: str
) -> None:
    assert old in TEMPLATE[path]
    mine = {**TEMPLATE, path: TEMPLATE[path].replace(old, new)}

    with pytest.raises(EditRefusedError, match=f"conflicts with {path}") as caught:
        with_entries(entry, files=mine)

    assert caught.value.code == "apply"


def test_an_entry_is_refused_where_its_file_was_removed_or_is_another() -> None:
    removed = {path: content for path, content in TEMPLATE.items() if path != "context.py"}
    with pytest.raises(EditRefusedError, match=r"conflicts with context\.py"):
        with_entries("pin-instructions", files=removed)

    other = {**TEMPLATE, "guards/g60_retries.py": b"# ours\n"}
    with pytest.raises(EditRefusedError, match=r"conflicts with guards/g60_retries\.py"):
        with_entries("retry-budget", files=other)


def test_an_entry_that_no_longer_fits_the_template_says_so() -> None:
    entry = read_entry(
        "stale",
        'title="t"\nhypothesis="h"\nrung="prompt"\ntreats=["x"]\nprior=0.5\n'
        '[[replace]]\npath="agent.py"\nold="not there"\nnew="x"',
    )

    with pytest.raises(EditRefusedError, match=r"stale does not fit agent\.py"):
        apply_entry(entry, template=TEMPLATE, current=TEMPLATE)
