"""The template as a folder that `hone init` copies."""

from __future__ import annotations

import ast
import sys

import pytest

from optimizer.config.load import parse
from optimizer.propose.guards import is_editable
from optimizer.propose.playbook.entry import load_catalogue
from optimizer.propose.playbook.template import template_files
from tests.propose.requests import fixed

FILES = template_files()
SETTINGS = parse(FILES["campaign.toml"].decode())
OWN = {"agent", "tools", "context", "guards"}


def test_it_holds_what_a_person_starts_from_and_nothing_of_the_package_around_it() -> None:
    assert {"agent.py", "tools.py", "context.py", "prompts/system.md", "HARNESS.md", "requirements.txt"} <= set(FILES)
    assert {".gitignore", "campaign.toml"} <= set(FILES)
    assert "__init__.py" not in FILES
    assert not [path for path in FILES if path.endswith(".pyc")]


@pytest.mark.parametrize("path", sorted(path for path in FILES if path.endswith(".py")))
def test_it_imports_only_the_standard_library_the_model_sdk_and_the_session(path: str) -> None:
    nodes = list(ast.walk(ast.parse(FILES[path])))
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}

    assert {name.split(".")[0] for name in imported} <= {*sys.stdlib_module_names, *OWN, "openai", "hone_session"}


def test_its_settings_are_valid_and_cost_nothing_to_try() -> None:
    assert (SETTINGS.benchmark.name, SETTINGS.model.provider, SETTINGS.proposer.kinds) == (
        "helpdesk",
        "sim",
        ("playbook",),
    )


def test_its_settings_let_every_playbook_entry_in_and_keep_the_contract_out() -> None:
    for entry in load_catalogue():
        assert all(is_editable(path, SETTINGS.harness.editable) for path in fixed(entry).on_template(FILES))
    assert not [
        path
        for path in ("HARNESS.md", "campaign.toml", "requirements.txt")
        if is_editable(path, SETTINGS.harness.editable)
    ]
